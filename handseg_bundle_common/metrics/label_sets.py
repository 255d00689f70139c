"""Pixels of a picture counted by the sets of bones that they belong to: all that scores without geometry need."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.masks import Packed, pack_masks
from handseg_bundle_common.metrics.crops import Masks, checked_masks


@dataclass(frozen=True, eq=False)
class LabelSets:
    """The n different pairs of a predicted set of bones and the reference's, and how often each occurs.

    Attributes:
        predicted: sets with bit k for bone k, (n,).
        expected: those of the reference, (n,).
        pixels: pixels that have both, int64 (n,).
    """

    predicted: Packed
    expected: Packed
    pixels: NDArray[np.int64]


def label_sets(prediction: Masks, reference: Masks) -> LabelSets:
    """Count the pixels of every pair of sets.

    Neighbours mostly have the same bones, so that runs of equal pixels are sorted in place of all pixels.

    Args:
        prediction: packed masks (H, W) uint32, or masks (29, H, W), bool or integer; packed is fastest.
        reference: masks of the same picture in either form.

    Raises:
        ValueError: the sizes of the pictures differ, or there are not 29 bones.
        TypeError: a mask is floating-point, or 2-D and not packed.
    """
    predicted, expected = _packed(prediction), _packed(reference)
    if predicted.shape != expected.shape:
        raise ValueError(f"prediction {predicted.shape} and reference {expected.shape} differ in size")
    predicted, expected = predicted.ravel(), expected.ravel()
    changes = (predicted[1:] != predicted[:-1]) | (expected[1:] != expected[:-1])
    starts = np.append(0, np.flatnonzero(changes) + 1)
    lengths = np.diff(starts, append=predicted.size)
    pairs = np.stack((predicted[starts], expected[starts]), 1).view(np.uint64).ravel()
    found, index = np.unique(pairs, return_inverse=True)
    pixels = np.zeros(len(found), np.int64)
    np.add.at(pixels, index, lengths)
    sets = found.view(np.uint32).reshape(-1, 2)
    return LabelSets(sets[:, 0], sets[:, 1], pixels)


def _packed(masks: Masks) -> Packed:
    array = checked_masks(masks)
    if array.ndim == 2:
        return np.ascontiguousarray(array, np.uint32)
    if len(array) != NUM_BONES:
        raise ValueError(f"masks must be those of {NUM_BONES} bones, not of {len(array)}")
    return pack_masks(array.astype(bool, copy=False))
