"""Simulated hands drawn on the fly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from handseg_bundle_common.anatomy import Side
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.radiograph import read_radiograph
from handseg_bundle_common.masks import unpack_masks
from handseg_bundle_common.simulation import HandModel, SimulatedHands, hand_of, simulate_hand, write_hands
from handseg_bundle_common.simulation.presets import WILD
from handseg_bundle_common.simulation.settings import Settings


def test_a_sample_is_a_simulated_hand_with_packed_masks(hand: HandModel):
    data = SimulatedHands(5, (64, 96), seed=10, assets=hand)
    sample = data[3]
    expected = simulate_hand(hand_of(10, 3)[0], (64, 96), Side.RIGHT, hand)
    assert len(data) == 5
    assert (sample["image"].shape, sample["image"].dtype) == ((1, 64, 96), np.float32)
    assert (sample["label"].shape, sample["label"].dtype) == ((1, 64, 96), np.int32)
    assert (sample["image"][0] == expected.radiograph).all()
    assert (unpack_masks(sample["label"][0].view(np.uint32)) == unpack_masks(expected.packed_masks)).all()
    assert (sample["image_name"], sample["patient"]) == ("sim10-0002_R.png", "sim10-0002")


def test_samples_are_the_hands_that_are_written_for_the_same_seed(hand: HandModel, tmp_path: Path):
    pictures = write_hands(2, 64, 3, tmp_path, workers=1)
    for picture, sample in zip(pictures, SimulatedHands(2, 64, 3, hand), strict=True):
        assert picture.name == sample["image_name"]
        np.testing.assert_allclose(read_radiograph(picture), sample["image"], atol=0.5 / 255 + 1e-6)


@pytest.mark.filterwarnings("ignore:.*fork.*")
def test_the_number_of_workers_changes_nothing(hand: HandModel):
    batches = []
    for workers in (0, 2):
        loader = DataLoader(SimulatedHands(4, 64), batch_size=2, num_workers=workers)
        batches.append([(batch["image"], batch["label"]) for batch in loader])
    for (image, label), (other_image, other_label) in zip(*batches, strict=True):
        assert torch.equal(image, other_image)
        assert torch.equal(label, other_label)


@pytest.mark.parametrize("preset", ["wild", WILD], ids=["by name", "settings"])
def test_a_preset_is_a_name_or_settings(hand: HandModel, preset: str | Settings):
    sample = SimulatedHands(2, 80, seed=4, assets=hand, preset=preset)[1]
    expected = simulate_hand(hand_of(4, 1)[0], 80, Side.RIGHT, hand, WILD)
    assert (sample["image"][0] == expected.radiograph).all()


def test_an_unknown_preset_is_refused():
    with pytest.raises(HandsegInputError, match="'calm' is unknown"):
        SimulatedHands(2, 80, preset="calm")


def test_indices_end_at_the_count(hand: HandModel):
    data = SimulatedHands(2, 64, assets=hand)
    assert len(list(data)) == 2
    with pytest.raises(IndexError):
        data[2]


def test_an_empty_data_set_is_refused():
    with pytest.raises(HandsegInputError, match="ask for at least 1"):
        SimulatedHands(0, 64)
