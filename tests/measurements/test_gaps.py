"""Gaps of neighbours against distances of all their pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from handseg_bundle_common.anatomy import BONE_NAMES, CHANNEL
from handseg_bundle_common.measurements.gaps import NEIGHBOURS, Gap, measure_gaps
from handseg_bundle_common.measurements.regions import find_regions

SPOTS = arrays(np.bool_, (12, 14), elements=st.sampled_from([False, False, True]))


def gap(scaphoid: np.ndarray, lunate: np.ndarray) -> Gap:
    packed = np.zeros(scaphoid.shape, np.uint32)
    for bone, mask in {"Scaphoid": scaphoid, "Lunate": lunate}.items():
        packed |= mask.astype(np.uint32) << np.uint32(CHANNEL[bone])
    (found,) = (gap for gap in measure_gaps(find_regions(packed)) if gap.bones == ("Scaphoid", "Lunate"))
    return found


def block(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((40, 50), bool)
    mask[rows, columns] = True
    return mask


@pytest.mark.parametrize("between", [0, 1, 7])
def test_as_many_px_apart_as_there_are_rows_between(between: int) -> None:
    first, second = block(slice(5, 15), slice(5, 20)), block(slice(15 + between, 30), slice(10, 40))
    for masks in ((first, second), (second, first), (first.T, second.T)):
        assert gap(*masks).distance == pytest.approx(between)
        assert gap(*masks).overlap == 0


def test_overlapping_bones_are_not_apart_and_share_an_area() -> None:
    found = gap(block(slice(5, 15), slice(5, 20)), block(slice(12, 30), slice(10, 40)))
    assert (found.distance, found.overlap, found.line) == (0, 3 * 10, None)


def test_a_bone_within_another_overlaps_by_its_own_area() -> None:
    found = gap(block(slice(5, 30), slice(5, 30)), block(slice(12, 15), slice(10, 14)))
    assert (found.distance, found.overlap) == (0, 12)


def test_bones_that_touch_at_a_corner_are_not_apart() -> None:
    found = gap(block(slice(5, 15), slice(5, 20)), block(slice(15, 30), slice(20, 40)))
    assert (found.distance, found.overlap, found.line) == (0, 0, (19.5 + 14.5j, 19.5 + 14.5j))


@given(SPOTS.filter(np.any), SPOTS.filter(np.any))
def test_the_distance_is_that_of_the_nearest_squares_of_all_pairs(first: np.ndarray, second: np.ndarray) -> None:
    parts = [largest_part(mask) for mask in (first, second)]
    found = gap(first, second)
    both = np.count_nonzero(parts[0] & parts[1])
    assert found.overlap == both
    if not both:
        own, other = map(np.argwhere, parts)
        between = np.maximum(np.abs(own[:, None] - other) - 1, 0)  # rows and columns between two pixels
        assert found.distance == pytest.approx(np.hypot(*between.T).min())
        assert abs(found.line[1] - found.line[0]) == pytest.approx(found.distance)
        assert np.abs(own @ (1j, 1) - found.line[0]).min() == pytest.approx(np.sqrt(0.5)), "a corner of a pixel"


def largest_part(mask: np.ndarray) -> np.ndarray:
    """Return the largest part of a mask that has one."""
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    assume(np.count_nonzero(areas == areas.max()) == 1)
    return labels == 1 + areas.argmax()


def test_missing_bones_leave_a_pair_without_numbers() -> None:
    found = measure_gaps({})
    assert [gap.bones for gap in found] == list(NEIGHBOURS)
    assert np.isnan([[gap.distance, gap.overlap] for gap in found]).all()


def test_every_bone_has_a_neighbour_and_no_pair_stands_twice() -> None:
    assert {bone for pair in NEIGHBOURS for bone in pair} == set(BONE_NAMES)
    assert len({frozenset(pair) for pair in NEIGHBOURS}) == len(NEIGHBOURS)
