"""Packed masks, against setting one bit at a time."""

from __future__ import annotations

import numpy as np
import pytest

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.masks import pack_masks, unpack_masks


@pytest.fixture
def masks() -> np.ndarray:
    return np.random.default_rng(0).random((NUM_BONES, 5, 7)) < 0.3


def test_bit_k_is_bone_k(masks: np.ndarray) -> None:
    packed = pack_masks(masks)
    assert packed.dtype == np.uint32
    assert packed.shape == (5, 7)
    for row, column in np.ndindex(5, 7):
        assert int(packed[row, column]) == sum(2**k for k in range(NUM_BONES) if masks[k, row, column])


def test_unpacking_reads_single_bits() -> None:
    packed = np.array([[0, 1, 2**28, 2**28 + 5]], np.uint32)
    masks = unpack_masks(packed)
    assert masks.dtype == bool
    assert [np.flatnonzero(masks[:, 0, column]).tolist() for column in range(4)] == [[], [0], [28], [0, 2, 28]]


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32])
def test_round_trip_of_masks_of_any_type(masks: np.ndarray, dtype: type) -> None:
    np.testing.assert_array_equal(unpack_masks(pack_masks(masks.astype(dtype))), masks)


def test_any_positive_value_is_one_bone_only() -> None:
    masks = np.zeros((NUM_BONES, 1, 1), np.uint8)
    masks[3] = 255
    assert int(pack_masks(masks)[0, 0]) == 2**3


def test_round_trip_of_every_bone_in_every_pixel() -> None:
    masks = np.ones((NUM_BONES, 2, 2), bool)
    assert (pack_masks(masks) == 2**29 - 1).all()
    assert unpack_masks(pack_masks(masks)).all()


def test_another_number_of_masks_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        pack_masks(np.zeros((NUM_BONES - 1, 2, 2), bool))
