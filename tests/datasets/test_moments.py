"""Moments of polygons against a sum over triangles."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from handseg_bundle_common.datasets.moments import long_axis, polygon_moments

SQUARE = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])


def moments_of_triangles(ring: NDArray[np.float64]) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Cut a ring into triangles at its first vertex; area, centroid and second central moments of their sum."""
    area, first, second = 0.0, np.zeros(2), np.zeros((2, 2))
    for a, b in pairwise(ring[1:]):
        triangle = np.array([ring[0], a, b])
        u, v = a - ring[0], b - ring[0]
        signed = (u[0] * v[1] - u[1] * v[0]) / 2
        middles = (triangle + np.roll(triangle, 1, axis=0)) / 2  # a rule of three points is exact for squares
        area += signed
        first += signed * triangle.mean(axis=0)
        second += signed * sum(np.outer(m, m) for m in middles) / 3
    centroid = first / area
    return abs(area), centroid, second / area - np.outer(centroid, centroid)


@given(
    st.lists(st.floats(5, 80), min_size=5, max_size=12),
    st.floats(0, 2000),
    st.floats(0, 2000),
    st.sampled_from([1, -1]),
)
def test_a_star_shaped_ring(radii: list[float], x: float, y: float, turn: int) -> None:
    angles = turn * np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.array(radii)[:, None] + (x, y)
    found = polygon_moments([ring])
    area, centroid, covariance = moments_of_triangles(ring)
    assert found is not None
    assert found.area == pytest.approx(area, rel=1e-4)
    np.testing.assert_allclose(found.centroid, centroid, atol=1e-2)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-3, atol=0.5)


def test_rings_are_summed() -> None:
    whole = polygon_moments([SQUARE * [6, 2]])
    halves = polygon_moments([SQUARE * [3, 2], SQUARE * [3, 2] + [3, 0]])
    assert whole is not None
    assert halves is not None
    assert halves.area == whole.area == 12
    np.testing.assert_allclose(halves.centroid, [3, 1])
    np.testing.assert_allclose(halves.covariance, np.diag([6**2, 2**2]) / 12)
    np.testing.assert_allclose(whole.covariance, halves.covariance, rtol=1e-6)


@pytest.mark.parametrize("rings", [[], [SQUARE * [5, 0]], [np.zeros((3, 2))]], ids=["none", "a line", "a point"])
def test_nothing_has_no_moments(rings: list[NDArray[np.float64]]) -> None:
    assert polygon_moments(rings) is None


@pytest.mark.parametrize(("towards", "sign"), [((1, 0.1), 1), ((-1, 5), -1)])
def test_long_axis_points_where_it_is_told(towards: tuple[float, float], sign: int) -> None:
    axis = long_axis(np.diag([9.0, 1.0]), np.array(towards), 2.9)
    np.testing.assert_allclose(axis, [sign, 0], atol=1e-12)


@pytest.mark.parametrize("covariance", [np.diag([9.0, 1.0]), np.zeros((2, 2)), np.eye(2)])
def test_round_shapes_have_no_long_axis(covariance: NDArray[np.float64]) -> None:
    assert long_axis(covariance, np.array([1.0, 0]), 3.1) is None
