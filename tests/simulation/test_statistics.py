"""Measurements of one radiograph, against scikit-image and drawn shapes."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.draw import ellipse, polygon
from skimage.measure import regionprops

from handseg_bundle_common.anatomy import CHANNEL, NUM_BONES, Side
from handseg_bundle_common.masks import Packed, pack_masks

pytest.importorskip("numba")
from handseg_bundle_common.simulation.statistics import Geometry, measure_hand

SIZE = 2048
LUNATE, RADIUS, METACARPAL = CHANNEL["Lunate"], CHANNEL["Radius"], CHANNEL["finger-11"]


def drawn(shapes: dict[int, tuple[np.ndarray, np.ndarray]], size: int = SIZE) -> Packed:
    """Packed masks of some bones; the others are absent."""
    masks = np.zeros((NUM_BONES, size, size), bool)
    for channel, (rows, columns) in shapes.items():
        masks[channel, rows, columns] = True
    return pack_masks(masks)


def bar(centre: tuple[float, float], length: float, width: float, lean: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of an upright bar whose top leans to the right by some degrees; centre is (column, row)."""
    turn = np.radians(lean)
    up, right = np.array([np.sin(turn), -np.cos(turn)]), np.array([np.cos(turn), np.sin(turn)])
    corners = [centre + a * length / 2 * up + b * width / 2 * right for a, b in ((1, 1), (1, -1), (-1, -1), (-1, 1))]
    columns, rows = np.array(corners).T
    return polygon(rows, columns)


@pytest.fixture(scope="module")
def hand() -> Geometry:
    """A middle metacarpal that leans 30 degrees to the ulna, a radius, and a lunate over its end."""
    shapes = {METACARPAL: bar((1100, 1000), 450, 100, 30), RADIUS: bar((900, 1700), 600, 220, -3)}
    return measure_hand(None, drawn(shapes | {LUNATE: ellipse(1400, 950, 60, 45)}), "R").geometry


def test_length_width_and_lean_of_a_bar_are_those_it_was_drawn_with(hand: Geometry):
    assert hand.length_px[METACARPAL] == pytest.approx(450, abs=2)
    assert hand.width_px[METACARPAL] == pytest.approx(100, abs=2)
    assert hand.axis_deg[METACARPAL] == pytest.approx(-30, abs=0.2)
    assert hand.tilt_deg == pytest.approx(30, abs=0.2)
    assert hand.axis_deg[RADIUS] == pytest.approx(3, abs=0.2)


def test_area_centroid_and_orientation_are_those_of_scikit_image(hand: Geometry):
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[bar((1100, 1000), 450, 100, 30)] = 1
    region = regionprops(mask)[0]
    assert hand.area_px[METACARPAL] == region.area
    assert hand.centroid_px[METACARPAL] == pytest.approx(region.centroid[::-1])
    assert hand.axis_deg[METACARPAL] == pytest.approx(np.degrees(region.orientation))


def test_overlaps_and_multiplicity_count_pixels(hand: Geometry):
    lunate, radius, metacarpal = np.zeros((3, SIZE, SIZE), bool)
    lunate[ellipse(1400, 950, 60, 45)] = radius[bar((900, 1700), 600, 220, -3)] = True
    metacarpal[bar((1100, 1000), 450, 100, 30)] = True
    both = (lunate & radius).sum()
    assert both > 0
    assert hand.covered[LUNATE, RADIUS] == pytest.approx(both / lunate.sum())
    assert hand.covered[RADIUS, LUNATE] == pytest.approx(both / radius.sum())
    assert hand.covered[METACARPAL, RADIUS] == 0
    assert hand.multiple_of_bone == pytest.approx(both / (lunate | radius | metacarpal).sum())
    assert hand.multiple_of_image == pytest.approx(both / SIZE**2)
    assert hand.bone_of_image == pytest.approx((lunate | radius | metacarpal).mean())


def test_bones_that_are_absent_have_no_area_and_nothing_else(hand: Geometry):
    ulna = CHANNEL["Ulna"]
    assert hand.area_px[ulna] == 0
    for values in (hand.length_px, hand.width_px, hand.axis_deg, hand.centroid_px, hand.covered):
        assert np.isnan(values[ulna]).all()


def test_a_left_hand_measures_as_its_mirror_image(hand: Geometry):
    packed = drawn({METACARPAL: bar((SIZE - 1 - 1100, 1000), 450, 100, -30)})
    left = measure_hand(None, packed, Side.LEFT).geometry
    assert left.tilt_deg == pytest.approx(hand.tilt_deg, abs=0.1)
    assert left.centroid_px[METACARPAL] == pytest.approx(hand.centroid_px[METACARPAL], abs=0.5)


def test_lengths_do_not_depend_on_the_size_of_the_picture(hand: Geometry):
    small = measure_hand(None, drawn({METACARPAL: bar((275, 250), 112.5, 25, 30)}, SIZE // 4), "R").geometry
    assert small.length_px[METACARPAL] == pytest.approx(hand.length_px[METACARPAL], abs=8)
    assert small.area_px[METACARPAL] == pytest.approx(hand.area_px[METACARPAL], rel=0.02)
    assert small.centroid_px[METACARPAL] == pytest.approx(hand.centroid_px[METACARPAL], abs=4)
