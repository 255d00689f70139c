"""Predictions as polygon files of the data set."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from handseg_bundle_common.anatomy import CHANNEL, NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.boostcamp import rasterise_packed, read_annotations
from handseg_bundle_common.formats.mask_image import MaskImage
from handseg_bundle_common.formats.polygons import read_polygons, write_polygons
from handseg_bundle_common.masks import pack_masks

MASKS = np.random.default_rng(0).random((NUM_BONES, 9, 8)) < 0.7
MASKS[CHANNEL["Ulna"]] = False
IMAGE = MaskImage("p1/hand.png", pack_masks(MASKS), (0.14, 0.15))
SQUARE = {"label": "Ulna", "points": [[1, 1], [4, 1], [4, 4]]}


def test_labels_are_read_as_those_of_the_data_set(tmp_path: Path) -> None:
    write_polygons(tmp_path / "hand.json", IMAGE)
    np.testing.assert_array_equal(rasterise_packed(read_annotations(tmp_path / "hand.json"), 9, 8), IMAGE.masks)
    assert set(json.loads((tmp_path / "hand.json").read_text())) == {"annotations", "filename", "metadata"}


def test_size_name_and_spacing_come_back(tmp_path: Path) -> None:
    write_polygons(tmp_path / "hand.json", IMAGE)
    back = read_polygons(tmp_path / "hand.json")
    np.testing.assert_array_equal(back.masks, IMAGE.masks)
    assert (back.name, back.spacing_mm, back.notes) == ("hand.png", IMAGE.spacing_mm, ())


def save(tmp_path: Path, **document: object) -> Path:
    (tmp_path / "x.json").write_text(json.dumps({"annotations": [SQUARE]} | document))
    return tmp_path / "x.json"


def test_files_without_a_size_need_one(tmp_path: Path) -> None:
    path = save(tmp_path)
    assert read_polygons(path, (6, 7)).masks.shape == (6, 7)
    with pytest.raises(HandsegInputError, match=r"does not tell the size .*--images"):
        read_polygons(path)


def test_files_of_an_image_of_another_size_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path, metadata={"height": 6, "width": 7})
    assert read_polygons(path).masks.shape == (6, 7)
    with pytest.raises(HandsegInputError, match="of an image of 7 x 6 px"):
        read_polygons(path, (7, 6))


@pytest.mark.parametrize("metadata", [None, [], {"height": "6", "width": 7}, {"height": 6}, {"height": True}])
def test_odd_metadata_tell_nothing(tmp_path: Path, metadata: object) -> None:
    assert read_polygons(save(tmp_path, metadata=metadata, filename=3), (5, 5)).name == ""


def test_a_size_without_end_takes_no_memory(tmp_path: Path) -> None:
    with pytest.raises(HandsegInputError, match="more than"):
        read_polygons(save(tmp_path, metadata={"height": 10**6, "width": 10**6}))


def test_corners_between_pixels_are_told(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps({"annotations": [SQUARE | {"points": [[0.5, 0], [4, 0], [4, 4]]}]}))
    (note,) = read_polygons(tmp_path / "x.json", (5, 5)).notes
    assert "corners between pixels" in note
