"""Labels at a working size, against whole masks that are resized."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.ensemble.selection.labels import read_label
from handseg_bundle_common.ensemble.selection.predictions import Case
from handseg_bundle_common.formats.boostcamp import rasterise, read_annotations, write_annotations
from handseg_bundle_common.masks import pack_masks


def case_of(label: Path, size: tuple[int, int]) -> Case:
    return Case({"label": str(label)}, size, ())


@pytest.mark.parametrize("size", [(512, 512), (256, 128), (192, 320), (200, 333), (511, 257)])
def test_labels_are_those_of_whole_masks(sample_data, size):
    label = next((sample_data / "outputs_json").rglob("*.json"))
    masks = rasterise(read_annotations(label), 512, 512).astype(np.uint8) * 255
    shrunk = [cv2.resize(mask, size[::-1], interpolation=cv2.INTER_AREA) >= 128 for mask in masks]
    np.testing.assert_array_equal(read_label(case_of(label, (512, 512)), size), pack_masks(np.stack(shrunk)))


def test_polygons_may_leave_the_radiograph(tmp_path):
    """One lies across the border, one has two rings, and one lies outside."""
    box = np.array([[0, 0], [12, 0], [12, 12], [0, 12]], np.float64)
    annotations = {"Ulna": [box - 5.5], "Radius": [box + 3, box + 20], "Pisiform": [box + 90], "Lunate": [box - 90]}
    write_annotations(tmp_path / "a.json", annotations)
    masks = rasterise(annotations, 40, 48).astype(np.uint8) * 255
    shrunk = [cv2.resize(mask, (24, 20), interpolation=cv2.INTER_AREA) >= 128 for mask in masks]
    found = read_label(case_of(tmp_path / "a.json", (40, 48)), (20, 24))
    np.testing.assert_array_equal(found, pack_masks(np.stack(shrunk)))
    assert {BONE_NAMES[k] for k in range(29) if (found & np.uint32(1 << k)).any()} == {"Ulna", "Radius"}
