"""The files that are laid over train.json: alike in all bundles, free to combine, and each combination trains."""

from __future__ import annotations

import json
import math
import shutil
from itertools import combinations
from pathlib import Path
from typing import ClassVar

import cv2
import pytest
import torch
from monai.bundle import ConfigParser
from torch.optim.lr_scheduler import CosineAnnealingLR, SequentialLR
from torch.optim.swa_utils import SWALR

from handseg_bundle_common.datasets import data_list
from handseg_bundle_common.datasets.seeded import Draw
from handseg_bundle_common.engine import ExponentialMovingAverage, LossSchedule, WeightAveraging
from handseg_bundle_common.errors import input_error_message
from handseg_bundle_common.losses import DiceBCELoss, DiceFocalLoss, FocalTverskyLoss, TverskyLoss
from handseg_bundle_common.weights import load_checkpoint, load_weights, save_checkpoint, save_weights

# Of these, a recipe takes one.
LOSSES = {
    "dice_focal": DiceFocalLoss,
    "tversky": TverskyLoss,
    "focal_tversky": FocalTverskyLoss,
    "loss_schedule": DiceBCELoss,
}
COMBINABLE = ["finetune", "sliding_window", "extra_data", "swa", "ema"]
OTHERS = ["reference", "pretrain_simulated", "evaluate", "multi_gpu_train", "no_tracking"]
COMPLETE = ["train", "inference", "metadata"]

# The members of the reference system, as docs/recipes.md names them.
MEMBERS = {
    "swin-finetuned": ("swin_unetr", ["finetune", "sliding_window", "swa"]),
    "swin": ("swin_unetr", ["sliding_window", "swa"]),
    "swin-tversky": ("swin_unetr", ["sliding_window", "swa", "tversky"]),
    "segformer": ("segformer", ["extra_data"]),
    "hrnet": ("unetplusplus", ["focal_tversky"]),
}

# Six hands train, or ten windows with two further hands of weight two: two steps an epoch.
SMALL = {"batch_size": 5, "max_epochs": 2}
SMALL_WINDOWS = {"image_size": 96, "window_size": 64}


def read_json(path: Path):
    return json.loads(path.read_text())


def files_of(overlays):
    return ["train.json", *(f"{name}.json" for name in overlays), "no_tracking.json"]


@pytest.fixture(scope="module")
def other_hands(sample_data, tmp_path_factory):
    """Both hands of a further patient: those of one of the sample, in files of other content."""
    folder = tmp_path_factory.mktemp("other")
    source = data_list(sample_data)[0]["patient"]
    for part in ("DCM", "outputs_json"):
        shutil.copytree(sample_data / part / source, folder / part / "another")
    for path in (folder / "outputs_json").rglob("*.json"):
        path.write_text(json.dumps(read_json(path), indent=1))
    for path in (folder / "DCM").rglob("*.png"):
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        picture[0, 0] = 255 - picture[0, 0]
        cv2.imwrite(str(path), picture)
    return folder


@pytest.fixture
def needed(small_networks, other_hands, tmp_path):
    """A function that gives what overlays cannot do without: weights to start from, further data, small windows."""

    def ids(bundle: Path, overlays: list[str], **overrides: object) -> dict[str, object]:
        settings: dict[str, object] = {}
        if "finetune" in overlays:
            parser = ConfigParser(read_json(bundle / "configs" / "train.json"))
            parser.update(small_networks[bundle.name] | overrides)
            save_weights(parser.get_parsed_content("network_def"), tmp_path / "initial.pt")
            settings["initial_weights"] = str(tmp_path / "initial.pt")
        if "extra_data" in overlays:
            settings["extra_data"] = [{"data": str(other_hands), "weight": 2}]
        if "sliding_window" in overlays:
            settings |= SMALL_WINDOWS
        return settings

    return ids


@pytest.fixture
def train(run_bundle, folders, needed, tmp_path):
    """A function that trains a recipe for two epochs of two steps, and returns its parser."""

    def run(bundle: Path, overlays: list[str], **overrides: object) -> ConfigParser:
        settings = SMALL | needed(bundle, overlays, **overrides) | folders(tmp_path) | overrides
        return run_bundle(bundle, files_of(overlays), **settings).parser

    return run


def ids_changed_by(bundle, overlay):
    """Return the ids that an overlay replaces; what it appends to is not among them."""
    return {name for name in read_json(bundle / "configs" / f"{overlay}.json") if not name.startswith("+")}


class TestFiles:
    """What the files themselves promise."""

    def test_every_bundle_has_every_overlay_and_describes_it(self, bundle):
        names = {path.stem for path in (bundle / "configs").glob("*.json")}
        assert names == {*LOSSES, *COMBINABLE, *OTHERS, *COMPLETE}
        readme = (bundle / "docs" / "README.md").read_text()
        assert not [name for name in names if f"{name}.json" not in readme]

    def test_overlays_are_the_same_in_all_bundles(self, bundle, repository):
        """Only SwinUNETR, for which no weights have been published, has no `pretrained_path` to clear."""
        for name in {*LOSSES, *COMBINABLE, *OTHERS} - {"reference"}:
            here, there = (
                read_json(folder / "configs" / f"{name}.json") for folder in (bundle, repository / "bundles/effisegnet")
            )
            if "pretrained_path" not in read_json(bundle / "configs" / "train.json"):
                there.pop("pretrained_path", None)
            assert here == there, name

    def test_combinable_overlays_change_different_ids(self, bundle):
        shared = {
            (one, other): ids_changed_by(bundle, one) & ids_changed_by(bundle, other)
            for one, other in (*combinations(COMBINABLE, 2), *((loss, name) for loss in LOSSES for name in COMBINABLE))
        }
        assert not {pair: ids for pair, ids in shared.items() if ids}

    def test_overlays_replace_ids_of_train_and_add_only_what_they_use(self, bundle):
        train = read_json(bundle / "configs" / "train.json")
        for name in (*LOSSES, *COMBINABLE, "reference"):
            text = (bundle / "configs" / f"{name}.json").read_text()
            added = {key for key in json.loads(text) if key.lstrip("+").split("#")[0] not in train}
            assert all(f"@{key}" in text for key in added), name

    def test_train_files_differ_in_the_network_its_image_size_and_learning_rate(self, bundle, repository):
        here, there = (
            read_json(folder / "configs/train.json") for folder in (bundle, repository / "bundles/effisegnet")
        )
        settings = set(here["network_def"]) | set(there["network_def"])
        own = {"network_def", "bundle_root", "recipe", "learning_rate", "image_size", *settings}
        for document in (here, there):
            for place in (document["best_weights"]["settings"], document["checkpoint"]["settings"]):
                for name in settings:
                    place.pop(name, None)
            for name in own:
                document.pop(name, None)
            # Of UNet++ with deep supervision the loss gets a list.
            document["train"]["trainer"].pop("loss_function")
        assert here == there


class TestCombinations:
    """Everything that combines, at once: each loss on one bundle, and one loss on each other bundle."""

    @pytest.mark.parametrize("reverse", [False, True], ids=["", "in reverse"])
    @pytest.mark.parametrize("loss", LOSSES)
    def test_all_of_them_train_effisegnet(self, repository, train, loss, reverse, tmp_path):
        overlays = [*COMBINABLE, loss]
        self.check(repository / "bundles" / "effisegnet", train, overlays[::-1] if reverse else overlays, tmp_path)

    @pytest.mark.parametrize("name", ["swin_unetr", "segformer", "unetplusplus"])
    def test_they_train_every_other_network(self, repository, train, name, tmp_path):
        heads = {"deep_supervision": True} if name == "unetplusplus" else {}
        self.check(repository / "bundles" / name, train, [*COMBINABLE, "focal_tversky"], tmp_path, **heads)

    def check(self, bundle, train, overlays, folder, **settings):
        parser = train(bundle, overlays, **settings)
        trainer = parser.get_parsed_content("train#trainer")
        assert (trainer.state.epoch, trainer.state.iteration) == (2, 4)
        (loss,) = set(LOSSES) & set(overlays)
        self.check_loss(parser, loss)
        self.check_scheduler(parser)
        self.check_sampler(parser)
        self.check_handlers(parser)
        self.check_windows(parser)
        assert sorted(path.name for path in (folder / "models").iterdir()) == ["checkpoint.pt", "model.pt", "swa.pt"]
        assert parser.config["recipe"] == [bundle.name, *overlays]

    def check_loss(self, parser, name):
        loss = parser.get_parsed_content("loss")
        assert type(loss) is LOSSES[name]
        if name == "loss_schedule":
            assert loss.dice_weight == 5.0  # of the last epoch

    def check_scheduler(self, parser):
        scheduler = parser.get_parsed_content("lr_scheduler")
        assert isinstance(scheduler, SequentialLR)
        base, annealing = scheduler._schedulers
        assert base is parser.get_parsed_content("base_schedule")
        assert isinstance(annealing, SWALR)
        assert scheduler._milestones == [2]  # two steps: after the first of two epochs

    def check_sampler(self, parser):
        sampler = parser.get_parsed_content("train#sampler")
        assert len(sampler) == 2
        assert sum(len(batch) for batch in sampler) == 6 + 2 * 2

    def check_handlers(self, parser):
        kinds = [type(handler) for handler in parser.get_parsed_content("train#handlers")]
        assert [kinds.count(kind) for kind in (WeightAveraging, ExponentialMovingAverage, LossSchedule)] == [1, 1, 1]
        ema = parser.get_parsed_content("ema").ema_model
        assert parser.get_parsed_content("validate#evaluator").network is ema
        assert parser.get_parsed_content("best_weights").network is ema
        assert {"swa", "ema", "network", "optimizer", "lr_scheduler"} <= set(
            parser.get_parsed_content("checkpoint").objects
        )

    def check_windows(self, parser):
        assert tuple(parser.get_parsed_content("validate#inferer").roi_size) == (64, 64)
        (cut, *_) = parser.get_parsed_content("train#preprocessing").transforms
        assert (cut.image_size, cut.window_size, cut.small_bone_prob) == (96, 64, 0.25)


class TestMembers:
    """The five members of the reference system, small."""

    @pytest.mark.parametrize("member", MEMBERS)
    def test_each_trains(self, repository, train, member):
        name, overlays = MEMBERS[member]
        parser = train(repository / "bundles" / name, overlays)
        losses = [LOSSES[overlay] for overlay in overlays if overlay in LOSSES]
        assert type(parser.get_parsed_content("loss")) is (losses or [DiceBCELoss])[0]
        kinds = {type(handler) for handler in parser.get_parsed_content("train#handlers")}
        assert (WeightAveraging in kinds) == ("swa" in overlays)
        assert isinstance(parser.get_parsed_content("lr_scheduler"), SequentialLR) == ("swa" in overlays)
        assert parser.get_parsed_content("train#trainer").state.iteration >= 2

    def test_the_documentation_names_them(self, repository):
        page = (repository / "docs" / "recipes.md").read_text()
        for member, (name, overlays) in MEMBERS.items():
            stack = ", ".join(f"`{overlay}`" for overlay in overlays)
            assert f"| `{member}` | `{name}` | {stack} |" in page


class TestPretraining:
    """Training on hands that are simulated on the way: no data, no disk."""

    TINY: ClassVar = {
        "hands_per_epoch": 4,
        "validation_hands": 2,
        "simulation_size": 96,
        "batch_size": 2,
        "data_dir": None,
        "folds": None,
    }

    def test_each_bundle_trains_and_its_weights_load_again(self, bundle, train, small_networks, tmp_path):
        parser = train(bundle, ["pretrain_simulated"], **self.TINY)
        assert parser.get_parsed_content("train#trainer").state.iteration == 4
        fresh = ConfigParser(read_json(bundle / "configs" / "train.json"))
        fresh.update(small_networks[bundle.name])
        load_weights(fresh.get_parsed_content("network_def"), tmp_path / "models/model.pt")

    def test_every_epoch_has_new_hands_and_validation_its_own(self, train, repository):
        parser = train(repository / "bundles/effisegnet", ["pretrain_simulated"], **self.TINY)
        training = parser.get_parsed_content("train#dataset")
        names = {training[Draw(epoch, index)]["image_name"] for epoch in (1, 2) for index in range(4)}
        assert len(names) == 8
        assert all(name.startswith("sim7000-") for name in names)
        validation = parser.get_parsed_content("validate#dataset")
        assert [item["image_name"] for item in validation] == ["sim6000-0001_L.png", "sim6000-0001_R.png"]


class TestReferences:
    """The reference recipes in their full width, at a size that takes seconds; EffiSegNet's has a file of its own."""

    # Millions, with twenty-nine classes; settings that hold the number of steps down to two.
    PARAMETERS: ClassVar = {"effisegnet": 63.3, "swin_unetr": 56.5, "segformer": 84.6, "unetplusplus": 67.8}
    TWO_STEPS: ClassVar = {"max_epochs": 1, "batch_size": 3, "accumulation_steps": 1, "image_size": 64, "swa_start": 0}

    @staticmethod
    def network_def(bundle, **overrides):
        parser = ConfigParser()
        parser.read_config([str(bundle / "configs" / f"{name}.json") for name in ("train", "reference")])
        parser.update({"pretrained_path": None, **overrides} if "pretrained_path" in parser.config else overrides)
        return parser.get_parsed_content("network_def")

    def test_the_networks_have_the_size_of_the_reference(self, bundle):
        # MONAI's SwinUNETR reads numbers from a tensor while it is built, which the meta device cannot.
        with torch.device("cpu" if bundle.name == "swin_unetr" else "meta"):
            network = self.network_def(bundle)
        assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(
            self.PARAMETERS[bundle.name], abs=0.05
        )

    @pytest.mark.parametrize("name", ["swin_unetr", "segformer", "unetplusplus"])
    def test_two_steps_of_the_whole_network(self, repository, train, tmp_path, name):
        bundle = repository / "bundles" / name
        recipe = read_json(bundle / "configs" / "reference.json")
        network = {id_: recipe[id_] for id_ in ("feature_size", "model_name") if id_ in recipe}
        settings = self.TWO_STEPS | network | {"decoder_channels": None}
        if "pretrained_path" in recipe:
            torch.save(self.network_def(bundle).encoder.state_dict(), tmp_path / "imagenet.pth")
            settings["pretrained_path"] = str(tmp_path / "imagenet.pth")
        parser = train(bundle, ["reference"], **settings)
        trained = parser.get_parsed_content("network")
        assert sum(p.numel() for p in trained.parameters()) / 1e6 == pytest.approx(self.PARAMETERS[name], abs=0.05)
        assert parser.get_parsed_content("train#trainer").state.iteration == 2

    @pytest.mark.parametrize("name", ["effisegnet", "segformer", "unetplusplus"])
    def test_imagenet_weights_have_to_be_named(self, repository, train, name):
        with pytest.raises(Exception) as caught:
            train(repository / "bundles" / name, ["reference"])
        assert input_error_message(caught.value).startswith("--pretrained_path: is missing; name a file with ImageNet")


class TestSwinReference:
    """Recomputed activations, cosine to a tenth, averaged over the last twenty of sixty epochs."""

    @pytest.fixture(scope="class")
    def configs(self, repository):
        return repository / "bundles" / "swin_unetr" / "configs"

    def test_it_averages_as_swa_does(self, configs):
        """From the fortieth of sixty epochs on, annealed over twenty to a tenth of the learning rate."""
        recipe, swa = (read_json(configs / f"{name}.json") for name in ("reference", "swa"))
        assert {name: recipe[name] for name in swa if name != "+recipe"} == {
            name: value for name, value in swa.items() if name != "+recipe"
        }
        parser = ConfigParser()
        parser.read_config([str(configs / f"{name}.json") for name in ("train", "reference")])
        values = [parser.get_parsed_content(f"swa_{name}") for name in ("start", "anneal_epochs", "learning_rate")]
        assert values == [40, 20, pytest.approx(parser.get_parsed_content("final_learning_rate"))]

    def test_its_schedule(self, train, configs):
        parser = train(configs.parent, ["reference"], swa_start=1, image_size=64)
        base, annealing = parser.get_parsed_content("lr_scheduler")._schedulers
        assert isinstance(base, CosineAnnealingLR)
        assert (base.eta_min, base.T_max) == (1e-4, 4)
        assert isinstance(annealing, SWALR)

    def test_with_swa_over_it_the_weights_are_averaged_once(self, train, configs):
        updates = []

        class Counted(WeightAveraging):
            def _average(self, trainer):
                updates.append(trainer.state.epoch)

        train(configs.parent, ["reference", "swa"], image_size=64, **{"swa#handler#_target_": Counted})
        assert updates == [1, 2]


def test_a_reference_is_fine_tuned_without_imagenet_weights(bundle):
    parser = ConfigParser()
    parser.read_config([str(bundle / "configs" / f"{file}.json") for file in ("train", "reference", "finetune")])
    assert parser.config.get("pretrained_path") is None
    assert parser.get_parsed_content("max_epochs") == 20
    if "swa_start" in parser.config:
        assert parser.get_parsed_content("swa_start") == 13


class TestAveragingRate:
    """The learning rate under swa.json: eight steps of the usual curve, then four to another rate, which stays."""

    RECIPE: ClassVar = {"max_epochs": 8, "batch_size": 3, "num_workers": 0, "accumulation_steps": 1}
    SWA: ClassVar = {"swa_start": 4, "swa_anneal_epochs": 2, "swa_learning_rate": 0.0005}

    def scheduler(self, repository, *overlays, **overrides):
        parser = ConfigParser()
        configs = repository / "bundles" / "effisegnet" / "configs"
        parser.read_config([str(configs / f"{name}.json") for name in ("train", *overlays)])
        parser.update(self.RECIPE | overrides)
        return parser.get_parsed_content("lr_scheduler")

    @staticmethod
    def rates(scheduler, steps):
        found = []
        for _ in range(steps):
            found.append(scheduler.optimizer.param_groups[0]["lr"])
            scheduler.optimizer.step()
            scheduler.step()
        return found

    def test_it_anneals_by_a_cosine_from_where_the_usual_curve_is_left(self, repository):
        usual = self.rates(self.scheduler(repository), 8)
        span = usual[-1] - 0.0005
        late = [0.0005 + span * (1 + math.cos(math.pi * step / 4)) / 2 for step in range(4)]
        found = self.rates(self.scheduler(repository, "swa", **self.SWA), 16)
        assert found == pytest.approx([*usual, *late, *[0.0005] * 4])

    @pytest.mark.parametrize("done", [3, 8, 10, 14])
    def test_it_continues_from_a_checkpoint(self, repository, tmp_path, done):
        expected = self.rates(self.scheduler(repository, "swa", **self.SWA), 16)
        scheduler, resumed = (self.scheduler(repository, "swa", **self.SWA) for _ in range(2))
        self.rates(scheduler, done)
        state = {"optimizer": scheduler.optimizer.state_dict(), "lr_scheduler": scheduler.state_dict()}
        save_checkpoint(tmp_path / "checkpoint.pt", state)
        state = load_checkpoint(tmp_path / "checkpoint.pt")
        resumed.optimizer.load_state_dict(state["optimizer"])
        resumed.load_state_dict(state["lr_scheduler"])
        assert self.rates(resumed, 16 - done) == expected[done:]


@pytest.mark.parametrize("overlay", COMBINABLE)
def test_evaluation_goes_over_every_recipe(repository, run_bundle, folders, needed, metrics_of, tmp_path, overlay):
    """The weights are those that the training left, whatever the recipe has put in the network's place."""
    bundle = repository / "bundles" / "effisegnet"
    settings = SMALL | needed(bundle, [overlay]) | folders(tmp_path) | {"max_epochs": 1, "swa_start": 0}
    run_bundle(bundle, files_of([overlay]), **settings)
    files = ["train.json", f"{overlay}.json", "evaluate.json", "no_tracking.json"]
    again = settings | {"output_dir": str(tmp_path / "again" / "output")}
    run_bundle(bundle, files, "evaluating", **again)
    scores = [float(metrics_of(folder)[0]["mean_dice"]) for folder in (tmp_path, tmp_path / "again")]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
