"""The ensemble's own weights."""

from __future__ import annotations

import pytest
import torch

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.ensemble import Fusion, load_fusion, save_fusion
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.weights import save_checkpoint, stored_settings


@pytest.fixture
def fusion():
    """Weights, thresholds and calibration that differ from bone to bone."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand((3, NUM_BONES), generator=generator)
    made = Fusion(["a", "b", "c"])
    thresholds, calibration = torch.linspace(0.3, 0.7, NUM_BONES), torch.rand((NUM_BONES, 2), generator=generator)
    made.set(weights / weights.sum(0), thresholds, calibration)
    return made


def test_all_members_count_alike_at_first():
    fusion = Fusion(["a", "b"])
    assert (fusion.weights == 0.5).all()
    assert (fusion.thresholds == 0.5).all()
    assert fusion.calibration.tolist() == [[1.0, 0.0]] * NUM_BONES


def test_it_comes_back_from_a_file_of_kilobytes(fusion, tmp_path):
    path = tmp_path / "model.pt"
    save_fusion(fusion, path, {"image_size": 1024})
    again = Fusion(["a", "b", "c"])
    load_fusion(again, path)
    assert path.stat().st_size < 10_000
    assert stored_settings(path) == {"image_size": 1024}
    for name, tensor in fusion.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)


def test_members_may_stand_in_another_order(fusion, tmp_path):
    save_fusion(fusion, tmp_path / "model.pt")
    again = Fusion(["c", "a", "b"])
    load_fusion(again, tmp_path / "model.pt")
    assert torch.equal(again.weights, fusion.weights[[2, 0, 1]])


def test_other_members_are_refused(fusion, tmp_path):
    save_fusion(fusion, tmp_path / "model.pt")
    with pytest.raises(HandsegInputError, match="is for the members a, b, c, not a, b"):
        load_fusion(Fusion(["a", "b"]), tmp_path / "model.pt")


def test_those_kept_share_the_weights_of_those_left_out(fusion):
    before = fusion.weights.clone()
    fusion.keep(["a", "c"])
    expected = before[[0, 2]] / before[[0, 2]].sum(0)
    torch.testing.assert_close(fusion.weights, expected)
    assert fusion.names == ("a", "c")


def test_bones_without_weight_among_those_kept_are_shared_equally():
    fusion = Fusion(["a", "b", "c"])
    weights = torch.zeros((3, NUM_BONES))
    weights[1] = 1
    fusion.set(weights, fusion.thresholds, fusion.calibration)
    fusion.keep(["a", "c"])
    assert (fusion.weights == 0.5).all()


def _with(name, tensor):
    fusion = Fusion(["a", "b"])
    return {key: value.clone() for key, value in fusion.state_dict().items()} | {name: tensor}


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (_with("weights", torch.full((2, NUM_BONES), 0.6)), "do not sum to 1"),
        (_with("weights", torch.tensor([[1.5], [-0.5]]).repeat(1, NUM_BONES)), "negative"),
        (_with("thresholds", torch.ones(NUM_BONES)), "no probability"),
        (_with("thresholds", torch.ones(NUM_BONES - 1)), "shape"),
        (_with("calibration", torch.full((NUM_BONES, 2), torch.nan)), "not finite"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(tensors, message, tmp_path):
    save_checkpoint(tmp_path / "model.pt", {"members": ["a", "b"], "model": tensors})
    with pytest.raises(HandsegInputError, match=message):
        load_fusion(Fusion(["a", "b"]), tmp_path / "model.pt")


def test_the_weights_of_a_network_are_refused(tmp_path):
    save_checkpoint(tmp_path / "model.pt", {"model": {"head.weight": torch.zeros(1)}})
    with pytest.raises(HandsegInputError, match="holds no weights of an ensemble"):
        load_fusion(Fusion(["a", "b"]), tmp_path / "model.pt")
