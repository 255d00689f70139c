"""Simulated hands drawn on the fly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from handseg_bundle_common.anatomy import Side
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.masks import unpack_masks
from handseg_bundle_common.simulation import HandModel, SimulatedHands, simulate_hand


def test_a_sample_is_a_simulated_hand_with_packed_masks(hand: HandModel):
    data = SimulatedHands(5, (64, 96), seed=10, assets=hand)
    sample = data[1]
    expected = simulate_hand(11, (64, 96), Side.RIGHT, hand)
    assert len(data) == 5
    assert (sample["image"].shape, sample["image"].dtype) == ((1, 64, 96), np.float32)
    assert (sample["label"].shape, sample["label"].dtype) == ((1, 64, 96), np.int32)
    assert (sample["image"][0] == expected.radiograph).all()
    assert (unpack_masks(sample["label"][0].view(np.uint32)) == unpack_masks(expected.packed_masks)).all()
    assert (sample["image_name"], sample["patient"]) == ("sim000011_R", "sim000011")


def test_a_sample_depends_on_seed_plus_index_only(hand: HandModel):
    assert (SimulatedHands(5, 64, 3, hand)[2]["image"] == SimulatedHands(2, 64, 4, hand)[1]["image"]).all()


@pytest.mark.filterwarnings("ignore:.*fork.*")
def test_the_number_of_workers_changes_nothing(hand: HandModel):
    batches = []
    for workers in (0, 2):
        loader = DataLoader(SimulatedHands(4, 64), batch_size=2, num_workers=workers)
        batches.append([(batch["image"], batch["label"]) for batch in loader])
    for (image, label), (other_image, other_label) in zip(*batches, strict=True):
        assert torch.equal(image, other_image)
        assert torch.equal(label, other_label)


def test_indices_end_at_the_count(hand: HandModel):
    data = SimulatedHands(2, 64, assets=hand)
    assert len(list(data)) == 2
    with pytest.raises(IndexError):
        data[2]


def test_an_empty_data_set_is_refused():
    with pytest.raises(HandsegInputError, match="ask for at least 1"):
        SimulatedHands(0, 64)
