"""Shapes of single bones, against SciPy's labels and NumPy's covariances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from handseg_bundle_common.anatomy import CHANNEL, NUM_BONES
from handseg_bundle_common.ensemble.shapes import bone_shapes, usual_ratios

HAMATE = CHANNEL["Hamate"]


def shape_of(mask: np.ndarray):
    return bone_shapes(mask.astype(np.uint32) << np.uint32(HAMATE))[HAMATE]


@given(arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_parts_are_those_of_scipy(mask: np.ndarray) -> None:
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    shape = shape_of(mask)
    middles = ndimage.center_of_mass(mask, labels, range(1, count + 1))
    expected = [[np.count_nonzero(labels == 1 + n), x, y] for n, (y, x) in enumerate(middles)]
    found = [[area, at.real, at.imag] for area, at in zip(shape.areas, shape.places, strict=True)]
    np.testing.assert_allclose(sorted(np.round(found, 6).tolist()), sorted(np.round(expected, 6).tolist()), atol=2e-6)
    assert list(shape.areas) == sorted(shape.areas, reverse=True)
    assert shape.area == mask.sum()
    assert shape.largest_share == (max(shape.areas) / mask.sum() if count else 0)
    if count:
        rows, columns = np.nonzero(mask)
        assert shape.middle == complex(np.median(columns), np.median(rows))
    assert shape.is_cut == (mask[[0, -1]].any() or mask[:, [0, -1]].any())


@pytest.mark.parametrize("degrees", [0, 30, 90, 135])
def test_the_long_axis_of_a_rod(degrees: float) -> None:
    """A second part far away does not turn the axis."""
    y, x = np.indices((80, 80)) - 40
    turned = (x + 1j * y) * np.exp(-1j * np.radians(degrees))
    rod = (np.abs(turned.real) <= 24) & (np.abs(turned.imag) <= 5)
    both = rod | (np.hypot(x - 36, y + 36) < 3)
    shape = shape_of(both)
    assert abs((shape.axis * np.exp(-1j * np.radians(degrees))).real) == pytest.approx(1, abs=1e-3)
    variances = np.linalg.eigvalsh(np.cov(np.argwhere(rod).T, bias=True))
    assert shape.spread == pytest.approx(np.sqrt(variances[::-1]))


def test_a_missing_bone_has_no_part() -> None:
    shape = shape_of(np.zeros((4, 4), bool))
    assert (shape.areas, shape.places, shape.area, shape.largest_share, shape.is_cut) == ((), (), 0, 0, False)


def test_areas_are_compared_with_those_of_real_radiographs() -> None:
    """The reference gives the hamate 11536 px."""
    ratios = usual_ratios(bone_shapes(np.full((100, 100), 1 << HAMATE, np.uint32)))
    assert ratios[HAMATE] == pytest.approx(1e4 / 11536)
    assert np.count_nonzero(ratios) == 1
    assert ratios.shape == (NUM_BONES,)
