"""Sizes of single bones against geometry, scikit-image and NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import perimeter_crofton

from handseg_bundle_common.measurements.bones import BoneMeasures, measure_bone, perimeter
from handseg_bundle_common.measurements.frame import HandFrame
from handseg_bundle_common.measurements.regions import find_regions

SIDE = 200
FRAME = HandFrame(distal=-1j, ulnar=1)


def measured(mask: np.ndarray, radiograph: np.ndarray | None = None) -> BoneMeasures:
    (region,) = find_regions(mask.astype(np.uint32)).values()
    return measure_bone(region, np.zeros(mask.shape, np.float32) if radiograph is None else radiograph, FRAME)


def turned(degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Return places along and across an axis that leans by degrees from upright to the right."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    own = (columns - 99.7 + 1j * (rows - 100.2)) * 1j * np.exp(-1j * np.radians(degrees))
    return own.real, own.imag


@pytest.mark.parametrize("degrees", [-88, -60, -45, -10, 0, 5, 30, 45, 71, 90])
@pytest.mark.parametrize(("length", "width"), [(150, 30), (61.3, 17.8), (80, 60)])
def test_a_rectangle_has_its_sides(length: float, width: float, degrees: float) -> None:
    along, across = turned(degrees)
    bone = measured((np.abs(along) < length / 2) & (np.abs(across) < width / 2))
    assert bone.length == pytest.approx(length, abs=1.1)
    assert bone.width == pytest.approx(width, abs=1.1)
    assert bone.area == pytest.approx(length * width, rel=0.04)
    assert bone.perimeter == pytest.approx(2 * (length + width), rel=0.07)
    assert abs(math.remainder(bone.orientation - degrees, 180)) < 0.5


@pytest.mark.parametrize("degrees", [-70, 0, 33, 45])
def test_an_ellipse_has_its_axes(degrees: float) -> None:
    along, across = turned(degrees)
    bone = measured((along / 80) ** 2 + (across / 32) ** 2 < 1)
    ramanujan = math.pi * (3 * (80 + 32) - math.sqrt((3 * 80 + 32) * (80 + 3 * 32)))
    assert bone.length == pytest.approx(160, abs=1)
    assert bone.width == pytest.approx(64, abs=1)
    assert bone.area == pytest.approx(math.pi * 80 * 32, rel=0.005)
    assert bone.perimeter == pytest.approx(ramanujan, rel=0.02)
    assert bone.orientation == pytest.approx(degrees, abs=0.3)


def test_calipers_cross_in_their_middles_and_end_at_the_bone() -> None:
    along, across = turned(25)
    (head, base), (left, right) = measured((np.abs(along) < 70) & (np.abs(across) < 20)).calipers
    assert (head + base) / 2 == pytest.approx((left + right) / 2)
    assert (head + base) / 2 == pytest.approx(99.7 + 100.2j, abs=0.5)
    assert ((base - head) * (right - left).conjugate()).real == pytest.approx(0, abs=1e-9)


@given(arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 1)))
def test_the_perimeter_is_that_of_scikit_image(mask: np.ndarray) -> None:
    padded = np.pad(mask, 1)
    assert perimeter(padded) == pytest.approx(perimeter_crofton(padded, directions=4))


def test_intensity_is_the_mean_under_the_mask() -> None:
    radiograph = np.random.default_rng(0).random((SIDE, SIDE)).astype(np.float32)
    along, across = turned(40)
    mask = (np.abs(along) < 50) & (np.abs(across) < 9)
    assert measured(mask, radiograph).mean_intensity == pytest.approx(radiograph[mask].mean(), rel=1e-5)


def test_a_cut_bone_has_direction_and_brightness_but_no_size() -> None:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[120:, 50:70] = True
    bone = measured(mask, np.full((SIDE, SIDE), 0.25, np.float32))
    assert bone.is_cut
    assert np.isnan([bone.length, bone.width, bone.area, bone.perimeter]).all()
    assert (bone.orientation, bone.mean_intensity, bone.calipers) == (pytest.approx(0), 0.25, ())


def test_a_single_pixel_is_one_px_long() -> None:
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = True
    bone = measured(mask)
    assert (bone.length, bone.width, bone.area) == (1, 1, 1)
    assert math.isnan(bone.orientation)
