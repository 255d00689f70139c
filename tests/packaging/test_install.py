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
from handseg_bundle_common.packaging import install, install_weights, sample_dice
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
    """A copy of a bundle with a small network, without weights, whose page and metadata tell of some."""
    folder = tmp_path_factory.mktemp("bundles") / "effisegnet"
    shutil.copytree(repository / "bundles" / "effisegnet" / "configs", folder / "configs")
    for name in ("train.json", "inference.json"):
        change(folder / "configs" / name, **SETTINGS)
    change(folder / "configs" / "metadata.json", weights={}, eval_metrics={"mean_dice": 0.99})
    (folder / "docs").mkdir()
    (folder / "docs" / "README.md").write_text("# Ours\n<!-- benchmark -->\n0.99\n<!-- /benchmark -->\nend\n")
    return folder


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.fixture(scope="module")
def installed(trained, bundle):
    return install_weights(trained, str(bundle))


def test_the_bundle_segments_with_them(installed, bundle, trained, sample_data):
    image = data_list(sample_data)[0]["image"]
    options = {"device": "cpu", "precision": "float32"}
    own, given = (load_predictor(str(bundle), weights=path, **options) for path in (None, trained))
    assert own.origin["image_size"] == 64
    assert np.mean(own(image) == given(image)) > 0.98
    assert stored_settings(installed.path) == SETTINGS


def test_the_metadata_tells_size_digest_and_dice(installed, bundle):
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    assert metadata["name"] == "effisegnet"
    assert metadata["eval_metrics"] == {}
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
    predictor = load_predictor(str(bundle), device="cpu", weights=trained, precision="float32")
    scores = []
    for item in data_list(sample_data):
        predicted = unpack_masks(predictor(item["image"]))
        label = rasterise(read_annotations(item["label"]), *predicted.shape[1:])
        for ours, theirs in zip(predicted, label, strict=True):
            total = ours.sum() + theirs.sum()
            scores.append((2 * (ours & theirs).sum() + 1e-6) / (total + 1e-6))
    assert installed.dice == pytest.approx(np.mean(scores), abs=1e-4)
    assert sample_dice(predictor) == installed.dice


def test_numbers_of_other_weights_are_taken_off_the_page(installed, bundle):
    page = (bundle / "docs" / "README.md").read_text()
    assert page == "# Ours\n<!-- benchmark -->\nNot measured yet.\n<!-- /benchmark -->\nend\n"


def test_numbers_that_an_interrupted_installation_left_are_taken_off_by_the_next(installed, bundle, trained):
    page = bundle / "docs" / "README.md"
    page.write_text(page.read_text().replace("Not measured yet.", "0.5"))
    metadata = bundle / "configs" / "metadata.json"
    before = metadata.read_bytes()
    metadata.write_text(json.dumps({name: of for name, of in json.loads(before).items() if name != "eval_metrics"}))
    install_weights(trained, str(bundle))
    assert "Not measured yet." in page.read_text()
    metadata.write_bytes(before)


def test_a_page_without_markers_leaves_everything_as_it_was(installed, bundle, tmp_path, monkeypatch):
    page = bundle / "docs" / "README.md"
    text = page.read_text()
    page.write_text("# Ours\n")
    before = {path: path.read_bytes() for path in files(bundle)}
    monkeypatch.setattr(install, "sample_dice", lambda _: 0.5)
    with pytest.raises(HandsegInputError, match="has no <!-- benchmark -->"):
        install_weights(weights_with(tmp_path / "model.pt", value=0.5), str(bundle))
    assert {path: path.read_bytes() for path in files(bundle)} == before
    page.write_text(text)


def test_installing_again_gives_the_same_bytes_and_keeps_the_numbers(installed, bundle, trained):
    page, metadata = bundle / "docs" / "README.md", bundle / "configs" / "metadata.json"
    page.write_text(page.read_text().replace("Not measured yet.", "0.5"))
    measured = json.loads(metadata.read_text()) | {"eval_metrics": {"mean_dice": 0.5}}
    metadata.write_text(json.dumps(measured, indent=4, ensure_ascii=False) + "\n")
    before = [path.read_bytes() for path in files(bundle)]
    assert install_weights(trained, str(bundle)) == installed
    assert [path.read_bytes() for path in files(bundle)] == before


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def weights_with(path: Path, value: float | None = None, **settings: object) -> Path:
    """Write weights of other settings, or with a number of their own."""
    network = EffiSegNet(decoder_channels=int(str(settings.get("decoder_channels", 8))))
    if value is not None:
        next(network.parameters()).data.flatten()[0] = value
    save_weights(network, path, settings=SETTINGS | settings)
    return path


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: path, "cannot be read"),
        (
            lambda path: weights_with(path, decoder_channels=16),
            "was trained with decoder_channels 16, unlike .*train.json",
        ),
        (lambda path: weights_with(path, image_size=96), "was trained with image_size 96"),
        (lambda path: weights_with(path, value=float("nan")), "holds numbers that are not finite"),
        (lambda path: weights_with(path, value=7e4), "holds numbers that float16 cannot hold"),
    ],
    ids=["absent", "other network", "other size", "not a number", "too large"],
)
def test_what_cannot_be_used_leaves_everything_as_it_was(installed, bundle, tmp_path, make, problem):
    before = {path: path.read_bytes() for path in files(bundle)}
    with pytest.raises(HandsegInputError, match=problem):
        install_weights(make(tmp_path / "model.pt"), str(bundle))
    assert {path: path.read_bytes() for path in files(bundle)} == before


def test_a_failure_in_the_middle_leaves_weights_and_metadata_that_belong_together(
    installed, bundle, tmp_path, monkeypatch
):
    before = {path: path.read_bytes() for path in files(bundle)}
    monkeypatch.setattr(json, "dumps", lambda *_, **__: 1 / 0)
    monkeypatch.setattr(install, "sample_dice", lambda _: 0.5)
    with pytest.raises(ZeroDivisionError):
        install_weights(weights_with(tmp_path / "model.pt", value=0.5), str(bundle))
    assert {path: path.read_bytes() for path in files(bundle)} == before


def test_weights_that_lose_by_half_precision_are_refused(installed, bundle, trained, monkeypatch):
    found = iter([0.9, 0.8994])
    monkeypatch.setattr(install, "sample_dice", lambda _: next(found))
    with pytest.raises(HandsegInputError, match=r"mean Dice of 0\.8994 in half precision instead of 0\.9000"):
        install_weights(trained, str(bundle))


def test_an_ensemble_has_none_of_its_own(trained, repository):
    with pytest.raises(HandsegInputError, match="is an ensemble, whose weights are its members'"):
        install_weights(trained, str(repository / "bundles" / "ensemble"))
