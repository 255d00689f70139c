"""A bundle of one convolution as a function from a file to masks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.radiograph import write_radiograph
from handseg_bundle_common.inference import choose_device, load_predictor
from handseg_bundle_common.masks import unpack_masks
from handseg_bundle_common.networks import EffiSegNet
from handseg_bundle_common.weights import save_weights

HEIGHT, WIDTH = 40, 64
CONFIG = {
    "bundle_root": "/nowhere",
    "weights": "$@bundle_root + '/models/model.pt'",
    "device": "$torch.device('cuda')",
    "image_size": WIDTH,
    "threshold": 0.5,
    "network_def": {"_target_": "torch.nn.Conv2d", "in_channels": 1, "out_channels": NUM_BONES, "kernel_size": 1},
    "network": {
        "_target_": "handseg_bundle_common.weights.load_weights",
        "network": "$@network_def.to(@device)",
        "path": "@weights",
    },
    "preprocessing": {"_target_": "handseg_bundle_common.transforms.inference_transforms", "image_size": "@image_size"},
    "inferer": {"_target_": "monai.inferers.SimpleInferer"},
}


def write_config(bundle: Path, **changes: object) -> None:
    config = {name: value for name, value in {**CONFIG, **changes}.items() if value is not None}
    (bundle / "configs" / "inference.json").write_text(json.dumps(config))


def write_weights(path: Path, slope: float = 20.0) -> None:
    """Weights of a network that finds channel k where the radiograph is brighter than k / 29."""
    network = nn.Conv2d(1, NUM_BONES, 1)
    nn.init.constant_(network.weight, slope)
    network.bias.data = -slope * torch.arange(NUM_BONES) / NUM_BONES
    path.parent.mkdir(exist_ok=True)
    save_weights(network, path)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    (folder / "configs").mkdir(parents=True)
    (folder / "configs" / "metadata.json").write_text("{}")
    write_config(folder)
    write_weights(folder / "models" / "model.pt")
    return folder


@pytest.fixture
def radiograph(tmp_path: Path) -> Path:
    """A ramp from black to white with levels between the thresholds of the network."""
    ramp = np.tile(np.linspace(0, 1, WIDTH, dtype=np.float32), (HEIGHT, 1))
    write_radiograph(tmp_path / "ramp.png", ramp)
    return tmp_path / "ramp.png"


def first_columns(bundle: Path, radiograph: Path, **options: object) -> list[int]:
    """Columns at which the bones begin in the predicted masks."""
    masks = unpack_masks(load_predictor(str(bundle), device="cpu", precision="float32", **options)(radiograph))
    assert masks.shape == (NUM_BONES, HEIGHT, WIDTH)
    assert (masks == masks[:, :1]).all()
    return [int(np.flatnonzero(row)[0]) if row.any() else WIDTH for row in masks[:, 0]]


def expected_columns(level: float = 0.0) -> list[int]:
    ramp = np.linspace(0, 1, WIDTH)
    low, high = np.percentile(np.tile(ramp[::4], HEIGHT // 4), (0.5, 99.8))
    stretched = np.clip((ramp - low) / (high - low), 0, 1)
    inside = stretched > np.arange(NUM_BONES)[:, None] / NUM_BONES + level
    return [int(np.argmax(row)) if row.any() else WIDTH for row in inside]


def test_masks_are_those_of_the_network(bundle: Path, radiograph: Path) -> None:
    assert first_columns(bundle, radiograph) == expected_columns()


def test_network_is_in_evaluation_mode_on_the_chosen_device(bundle: Path) -> None:
    predictor = load_predictor(str(bundle), device="cpu")
    assert not predictor.network.training
    assert predictor.device == torch.device("cpu")


def test_masks_have_the_native_size_at_any_working_size(bundle: Path, radiograph: Path) -> None:
    for image_size in (WIDTH // 2, 100):
        write_config(bundle, image_size=image_size)
        found = first_columns(bundle, radiograph)
        assert np.abs(np.subtract(found, expected_columns())).max() <= 2


def test_threshold_replaces_that_of_the_bundle(bundle: Path, radiograph: Path) -> None:
    level = float(np.log(0.9 / 0.1)) / 20
    assert first_columns(bundle, radiograph, threshold=0.9) == expected_columns(level)


def test_weights_replace_those_of_the_bundle(bundle: Path, radiograph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bundle.parent)
    write_weights(Path("@other.pt"), slope=-20.0)
    bright_is_outside = load_predictor("tiny", device="cpu", weights="@other.pt")(radiograph)
    assert unpack_masks(bright_is_outside)[5, 0, [0, -1]].tolist() == [True, False]


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        pytest.param({"inferer": None, "network": None}, {}, "does not define network, inferer", id="ids missing"),
        pytest.param({"inferer": {"_target_": "no.such.Inferer"}}, {}, "no.such", id="unknown component"),
        pytest.param({"inferer": "$1 / 0"}, {}, "ZeroDivisionError", id="broken expression"),
        pytest.param({"inferer": "@nothing"}, {}, "nothing", id="unknown reference"),
        pytest.param({}, {"weights": "absent.pt"}, "absent.pt", id="no such weights"),
        pytest.param({}, {"threshold": 1.0}, "threshold", id="threshold"),
        pytest.param({}, {"device": "tpu"}, "'tpu'", id="unknown device"),
        pytest.param({}, {"device": "mps"}, "'mps'", id="unsupported device"),
        pytest.param({}, {"device": "cuda:99"}, "'cuda:99'", id="device not there"),
    ],
)
def test_what_cannot_be_used_is_refused(
    bundle: Path, changes: dict[str, object], options: dict[str, object], message: str
) -> None:
    write_config(bundle, **changes)
    with pytest.raises(HandsegInputError, match=message) as caught:
        load_predictor(str(bundle), **{"device": "cpu", **options})
    assert "\n" not in str(caught.value)


NO_PARTS: dict[str, dict[str, object]] = {
    "network that is a number": {"network": 5},
    "network that is a text": {"network": "EffiSegNet"},
    "network that is a list": {"network": []},
    "network that is an object": {"network": {"a": 1}},
    "network that is null": {"network": "$None"},
    "network that is a path": {"network": "@weights"},
    "preprocessing": {"preprocessing": 5},
    "inferer": {"inferer": "$None"},
    "threshold that is a text": {"threshold": "abc"},
    "threshold that is null": {"threshold": "$None"},
    "threshold of 1": {"threshold": 1},
    "threshold that is true": {"threshold": True},
    "threshold that is no number": {"threshold": float("nan")},
    "threshold beyond all numbers": {"threshold": 10**400},
    "thresholds of too few bones": {"threshold": [0.5] * (NUM_BONES - 1)},
    "thresholds of which one is 0": {"threshold": [0.5] * (NUM_BONES - 1) + [0]},
}


@pytest.mark.parametrize("case", NO_PARTS)
def test_parts_that_are_not_what_their_names_promise_are_refused(bundle: Path, case: str) -> None:
    write_config(bundle, **NO_PARTS[case])
    part = case.split(maxsplit=1)[0].replace("thresholds", "threshold")
    with pytest.raises(HandsegInputError, match=rf"inference\.json: has the {part} .*, which is not ") as caught:
        load_predictor(str(bundle), device="cpu")
    assert "\n" not in str(caught.value)


def test_what_is_only_told_of_a_prediction_is_refused_too_if_it_cannot_be_built(bundle: Path) -> None:
    write_config(bundle, overlap="@nothing")
    with pytest.raises(HandsegInputError, match="cannot be built"):
        load_predictor(str(bundle), device="cpu")


def test_a_threshold_for_each_bone_is_taken(bundle: Path) -> None:
    levels = [0.25] + [0.5] * (NUM_BONES - 1)
    write_config(bundle, threshold=levels)
    assert load_predictor(str(bundle), device="cpu").threshold == levels


def test_a_broken_configuration_is_refused(bundle: Path) -> None:
    (bundle / "configs" / "inference.json").write_text("[]")
    with pytest.raises(HandsegInputError, match="does not define"):
        load_predictor(str(bundle))
    (bundle / "configs" / "inference.json").write_text("{")
    with pytest.raises(HandsegInputError, match="not JSON"):
        load_predictor(str(bundle))
    with pytest.raises(HandsegInputError, match="no bundle"):
        load_predictor(str(bundle / "models"))


def test_out_of_memory_names_the_radiograph(bundle: Path, radiograph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> torch.Tensor:
        raise torch.OutOfMemoryError

    predictor = load_predictor(str(bundle), device="cpu")
    monkeypatch.setattr(type(predictor.inferer), "__call__", exhausted)
    with pytest.raises(HandsegInputError, match=r"ramp\.png.*memory of cpu"):
        predictor(radiograph)


def test_auto_is_a_gpu_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto").type == "cuda"


def test_the_image_size_of_the_training_is_taken_over(bundle: Path, radiograph: Path) -> None:
    """Weights remember how they were trained; what the caller names wins over it."""
    save_weights(nn.Conv2d(1, NUM_BONES, 1), bundle / "models" / "model.pt", settings={"image_size": 32, "epochs": 9})
    item = {"image": str(radiograph)}
    remembered = load_predictor(str(bundle), device="cpu").preprocessing(item)["image"]
    named = load_predictor(str(bundle), device="cpu", image_size=48).preprocessing(item)["image"]
    assert max(remembered.shape) == 32
    assert max(named.shape) == 48


def test_weights_of_another_width_bring_their_network(tmp_path: Path) -> None:
    network = EffiSegNet(decoder_channels=16)
    save_weights(network, tmp_path / "model.pt", settings={"decoder_channels": 16})
    loaded = load_predictor("effisegnet", device="cpu", weights=tmp_path / "model.pt").network
    assert loaded.state_dict().keys() == network.state_dict().keys()
    assert torch.equal(loaded.head.weight, network.head.weight)
