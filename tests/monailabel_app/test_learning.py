"""Which image is next, and what a fine-tuning is told."""

from __future__ import annotations

import json
import math
import shutil
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.masks import pack_masks
from handseg_bundle_common.measurements.hand import measure_hand
from handseg_bundle_common.measurements.scale import Scale
from handseg_bundle_common.monailabel_app import scores as scores_module
from handseg_bundle_common.monailabel_app.finetune import Recipe, fine_tune, overlay_of, split
from handseg_bundle_common.monailabel_app.models import best_judge, served_models
from handseg_bundle_common.monailabel_app.scores import Scores
from handseg_bundle_common.monailabel_app.segment import disagreement, measures_as_json
from handseg_bundle_common.monailabel_app.store import LabelStore


@pytest.fixture
def store(tmp_path: Path, sample_data: Path) -> LabelStore:
    for patient in ("sim29-0001", "sim29-0002"):
        shutil.copytree(sample_data / "DCM" / patient, tmp_path / "studies" / patient)
    return LabelStore(tmp_path / "studies")


def test_disagreement_of_members_is_one_minus_their_dice():
    members = np.random.default_rng(1).random((3, NUM_BONES, 20, 20)) < 0.3
    scores = [
        np.mean([2 * (a & b).sum() / (a.sum() + b.sum()) for a, b in zip(first, second, strict=True)])
        for first, second in combinations(members, 2)
    ]
    prediction = SimpleNamespace(votes=[pack_masks(member) for member in members])
    assert disagreement(prediction, None) == pytest.approx(1 - np.mean(scores), abs=1e-4)


def test_disagreement_of_a_single_network_is_that_of_masks_drawn_from_its_probabilities():
    generator = np.random.default_rng(2)
    probabilities = generator.random((NUM_BONES, 60, 60)).astype(np.float32)
    drawn = [generator.random(probabilities.shape) < probabilities for _ in range(2)]
    dice = [2 * (a & b).sum() / (a.sum() + b.sum()) for a, b in zip(*drawn, strict=True)]
    predictor = SimpleNamespace(probabilities=lambda prediction: probabilities)
    assert disagreement(SimpleNamespace(votes=[]), predictor) == pytest.approx(1 - np.mean(dice), abs=0.01)
    certain = SimpleNamespace(probabilities=lambda prediction: np.zeros_like(probabilities))
    assert disagreement(SimpleNamespace(votes=[]), certain) == 0


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The images that were segmented to score them; their disagreement is the last digit of their folder's name."""
    images: list[str] = []

    def predict(judge: object, image: Path) -> tuple[Path, None]:
        images.append(image.stem)
        if image.stem == "sim29-0002_R":
            raise HandsegInputError(image, "cannot be read", "mend it")
        return image, None

    monkeypatch.setattr(scores_module, "predict", predict)
    monkeypatch.setattr(scores_module, "disagreement", lambda image, _: int(image.parent.name[-1]) / 10)
    return images


def test_the_image_with_most_disagreement_is_next_and_scores_are_kept(store, asked):
    scores = Scores(store, best_judge(served_models(["ensemble"], store.labels)))
    assert scores.next(most=0) is None
    choice = scores.next(most=1)
    assert choice == {"id": "sim29-0001/sim29-0001_L", "score": 0.1, "scored": 1, "unlabeled": 4}
    assert scores.add(store.list_images()) == 3
    assert scores.add(store.list_images()) == 0
    assert len(asked) == 4
    # What cannot be segmented at all comes first.
    assert scores.next()["id"] == "sim29-0002/sim29-0002_R"
    for served, image in enumerate(("sim29-0002/sim29-0002_R", "sim29-0002/sim29-0002_L"), 1):
        store.update_image_info(image, {"strategy": {"disagreement": {"ts": served}}})
    assert scores.next()["id"] == "sim29-0001/sim29-0001_L"


def test_other_weights_and_other_files_are_scored_anew(store, asked):
    models = served_models(["ensemble", "unetplusplus"], store.labels)
    scores = Scores(store, models["ensemble"])
    scores.add(store.list_images())
    assert Scores(store, models["unetplusplus"]).known("sim29-0001/sim29-0001_L") is None
    image = store.path_of("sim29-0001/sim29-0001_L")
    shutil.copyfile(store.path_of("sim29-0002/sim29-0002_L"), image)
    assert scores.known("sim29-0001/sim29-0001_L") is None
    assert scores.known("sim29-0001/sim29-0001_R") == 0.1
    (store.labels / "scores" / "sim29-0001" / "sim29-0001_R.json").write_text("{")
    assert scores.known("sim29-0001/sim29-0001_R") is None


def test_fine_tuned_weights_become_models_of_their_own(store):
    names = ["unetplusplus", "ensemble"]
    models = served_models(names, store.labels)
    assert list(models) == ["unetplusplus", "unetplusplus-finetuned", "ensemble", "ensemble-finetuned"]
    assert [model.is_ready for model in models.values()] == [True, False, True, False]
    assert [name for name, model in models.items() if model.can_learn and model.is_own] == ["unetplusplus"]
    assert best_judge(models).name == "ensemble"
    before = models["ensemble-finetuned"].version
    weights = store.labels / "models" / "unetplusplus" / "model.pt"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    assert best_judge(models).name == "ensemble-finetuned"
    assert models["ensemble-finetuned"].version != before
    config = json.loads(Path(models["ensemble-finetuned"].source(), "configs", "inference.json").read_text())
    assert {m["name"]: m["weights"] for m in config["members"]} == {
        "effisegnet": "models/model.pt",
        "segformer": "models/model.pt",
        "unetplusplus": str(weights),
    }


def test_bundles_that_cannot_be_served_are_told(store, tmp_path):
    for bundles, problem in (([], "none with weights"), (["nosuch"], "is no bundle"), (["ensemble"] * 2, "same name")):
        with pytest.raises(HandsegInputError, match=problem):
            served_models(bundles, store.labels)


def item(patient: str, image: str) -> dict[str, str]:
    return {"image": f"/{image}.png", "label": f"/{image}.seg.nrrd", "image_name": f"{image}.png", "patient": patient}


def test_whole_patients_are_held_out_and_stay_so():
    items = [item(f"p{number}", f"p{number}{side}") for number in range(10) for side in "LR"]
    training, validation, told = split(items, 0.2)
    assert told == "4 images of 2 other patients"
    assert {i["patient"] for i in training}.isdisjoint(i["patient"] for i in validation)
    assert sorted(i["image"] for i in (*training, *validation)) == sorted(i["image"] for i in items)
    assert split(list(reversed(items)), 0.2)[1] == list(reversed(validation))
    for few in (items[:2], items[:0:-1][:1]):
        assert split(few, 0.5)[:2] == (few, few)
    assert split(items, 0)[:2] == (items, items)
    assert len(split(items[:4], 0.9)[0]) == 2


def test_a_recipe_is_made_of_numbers():
    assert Recipe.parse({"model": "x", "client_id": "me", "max_epochs": 3.0, "gpus": "all"}) == Recipe(max_epochs=3)
    assert Recipe(image_size=96).settings()["image_size"] == 96
    assert "image_size" not in Recipe().settings()
    for bad in ({"max_epochs": "$1"}, {"max_epochs": 1.5}, {"max_epochs": True}, {"learning_rate": math.nan},
                {"learning_rate": 2}, {"num_workers": -1}, {"batch_size": 0}, {"val_split": [1]}):  # fmt: skip
        with pytest.raises(HandsegInputError, match="cannot be used"):
            Recipe.parse(bad)


def test_a_training_starts_from_the_bundles_weights_and_logs_nothing(store, tmp_path):
    model = served_models(["unetplusplus"], store.labels)["unetplusplus"]
    overlay = overlay_of(model, tmp_path / "run", [item("p", "a")], [item("q", "b")], Recipe())
    assert overlay["train#dataset#data"] == [item("p", "a")]
    assert overlay["validate#dataset#data"] == [item("q", "b")]
    assert overlay["initial_weights"] == str(model.bundle / "models" / "model.pt")
    assert (overlay["tracking"], overlay["ckpt_dir"]) == (False, str(tmp_path / "run" / "models"))


def test_a_training_without_labels_or_recipe_is_refused(store):
    models = served_models(["unetplusplus", "ensemble"], store.labels)
    with pytest.raises(HandsegInputError, match="no label yet"):
        fine_tune(models["unetplusplus"], store, Recipe())
    for name in ("ensemble", "unetplusplus-finetuned"):
        with pytest.raises(HandsegInputError, match="cannot be fine-tuned"):
            fine_tune(models[name], store, Recipe())
    assert not (store.labels / "trainings").exists()


def test_measures_are_plain_values_in_their_unit():
    packed = np.zeros((40, 30), np.uint32)
    packed[5:25, 5:12] |= 1
    packed[0:4, 20:25] |= 2  # cut by the border
    found = measures_as_json(measure_hand(packed, np.full((40, 30), 0.5, np.float32)), Scale(0.5))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    first, cut = found["bones"].values()
    assert (found["unit"], first["area"], first["cut"]) == ("mm", 20 * 7 * 0.25, False)
    assert (cut["area"], cut["cut"]) == (None, True)
    assert found["indices"]["carpal_height"]["value"] is None
    assert "missing" in found["indices"]["carpal_height"]["missing"]
