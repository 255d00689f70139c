"""The picture: what was measured lies where it was measured, at one size for all."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from handseg_bundle_common.anatomy import BONES
from handseg_bundle_common.measurements import Scale, measure_hand, measures_overlay
from handseg_bundle_common.measurements.figure import SIDE_PX
from handseg_bundle_common.measurements.panel import INDEX_COLOURS


def has_colour(picture: np.ndarray, colour: tuple[int, int, int], tolerance: int = 6) -> np.ndarray:
    return np.abs(picture.astype(int) - colour).max(axis=-1) <= tolerance


@pytest.mark.parametrize("size", [(64, 50), (300, 420), (420, 300), (2000, 1700)])
def test_pictures_of_any_size_are_drawn_alike(size: tuple[int, int]) -> None:
    grey = np.zeros(size, np.float32)
    picture = measures_overlay(grey, measure_hand(np.zeros(size, np.uint32), grey), Scale())
    height, width = (round(side * SIDE_PX / max(size)) for side in size)
    assert picture.shape[0] >= max(height, 1200)
    assert picture.shape[1] == width + 480
    assert not picture[:height, :width].any()


@pytest.mark.parametrize("turn", [0, 70, 180])
def test_indices_are_drawn_in_their_colours_where_they_were_measured(draw_hand, rectangles, turn) -> None:
    packed = draw_hand(rectangles, turn)
    grey = np.full(packed.shape, 0.3, np.float32)
    measures = measure_hand(packed, grey)
    picture = measures_overlay(grey, measures, Scale(0.2))
    for index, colour in INDEX_COLOURS.items():
        start, end = getattr(measures.indices, index).lines[0]
        middle = ((start + end) / 2 + 0.5 + 0.5j) * SIDE_PX / len(packed)
        row, column = round(middle.imag), round(middle.real)
        assert has_colour(picture[row - 4 : row + 5, column - 4 : column + 5], colour).any(), index


def test_bones_keep_their_places_when_the_picture_is_enlarged(draw_hand, rectangles) -> None:
    packed = draw_hand({"Radius": rectangles["Radius"]})
    grey = np.full(packed.shape, 0.5, np.float32)
    picture = measures_overlay(grey, measure_hand(packed, grey), Scale())[:SIDE_PX, :SIDE_PX]
    drawn = cv2.resize(np.ptp(picture, axis=-1).astype(np.float32), packed.shape, interpolation=cv2.INTER_AREA) > 10
    rows, columns = np.nonzero(packed)
    found_rows, found_columns = np.nonzero(drawn)
    for expected, found in ((rows, found_rows), (columns, found_columns)):
        assert [found.min(), found.max()] == pytest.approx([expected.min(), expected.max()], abs=1)


def test_the_column_shows_which_bones_are_there(draw_hand, rectangles) -> None:
    packed = draw_hand({"Radius": rectangles["Radius"], "Lunate": rectangles["Lunate"]})
    grey = np.zeros(packed.shape, np.float32)
    column = measures_overlay(grey, measure_hand(packed, grey), Scale())[:, SIDE_PX:]
    assert {bone.name for bone in BONES if has_colour(column, bone.colour, 0).sum() > 50} == {"Radius", "Lunate"}


def test_numbers_follow_the_unit(draw_hand, rectangles) -> None:
    packed = draw_hand(rectangles)
    grey = np.zeros(packed.shape, np.float32)
    measures = measure_hand(packed, grey)
    in_px, in_mm = (measures_overlay(grey, measures, scale) for scale in (Scale(), Scale(0.1)))
    assert in_px.shape == in_mm.shape
    assert (in_px[:, SIDE_PX:] != in_mm[:, SIDE_PX:]).any()
