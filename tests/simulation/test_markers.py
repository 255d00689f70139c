"""Letters and rings that are drawn over a radiograph."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from handseg_bundle_common.anatomy import Side
from handseg_bundle_common.simulation.markers import (
    Marker,
    Ring,
    add_marker,
    add_ring,
    draw_ring,
    draw_side_marker,
    draw_text,
)
from handseg_bundle_common.simulation.presets import WILD

FREE = np.zeros((32, 32), bool)
MARKER = Marker(
    text="?",
    is_side=True,
    places=((0.5, 0.5),),
    height=0.4,
    font=0,
    weight=0.2,
    angle=0.0,
    mirrored=False,
    grey=1.0,
    plate="",
    plate_grey=0.0,
)


def drawn(marker: Marker, side: Side, size: int = 200) -> np.ndarray:
    grey = np.full((size, size), 0.1, np.float32)
    add_marker(grey, FREE, side, marker)
    return grey


def box(grey: np.ndarray) -> np.ndarray:
    """Cut out the letter."""
    rows, columns = np.nonzero(grey > 0.5)
    return grey[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] > 0.5


def test_an_l_has_its_stem_on_the_left_and_its_foot_below():
    letter = box(drawn(MARKER, Side.LEFT))
    height, width = letter.shape
    assert height > width
    assert letter[:, : width // 4].mean() > 0.9
    assert letter[-height // 8 :].mean() > 0.85
    assert not letter[: height // 2, width // 2 :].any()


def test_an_r_has_a_full_stem_on_the_left_and_one_hole_above():
    letter = box(drawn(MARKER, Side.RIGHT))
    holes, count = ndimage.label(~np.pad(letter, 1))
    inner = [index for index in range(1, count + 1) if index != holes[0, 0]]
    enclosed = [index for index in inner if (holes == index).sum() > 20]
    assert letter[:, : letter.shape[1] // 6].mean() > 0.85
    assert len(enclosed) == 1
    assert ndimage.center_of_mass(holes == enclosed[0])[0] < letter.shape[0] / 2


def test_a_marker_that_was_laid_down_the_wrong_way_is_the_mirror_image():
    letter, turned = (drawn(replace(MARKER, mirrored=mirrored), Side.LEFT) for mirrored in (False, True))
    assert (box(turned)[:, ::-1] == box(letter)).mean() > 0.97


@pytest.mark.parametrize("size", [100, 200, 800])
def test_letters_have_their_height_and_grey_at_any_size_of_the_picture(size: int):
    grey = drawn(MARKER, Side.LEFT, size)
    assert len(box(grey)) == pytest.approx(0.4 * size, rel=0.1)
    assert grey.max() == pytest.approx(1, abs=0.02)
    rows, columns = np.nonzero(grey > 0.5)
    assert ((rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2) == pytest.approx(
        (size / 2, size / 2), abs=0.08 * size
    )


def test_a_turned_letter_is_turned():
    upright, lying = (box(drawn(replace(MARKER, angle=angle), Side.LEFT)) for angle in (0.0, 90.0))
    assert (np.array(lying.shape[::-1]) == pytest.approx(upright.shape, abs=2)) is True
    back = np.rot90(lying, -1)
    rows, columns = (min(pair) for pair in zip(back.shape, upright.shape, strict=True))
    assert (back[:rows, :columns] == upright[:rows, :columns]).mean() > 0.95


def test_the_first_place_without_bones_is_taken():
    occupied = np.zeros((32, 32), bool)
    occupied[:16] = True
    grey = np.full((200, 200), 0.1, np.float32)
    add_marker(grey, occupied, Side.LEFT, replace(MARKER, places=((0.5, 0.3), (0.5, 0.78)), height=0.1))
    assert (grey[:100] == np.float32(0.1)).all()
    assert (grey[100:] > 0.9).any()


def test_a_marker_without_a_free_place_is_left_out():
    grey = np.full((200, 200), 0.1, np.float32)
    add_marker(grey, np.ones((32, 32), bool), Side.LEFT, MARKER)
    assert (grey == np.float32(0.1)).all()


def test_a_plate_lies_under_the_letters():
    grey = drawn(replace(MARKER, height=0.1, plate="round", plate_grey=0.2, grey=0.9), Side.RIGHT)
    plate = np.isclose(grey, 0.3, atol=0.01)
    rows, columns = np.nonzero(grey > 0.2)
    radius = np.ptp(rows) / 2
    assert np.ptp(columns) == pytest.approx(np.ptp(rows), abs=2)
    assert (grey > 0.2).sum() == pytest.approx(np.pi * radius**2, rel=0.08)
    assert plate.sum() > 0.5 * (grey > 0.2).sum()


def test_a_ring_lies_across_its_finger_and_nowhere_else():
    packed = np.zeros((300, 300), np.uint32)
    packed[60:240, 130:160] = 1 << 14
    grey = np.full((300, 300), 0.2, np.float32)
    add_ring(grey, packed, Ring(14, place=0.4, height=0.3, tilt=0.0, grey=1.0))
    rows, columns = np.nonzero(grey > 0.6)
    assert (rows.mean(), columns.mean()) == pytest.approx((60 + 0.4 * 180, 144.5), abs=3)
    assert 30 < np.ptp(columns) < 70
    assert np.ptp(rows) == pytest.approx(0.3 * 30, abs=4)


def test_a_hand_without_the_finger_has_no_ring():
    grey = np.full((50, 50), 0.2, np.float32)
    add_ring(grey, np.zeros((50, 50), np.uint32), Ring(14, 0.4, 0.3, 0.0, 1.0))
    assert (grey == np.float32(0.2)).all()


@pytest.mark.parametrize("draw", [draw_side_marker, draw_text])
def test_whatever_is_drawn_can_be_laid_on_a_picture(draw):
    for seed in range(20):
        marker = draw(np.random.default_rng(seed), WILD.field)
        grey = drawn(marker, Side.RIGHT, 300)
        assert 0 <= grey.min() < grey.max() <= 1
        assert (grey != np.float32(0.1)).mean() < 0.5
        assert draw_ring(np.random.default_rng(seed), WILD.field).channel in (5, 9, 13, 17)
