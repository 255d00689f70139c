"""What is measured of a bone: its largest part, where it ends, and whether the picture cuts it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from skimage.measure import regionprops

from handseg_bundle_common.anatomy import CHANNEL
from handseg_bundle_common.measurements.regions import BoneRegion, find_regions

LUNATE = np.uint32(1 << CHANNEL["Lunate"])
MASKS = arrays(np.bool_, st.tuples(st.integers(3, 14), st.integers(3, 14))).filter(np.any)


def lunate(mask: np.ndarray) -> BoneRegion:
    return find_regions(mask * LUNATE)["Lunate"]


@given(MASKS)
def test_the_largest_part_is_measured(mask: np.ndarray) -> None:
    parts, count = ndimage.label(mask, np.ones((3, 3)))
    areas = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    region = lunate(mask)
    assert region.area == areas.max()
    (part,) = {int(parts[int(pixel.imag), int(pixel.real)]) for pixel in region.pixels}
    rows, columns = np.nonzero(parts == part)
    assert region.middle == pytest.approx(complex(columns.mean(), rows.mean()))


@given(MASKS, st.floats(0, 2 * np.pi))
def test_a_pixel_reaches_to_the_middles_of_its_edges(mask: np.ndarray, angle: float) -> None:
    region, direction = lunate(mask), complex(np.cos(angle), np.sin(angle))
    middles = np.add.outer(region.pixels, [0.5, -0.5, 0.5j, -0.5j])
    along = middles.real * direction.real + middles.imag * direction.imag
    assert region.extent(direction) == pytest.approx((along.min(), along.max()))


def test_the_largest_extent_is_the_feret_diameter_of_scikit_image() -> None:
    rows, columns = np.mgrid[:90, :120]
    ellipse = ((columns - 60) * 0.8 + (rows - 45) * 0.6) ** 2 / 40**2 + (
        (rows - 45) * 0.8 - (columns - 60) * 0.6
    ) ** 2 / 15**2 < 1
    region = lunate(ellipse)
    extents = [np.diff(region.extent(complex(np.cos(a), np.sin(a))))[0] for a in np.linspace(0, np.pi, 721)]
    (properties,) = regionprops(ellipse.astype(int))
    assert max(extents) == pytest.approx(properties.feret_diameter_max, abs=0.5)
    assert np.diff(region.extent(region.axis))[0] == pytest.approx(properties.feret_diameter_max, abs=0.5)


@pytest.mark.parametrize("degrees", [0, 17, 45, 90, 133])
def test_axis_and_elongation_are_those_of_the_covariance(degrees: float) -> None:
    rows, columns = np.mgrid[:100, :100]
    own = (columns - 49.6 + 1j * (rows - 50.3)) * np.exp(-1j * np.radians(degrees))
    region = lunate((np.abs(own.real) < 40) & (np.abs(own.imag) < 10))
    assert abs((region.axis * np.exp(-1j * np.radians(degrees))).real) == pytest.approx(1, abs=1e-3)
    assert region.elongation == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize(
    ("size", "first", "is_cut"),
    [
        pytest.param(100, 0, True, id="at the border"),
        pytest.param(100, 1, False, id="beside it in a small picture"),
        pytest.param(1000, 4, True, id="within half a per cent of a large one"),
        pytest.param(1000, 5, False, id="beyond that"),
    ],
)
def test_a_bone_at_or_just_before_the_border_is_cut(size: int, first: int, is_cut: bool) -> None:
    mask = np.zeros((size, size // 2), bool)
    mask[first : first + 20, 20:30] = True
    for turned in (mask, mask.T, mask[::-1], mask.T[:, ::-1]):
        assert lunate(turned).is_cut == is_cut


def test_a_line_crosses_a_bone_between_its_first_and_last_pixel() -> None:
    mask = np.zeros((40, 40), bool)
    mask[10:20, 5:30] = True
    region = lunate(mask)
    assert region.on_line(12 + 0j, 1j) == (9.5, 19.5)
    assert region.on_line(12 + 30j, -1j) == (10.5, 20.5)
    assert region.on_line(35 + 0j, 1j) is None


def test_bones_that_are_not_there_are_left_out() -> None:
    packed = np.zeros((9, 9), np.uint32)
    packed[4, 4] = LUNATE | np.uint32(1 << CHANNEL["Ulna"])
    assert list(find_regions(packed)) == ["Lunate", "Ulna"]
    assert not find_regions(np.zeros((9, 9), np.uint32))
