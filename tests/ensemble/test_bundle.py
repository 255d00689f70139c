"""A selection becomes a bundle of its own."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser

from handseg_bundle_common.anatomy import BONE_NAMES, NUM_BONES
from handseg_bundle_common.ensemble import EnsembleNetwork, load_ensemble, write_ensemble_bundle
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.inference import load_predictor
from handseg_bundle_common.weights import find_bundle, save_weights


@pytest.fixture
def selection(toy_member):
    """Two members of two sizes, the first of which alone decides about the thumb's tip."""
    weights = torch.full((2, NUM_BONES), 0.5)
    weights[:, 0] = torch.tensor([1.0, 0.0])
    return {
        "members": [toy_member("a", 4.0, -2.0, image_size=64), toy_member("b", 2.0, 1.0, role="small bones")],
        "combine": "probabilities",
        "bone_weights": {"a": weights[0].tolist(), "b": weights[1].tolist()},
        "thresholds": dict.fromkeys(BONE_NAMES, 0.5) | {"Pisiform": 0.4},
        "calibration": {bone: [1.0, 0.0] for bone in BONE_NAMES},
    }


def test_it_predicts_with_the_members_and_numbers_of_the_selection(selection, image, tmp_path):
    folder = write_ensemble_bundle(selection, tmp_path / "mine")
    predictor = load_predictor(str(folder), device="cpu")
    expected = load_ensemble(EnsembleNetwork(selection["members"], 64), str(folder / "models" / "model.pt"))
    assert torch.equal(predictor.network(image), expected(image))
    assert expected.fusion.weights[:, 0].tolist() == [1, 0]
    assert expected.fusion.thresholds[BONE_NAMES.index("Pisiform")] == pytest.approx(0.4)


def test_the_canvas_is_as_large_as_the_largest_member(selection, tmp_path):
    predictor = load_predictor(str(write_ensemble_bundle(selection, tmp_path / "mine")), device="cpu")
    assert predictor.network.image_size == 64


def test_it_names_the_thresholds_and_is_found_by_name(selection, tmp_path, monkeypatch):
    folder = write_ensemble_bundle(selection, tmp_path / "shelf" / "mine")
    monkeypatch.setenv("HANDSEG_BUNDLES", str(tmp_path / "shelf"))
    assert find_bundle("mine") == str(folder)
    metadata = json.loads((folder / "configs" / "metadata.json").read_text())
    assert metadata["name"] == "mine"
    assert metadata["thresholds"]["Pisiform"] == pytest.approx(0.4)


def test_its_metadata_are_of_its_own_weights_and_not_of_those_of_the_shipped_ensemble(selection, tmp_path):
    folder = write_ensemble_bundle(selection, tmp_path / "mine")
    metadata = json.loads((folder / "configs" / "metadata.json").read_text())
    content = (folder / "models" / "model.pt").read_bytes()
    assert metadata["eval_metrics"] == {}
    assert metadata["weights"]["models/model.pt"] == {
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }


def test_its_configurations_use_its_own_weights_from_any_folder(selection, tmp_path, monkeypatch):
    """Even from one that holds another bundle of the same name."""
    folder = write_ensemble_bundle(selection, tmp_path / "shelf" / "mine")
    write_ensemble_bundle(selection, tmp_path / "elsewhere" / "mine")
    monkeypatch.chdir(tmp_path / "elsewhere")
    for name in ("inference.json", "evaluate.json"):
        parser = ConfigParser(json.loads((folder / "configs" / name).read_text()))
        assert parser.get_parsed_content("weights") == str(folder / "models" / "model.pt")


def test_an_ensemble_as_a_member_is_refused_and_nothing_is_written(selection, tmp_path):
    """It could not run: predictions of an ensemble compete with those of its members, but are none of them."""
    inner = write_ensemble_bundle(selection, tmp_path / "inner")
    selection["members"][1] |= {"bundle": str(inner), "weights": str(inner / "models" / "model.pt")}
    with pytest.raises(HandsegInputError, match=r"^b: is an ensemble itself; name its members instead"):
        write_ensemble_bundle(selection, tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("key", ["bundle", "weights"])
def test_a_member_of_unknown_origin_is_refused(selection, tmp_path, key):
    selection["members"][1][key] = None
    with pytest.raises(HandsegInputError, match=r"^b: the bundle, or a single file of weights, is not known; .*--weig"):
        write_ensemble_bundle(selection, tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_weights_of_another_network_are_refused(selection, tmp_path):
    path = Path(selection["members"][1]["bundle"], "model.pt")
    save_weights(torch.nn.Conv2d(1, NUM_BONES, 3), path)
    with pytest.raises(HandsegInputError, match=rf"^{path}: has 1 tensor of another shape"):
        write_ensemble_bundle(selection, tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_an_unknown_weight_is_refused_and_nothing_is_written(selection, tmp_path):
    del selection["bone_weights"]["b"]
    with pytest.raises(HandsegInputError, match="lacks a number for a member or bone"):
        write_ensemble_bundle(selection, tmp_path / "mine")
    assert not (tmp_path / "mine").exists()
