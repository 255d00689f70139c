"""Errors as colours: every pixel's kind, compared with sets; colours that colour-blind readers tell apart."""

from __future__ import annotations

from itertools import combinations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.color import rgb2lab

from handseg_bundle_common.analysis.overlays import (
    ALL_BONES,
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    FOUND,
    MISTAKEN,
    OUTLINE,
    Box,
    Scene,
    backdrop,
    compose,
    error_layer,
    fit_size,
    hand_box,
    read_scene,
    square_around,
    zone_layer,
)

# How the three kinds of colour blindness see linear RGB. Source: G. Machado, M. Oliveira, L. Fernandes, A
# physiologically-based model for simulation of color vision deficiency, IEEE TVCG 15 (2009), severity 1.0.
COLOUR_BLINDNESS = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
LUNATE, SCAPHOID, RADIUS = 1 << 24, 1 << 23, 1 << 27


def scene(prediction, reference) -> Scene:
    return Scene(np.zeros((40, 40), np.float32), np.asarray(prediction, np.uint32), np.asarray(reference, np.uint32))


def test_every_pixel_has_the_colour_of_what_is_wrong_with_its_set_of_bones():
    draw = np.random.default_rng(0)
    prediction, reference = draw.choice([0, LUNATE, SCAPHOID, LUNATE | SCAPHOID], (2, 40, 40)).astype(np.uint32)
    layer = error_layer(scene(prediction, reference), (40, 40))
    for row, column in np.ndindex(40, 40):
        found, expected = (
            {bit for bit in (LUNATE, SCAPHOID) if mask[row, column] & bit} for mask in (prediction, reference)
        )
        colour, opacity = tuple(layer[row, column, :3]), layer[row, column, 3]
        if found == expected:
            assert colour == OUTLINE or opacity == 0
        else:
            kinds = {(True, False): FALSE_POSITIVE, (False, True): FALSE_NEGATIVE, (True, True): MISTAKEN}
            assert colour == kinds[bool(found - expected), bool(expected - found)]


def test_errors_of_other_bones_are_left_out_on_request():
    prediction, reference = np.zeros((2, 40, 40), np.uint32)
    prediction[5:10, 5:10] = LUNATE
    reference[20:30, 20:30] = RADIUS
    layer = error_layer(scene(prediction, reference), (40, 40), LUNATE)
    assert tuple(layer[7, 7, :3]) == FALSE_POSITIVE
    assert layer[25, 25, 3] == 0, "the missed radius is not asked for"
    assert 0 < layer[20, 25, 3] < error_layer(scene(prediction, reference), (40, 40))[20, 25, 3], "its outline is faint"


def test_zones_are_judged_apart_from_the_bones_around_them():
    both = LUNATE | SCAPHOID
    prediction, reference = np.full((2, 40, 40), LUNATE, np.uint32)
    reference[10:20, 10:20] = both
    prediction[10:20, 15:25] = both
    layer = zone_layer(scene(prediction, reference), (40, 40), both)
    assert [tuple(layer[14, column, :3]) for column in (12, 17, 22)] == [FALSE_NEGATIVE, FOUND, FALSE_POSITIVE]
    assert layer[30, 30, 3] == 0


def test_thin_errors_fade_but_keep_their_colour_when_the_picture_shrinks():
    prediction = np.zeros((40, 40), np.uint32)
    prediction[:, 20] = RADIUS
    full, half = (error_layer(scene(prediction, np.zeros((40, 40))), (size, size)) for size in (40, 20))
    assert tuple(half[10, 10, :3]) == FALSE_POSITIVE
    assert half[10, 10, 3] == pytest.approx(full[10, 20, 3] / 2, abs=1)


def test_a_layer_is_laid_over_by_its_opacity():
    draw = np.random.default_rng(1)
    grey, layer = draw.integers(0, 256, (9, 7), np.uint8), draw.integers(0, 256, (9, 7, 4), np.uint8)
    alpha = layer[..., 3:] / 255
    assert np.abs(compose(grey, layer) - (grey[..., None] * (1 - alpha) + layer[..., :3] * alpha)).max() <= 0.51


@given(st.integers(1, 60), st.integers(1, 60), st.data())
def test_squares_hold_the_pixels_and_lie_in_the_picture(height, width, data):
    where = np.zeros((height, width), bool)
    for _ in range(data.draw(st.integers(1, 3))):
        where[data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))] = True
    box = square_around(where)
    assert box.crop(where).sum() == where.sum()
    assert 0 <= box.top < box.bottom <= height
    assert 0 <= box.left < box.right <= width
    rows, columns = box.size
    assert rows == columns or (rows < columns and rows == height) or (columns < rows and columns == width)


def test_the_hand_is_cut_out_with_a_margin():
    reference = np.zeros((100, 100), np.uint32)
    reference[40:60, 30:50] = RADIUS
    prediction = np.zeros_like(reference)
    prediction[0:10, 45:55] = RADIUS
    assert hand_box(Scene(np.zeros((100, 100), np.float32), prediction, reference)) == Box(0, 27, 63, 58)


def test_without_bones_the_whole_picture_is_shown():
    empty = np.zeros((30, 20), np.uint32)
    assert hand_box(Scene(np.zeros((30, 20), np.float32), empty, empty)) == Box(0, 0, 30, 20)
    assert square_around(empty > 0).size[1] == 20


def test_without_a_radiograph_the_ground_is_one_grey():
    drawn = backdrop(read_scene(None, np.zeros((30, 20), np.uint32), np.zeros((30, 20), np.uint32)), (15, 10))
    assert drawn.shape == (15, 10)
    assert np.unique(drawn).size == 1
    assert 0 < drawn[0, 0] < 128


def test_radiographs_are_stretched(tmp_path):
    picture = np.tile(np.linspace(100, 150, 64).astype(np.uint8), (64, 1))
    cv2.imwrite(str(tmp_path / "flat.png"), picture)
    empty = np.zeros((64, 64), np.uint32)
    grey = read_scene(tmp_path / "flat.png", empty, empty).grey
    assert grey.shape == (64, 64)
    assert (grey.min(), grey.max()) == pytest.approx((0, 1), abs=0.02)


def test_sizes_shrink_but_never_grow():
    assert fit_size((2048, 1024), 500) == (500, 250)
    assert fit_size((100, 50), 500) == (100, 50)
    assert fit_size((3000, 1), 300) == (300, 1)


@pytest.mark.parametrize("kind", [None, *COLOUR_BLINDNESS])
def test_colours_stay_apart_with_every_kind_of_colour_blindness(kind):
    seen = []
    for colour in (FALSE_POSITIVE, FALSE_NEGATIVE, MISTAKEN, FOUND, OUTLINE):
        values = np.array(colour) / 255
        linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
        if kind:
            linear = np.clip(np.array(COLOUR_BLINDNESS[kind]) @ linear, 0, 1)
        seen.append(rgb2lab(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)))
    # Two colours that a reader tells apart at a glance differ by 10 or more (CIE 1976).
    assert min(np.linalg.norm(first - second) for first, second in combinations(seen, 2)) > 10


def test_all_bones_are_29_bits():
    assert ALL_BONES.bit_count() == 29
