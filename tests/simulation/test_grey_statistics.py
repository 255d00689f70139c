"""Grey levels of one radiograph, against drawn ones."""

from __future__ import annotations

import numpy as np
import pytest

from handseg_bundle_common.anatomy import CHANNEL, NUM_BONES
from handseg_bundle_common.masks import Packed, pack_masks

pytest.importorskip("numba")
from handseg_bundle_common.simulation.grey_statistics import Greys
from handseg_bundle_common.simulation.statistics import measure_hand

SIZE = 2048
LUNATE, RADIUS = CHANNEL["Lunate"], CHANNEL["Radius"]


def drawn(shapes: dict[int, np.ndarray]) -> Packed:
    """Packed masks of some bones; the others are absent."""
    masks = np.zeros((NUM_BONES, SIZE, SIZE), bool)
    for channel, mask in shapes.items():
        masks[channel] = mask
    return pack_masks(masks)


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
    packed = drawn({LUNATE: inside > 0, RADIUS: above})
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
    packed = drawn({LUNATE: distance < 150})
    measured = measure_hand((picture / 255).astype(np.float32), packed, "R").greys
    # Of the variance of white noise, 2 g(0) less the sum of g^2 is lost: 3 / (4 pi sigma^2) for a gaussian g.
    assert measured.texture[LUNATE] == pytest.approx(0.05 * np.sqrt(1 - 3 / (4 * np.pi * 8**2)), rel=0.01)
    assert np.isnan(measured.texture[RADIUS])
