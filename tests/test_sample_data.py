"""The sample that every bundle trains on by default: complete, small, and what its command makes."""

from __future__ import annotations

import re

import numpy as np

from handseg_bundle_common.anatomy import BONE_NAMES, Side
from handseg_bundle_common.datasets import data_list, fold_split, sample_dir, sample_folds
from handseg_bundle_common.formats.boostcamp import rasterise, read_annotations
from handseg_bundle_common.formats.radiograph import read_radiograph
from handseg_bundle_common.masks import unpack_masks
from handseg_bundle_common.simulation import SimulatedHands


def test_it_holds_both_hands_of_four_patients_with_every_bone():
    items = data_list(sample_dir())
    sides = {f"{side}.png" for side in Side}
    patients = {item["patient"] for item in items}
    assert len(patients) == 4
    for patient in patients:
        assert {item["image_name"].split("_")[1] for item in items if item["patient"] == patient} == sides
    for item in items:
        assert read_radiograph(item["image"]).shape == (1, 512, 512)
        assert set(read_annotations(item["label"])) == set(BONE_NAMES)


def test_it_is_under_three_megabytes():
    assert sum(path.stat().st_size for path in sample_dir().rglob("*") if path.is_file()) < 3e6


def test_every_fold_validates_on_one_patient_and_trains_on_the_others():
    validated = []
    for fold in range(4):
        training = {item["patient"] for item in fold_split(sample_dir(), sample_folds(), fold, "training")}
        validation = {item["patient"] for item in fold_split(sample_dir(), sample_folds(), fold, "validation")}
        assert not training & validation
        validated += validation
    assert len(validated) == len(set(validated)) == 4


def test_the_documented_command_makes_it(repository):
    """Reads the numbers from the command in `data/README.md` and simulates two of the hands again."""
    command = (repository / "data" / "README.md").read_text()
    count, size, seed = (
        int(re.search(rf"simulate .*--{name} (\d+)", command)[1]) for name in ("count", "size", "seed")
    )
    items = data_list(sample_dir())
    assert len(items) == count
    hands = SimulatedHands(count, size, seed)
    for index in (0, count - 1):
        item, hand = items[index], hands[index]
        assert item["image_name"] == hand["image_name"]
        # Another processor may round the last bit of a float differently.
        np.testing.assert_allclose(read_radiograph(item["image"]), hand["image"], atol=1.01 / 255)
        drawn = rasterise(read_annotations(item["label"]), size, size)
        exact = unpack_masks(hand["label"][0].view(np.uint32))
        dice = 2 * (drawn & exact).sum((1, 2)) / (drawn.sum((1, 2)) + exact.sum((1, 2)))
        assert dice.min() >= 0.995
