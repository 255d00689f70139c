"""Weights of a training become a bundle's own: half the size, with their digest, and only if they can be used."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from handseg_bundle_common.datasets import data_list
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.boostcamp import rasterise, read_annotations
from handseg_bundle_common.inference import load_predictor
from handseg_bundle_common.masks import unpack_masks
from handseg_bundle_common.networks import EffiSegNet
from handseg_bundle_common.packaging import install_weights, sample_dice
from handseg_bundle_common.weights import declared_digest, save_weights, stored_settings

SETTINGS = {"image_size": 64, "decoder_channels": 8}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Weights of a network that nobody has trained, which finds every bone somewhere."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("run") / "model.pt"
    save_weights(EffiSegNet(decoder_channels=8), path, settings=SETTINGS, epoch=3)
    return path


@pytest.fixture(scope="module")
def bundle(repository, tmp_path_factory) -> Path:
    """A copy of a bundle without weights."""
    folder = tmp_path_factory.mktemp("bundles") / "effisegnet"
    shutil.copytree(repository / "bundles" / "effisegnet" / "configs", folder / "configs")
    metadata = json.loads((folder / "configs" / "metadata.json").read_text())
    metadata.pop("weights", None)
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    return folder


@pytest.fixture(scope="module")
def installed(trained, bundle):
    return install_weights(trained, str(bundle))


def test_the_bundle_segments_with_them(installed, bundle, trained, sample_data):
    image = data_list(sample_data)[0]["image"]
    own, given = (load_predictor(str(bundle), device="cpu", weights=path) for path in (None, trained))
    assert own.origin["image_size"] == 64
    assert np.mean(own(image) == given(image)) > 0.98
    assert stored_settings(installed.path) == SETTINGS


def test_the_metadata_tells_size_digest_and_dice(installed, bundle):
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    assert metadata["name"] == "effisegnet"
    assert metadata["weights"]["models/model.pt"] == {
        "sha256": hashlib.sha256(installed.path.read_bytes()).hexdigest(),
        "bytes": installed.path.stat().st_size,
        "parameters": sum(p.numel() for p in EffiSegNet(decoder_channels=8).parameters()),
        "sample_dice": round(installed.dice, 5),
    }
    assert declared_digest(installed.path) == installed.sha256


def test_matrices_take_half_the_space_and_statistics_keep_their_precision(installed, trained):
    state = torch.load(installed.path, weights_only=True)["model"]
    kinds = {(tensor.dtype, tensor.ndim > 1) for tensor in state.values() if tensor.is_floating_point()}
    assert kinds == {(torch.float16, True), (torch.float32, False)}
    assert installed.path.stat().st_size < 0.6 * trained.stat().st_size


def test_the_dice_is_that_of_the_sample(installed, bundle, trained, sample_data):
    predictor = load_predictor(str(bundle), device="cpu", weights=trained)
    scores = []
    for item in data_list(sample_data):
        predicted = unpack_masks(predictor(item["image"]))
        label = rasterise(read_annotations(item["label"]), *predicted.shape[1:])
        for ours, theirs in zip(predicted, label, strict=True):
            total = ours.sum() + theirs.sum()
            scores.append((2 * (ours & theirs).sum() + 1e-6) / (total + 1e-6))
    assert installed.dice == pytest.approx(np.mean(scores), abs=1e-4)
    assert sample_dice(predictor) == installed.dice


def test_installing_again_gives_the_same_bytes(installed, bundle, trained):
    metadata = (bundle / "configs" / "metadata.json").read_bytes()
    assert install_weights(trained, str(bundle)) == installed
    assert (bundle / "configs" / "metadata.json").read_bytes() == metadata


def test_what_cannot_be_used_leaves_everything_as_it_was(installed, bundle, tmp_path):
    before = installed.path.read_bytes()
    wide, broken = EffiSegNet(decoder_channels=16), EffiSegNet(decoder_channels=8)
    torch.nn.init.constant_(next(broken.parameters()), float("nan"))
    save_weights(wide, tmp_path / "wide.pt", settings=SETTINGS)
    save_weights(broken, tmp_path / "broken.pt", settings=SETTINGS)
    for name, problem in (("wide", "of another shape"), ("broken", "not finite"), ("absent", "cannot be read")):
        with pytest.raises(HandsegInputError, match=problem):
            install_weights(tmp_path / f"{name}.pt", str(bundle))
    assert installed.path.read_bytes() == before
    assert declared_digest(installed.path) == installed.sha256


def test_an_ensemble_has_none_of_its_own(trained, repository):
    with pytest.raises(HandsegInputError, match="is an ensemble, whose weights are its members'"):
        install_weights(trained, str(repository / "bundles" / "ensemble"))
