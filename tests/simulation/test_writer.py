"""Simulated hands as files."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from handseg_bundle_common.anatomy import BONE_NAMES, Side
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.masks import unpack_masks
from handseg_bundle_common.simulation import HandModel, simulate_hand, write_hands


def filled(entry: dict, size: int) -> np.ndarray:
    """Fill the polygons of one annotation, each ring on its own, as readers of the data set do."""
    points = entry["points"]
    rings = points if isinstance(points[0][0], list) else [points]
    mask = np.zeros((size, size), np.uint8)
    for ring in rings:
        cv2.fillPoly(mask, [np.array(ring).round().astype(np.int32)], 1)
    return mask.astype(bool)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.*"))}


def test_two_hands_a_patient_lie_in_the_layout_of_the_data_set(hand: HandModel, tmp_path: Path):
    pictures = write_hands(3, 96, 7, tmp_path)
    assert sorted(files(tmp_path)) == [
        "DCM/sim0007/sim0007_L.png",
        "DCM/sim0007/sim0007_R.png",
        "DCM/sim0008/sim0008_L.png",
        "outputs_json/sim0007/sim0007_L.json",
        "outputs_json/sim0007/sim0007_R.json",
        "outputs_json/sim0008/sim0008_L.json",
    ]
    assert pictures == [
        tmp_path / "DCM" / name for name in ("sim0007/sim0007_L.png", "sim0007/sim0007_R.png", "sim0008/sim0008_L.png")
    ]
    radiograph = cv2.imread(str(pictures[1]), cv2.IMREAD_UNCHANGED)
    assert radiograph.dtype == np.uint8
    assert radiograph == pytest.approx(simulate_hand(7, 96, Side.RIGHT, hand).radiograph * 255, abs=0.51)


def test_polygons_give_the_masks_back(hand: HandModel, tmp_path: Path):
    write_hands(1, 384, 2, tmp_path)
    entries = json.loads((tmp_path / "outputs_json/sim0002/sim0002_L.json").read_text())["annotations"]
    masks = unpack_masks(simulate_hand(2, 384, Side.LEFT, hand).packed_masks)
    assert [entry["label"] for entry in entries] == list(BONE_NAMES)
    for entry, mask in zip(entries, masks, strict=True):
        polygon = filled(entry, 384)
        assert 2 * (polygon & mask).sum() / (polygon.sum() + mask.sum()) >= 0.995, entry["label"]


def test_the_number_of_processes_does_not_change_a_byte(hand: HandModel, tmp_path: Path):
    write_hands(2, 64, 0, tmp_path / "one")
    write_hands(2, 64, 0, tmp_path / "two", workers=2)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_complete_pairs_are_kept_and_halves_are_written_again(hand: HandModel, tmp_path: Path):
    write_hands(2, 64, 0, tmp_path)
    kept, lost = tmp_path / "DCM/sim0000/sim0000_L.png", tmp_path / "DCM/sim0000/sim0000_R.png"
    kept.write_bytes(b"mine")
    expected = lost.read_bytes()
    lost.unlink()
    write_hands(2, 64, 0, tmp_path)
    assert kept.read_bytes() == b"mine"
    assert lost.read_bytes() == expected


def test_no_hands_are_refused(tmp_path: Path):
    with pytest.raises(HandsegInputError, match="0 hands cannot be written"):
        write_hands(0, 64, 0, tmp_path)
