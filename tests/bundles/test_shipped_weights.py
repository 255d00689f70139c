"""The weights that come with the bundles: small, undamaged, of the default settings, as good as in full precision."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from handseg_bundle_common.inference import load_predictor
from handseg_bundle_common.packaging import sample_dice
from handseg_bundle_common.weights import stored_settings

MAX_BYTES, MAX_PARAMETERS = 16_000_000, 7_900_000
LEAST_DICE = {"effisegnet": 0.87, "segformer": 0.89, "swin_unetr": 0.83, "unetplusplus": 0.93}


@pytest.fixture(scope="module", params=LEAST_DICE)
def shipped(request, repository) -> Path:
    """The file of weights of each bundle in turn."""
    return repository / "bundles" / request.param / "models" / "model.pt"


@pytest.fixture
def declared(shipped) -> dict[str, Any]:
    """What the bundle's metadata says of its weights."""
    metadata = json.loads((shipped.parents[1] / "configs" / "metadata.json").read_text())
    return metadata["weights"]["models/model.pt"]


def test_the_file_is_the_one_in_the_metadata(shipped, declared):
    content = shipped.read_bytes()
    assert hashlib.sha256(content).hexdigest() == declared["sha256"]
    assert len(content) == declared["bytes"] <= MAX_BYTES
    assert declared["parameters"] <= MAX_PARAMETERS


def test_matrices_are_halved_and_statistics_are_not(shipped):
    state = torch.load(shipped, weights_only=True)["model"]
    kinds = {(tensor.dtype, tensor.ndim > 1) for tensor in state.values() if tensor.is_floating_point()}
    assert kinds == {(torch.float16, True), (torch.float32, False)}


@pytest.mark.parametrize("config", ["train.json", "inference.json"])
def test_they_were_trained_with_the_default_settings(shipped, config):
    defaults = json.loads((shipped.parents[1] / "configs" / config).read_text())
    settings = stored_settings(shipped)
    assert {"image_size", "window_size"} <= set(settings)
    assert settings == {name: defaults[name] for name in settings}


def test_they_segment_as_in_full_precision(shipped, declared):
    predictor = load_predictor(shipped.parents[1].name, device="cpu")
    assert sum(parameter.numel() for parameter in predictor.network.parameters()) == declared["parameters"]
    assert sample_dice(predictor) == pytest.approx(declared["sample_dice"], abs=0.0005)
    assert declared["sample_dice"] > LEAST_DICE[shipped.parents[1].name]


def test_the_ensembles_own_numbers_are_those_in_its_metadata(repository):
    root = repository / "bundles" / "ensemble"
    content = (root / "models" / "model.pt").read_bytes()
    declared = json.loads((root / "configs" / "metadata.json").read_text())["weights"]["models/model.pt"]
    assert declared == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def test_the_ensemble_takes_its_neighbours_weights(repository):
    predictor = load_predictor("ensemble", device="cpu")
    members = predictor.origin["took_part"]
    assert members == ["effisegnet", "segformer", "unetplusplus"]
    largest = max(
        stored_settings(repository / "bundles" / name / "models" / "model.pt")["image_size"] for name in members
    )
    assert predictor.origin["image_size"] >= largest
