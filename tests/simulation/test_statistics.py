"""Measurements of one radiograph, against scikit-image and drawn shapes."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.draw import ellipse, polygon
from skimage.measure import regionprops

from handseg_bundle_common.anatomy import CHANNEL, NUM_BONES, Side
from handseg_bundle_common.masks import Packed, pack_masks

pytest.importorskip("numba")
from handseg_bundle_common.simulation.statistics import Geometry, Greys, measure_hand

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


@pytest.fixture(scope="module")
def greys() -> Greys:
    """Air of 10 levels, soft tissue of 50 around a round bone with 110 in its rim and 130 inside, with a texture of 6.

    A second bone of 200 levels lies over a quarter of the first.
    """
    row, column = np.indices((SIZE, SIZE))
    inside = 100 - np.hypot(row - 1000, column - 1000)
    picture = np.select([inside > 12, inside > 0, inside > -40], [130.0, 110.0, 50.0], 10.0)
    noise = np.random.default_rng(0).standard_normal(picture.shape) * 6
    picture += np.where(inside > 0, noise, 0)
    above = (row < 1000) & (column < 1000) & (inside > 0)
    picture[above] = 200
    packed = drawn({LUNATE: np.nonzero(inside > 0), RADIUS: np.nonzero(above)})
    return measure_hand((picture / 255).astype(np.float32), packed, "R").greys


def test_grey_levels_count_above_the_air(greys: Greys):
    assert greys.air == pytest.approx([10, 10, 10], abs=0.01)
    assert greys.beside[LUNATE] == pytest.approx(40, abs=0.01)
    assert greys.brightest == pytest.approx(190, abs=0.01)
    assert greys.bone_p99 == pytest.approx(190, abs=0.01)


def test_rim_and_core_are_those_of_pixels_without_another_bone(greys: Greys):
    assert greys.rim[LUNATE] == pytest.approx(100, abs=0.5)
    assert greys.core[LUNATE] == pytest.approx(120, abs=0.5)
    shares = 88**2 / 100**2
    assert greys.bone[LUNATE] == pytest.approx(120 * shares + 100 * (1 - shares), abs=0.5)


def test_texture_is_the_noise_that_a_wide_gaussian_leaves():
    row, column = np.indices((SIZE, SIZE))
    distance = np.hypot(row - 1000, column - 1000)
    noise = np.random.default_rng(1).standard_normal((SIZE, SIZE)) * 5
    picture = np.where(distance < 280, 110 + noise, 10)
    packed = drawn({LUNATE: np.nonzero(distance < 150)})
    measured = measure_hand((picture / 255).astype(np.float32), packed, "R").greys
    # Of the variance of white noise, 2 g(0) less the sum of g^2 is lost: 3 / (4 pi sigma^2) for a gaussian g.
    assert measured.texture[LUNATE] == pytest.approx(0.05 * np.sqrt(1 - 3 / (4 * np.pi * 8**2)), rel=0.01)
    assert np.isnan(measured.texture[RADIUS])
