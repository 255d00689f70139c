"""Overlapping masks cut bone by bone to small rectangles, on which metrics of shape and outline work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.utils import convert_to_numpy
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.metrics.empty import EmptyMasks

Masks = Packed | NDArray[np.bool_] | NDArray[np.integer[Any]] | torch.Tensor
Crop = NDArray[np.uint8]

_Integers = NDArray[np.integer[Any]]
_BITS: Packed = np.left_shift(np.uint32(1), np.arange(NUM_BONES, dtype=np.uint32))


@dataclass(frozen=True, eq=False)
class BoneCrop:
    """One bone of prediction and reference in the smallest rectangle that contains both, and a margin.

    Attributes:
        channel: the bone.
        prediction: its predicted mask, (h, w), 0 or 1, contiguous.
        reference: its mask in the reference, same shape.
        offset: row and column of the crop's first pixel in the picture; negative where the crop begins before it.
        inside: the rows and columns of the crop that lie in the picture; both masks are 0 outside.
    """

    channel: int
    prediction: Crop
    reference: Crop
    offset: tuple[int, int]
    inside: tuple[slice, slice]


def bone_crops(prediction: Masks, reference: Masks, margin: int = 1) -> Iterator[BoneCrop]:
    """Cut every bone out of prediction and reference, in channel order.

    A crop reaches `margin` px beyond the bone on every side, even beyond the border of the picture: a mask always has
    background around it, and what lies beyond the picture counts as background. A bone that is empty in both gives
    the crop around the picture's first pixel, all zeros, so that every bone has one.

    Args:
        prediction: packed masks (H, W) uint32, or masks (C, H, W), bool or integer, as array or tensor; what is not 0
            is inside.
        reference: masks of the same picture in either form.
        margin: px of background around a bone.

    Yields:
        One crop a bone.

    Raises:
        ValueError: the numbers of bones or the sizes of the pictures differ, or a picture has no pixel.
        TypeError: a mask is floating-point (probabilities must pass a threshold first), or 2-D and not packed.
    """
    predicted, expected = checked_masks(prediction), checked_masks(reference)
    bones, *size = _shape(predicted)
    if _shape(expected) != (bones, *size):
        raise ValueError(f"prediction {_shape(predicted)} and reference {_shape(expected)} differ in bones or size")
    spans = [_spans(_occupied(predicted, axis) | _occupied(expected, axis), margin) for axis in (-1, -2)]
    for channel in range(bones):
        outer = [span[channel].tolist() for span in spans]
        window = [slice(max(start, 0), min(stop, length)) for (start, stop), length in zip(outer, size, strict=True)]
        (top, bottom), (left, right) = outer
        rows, columns = window
        inside = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
        crops = np.zeros((2, bottom - top, right - left), np.uint8)
        for crop, masks in zip(crops, (predicted, expected), strict=True):
            crop[inside] = _bone(masks, channel, (rows, columns))
        yield BoneCrop(channel, crops[0], crops[1], (top, left), inside)


def score_crops(
    score: Callable[[BoneCrop], float | NDArray[np.float64]], prediction: Masks, reference: Masks, empty: EmptyMasks
) -> NDArray[np.float64]:
    """Return one score a bone, (C,) float64, or several, (scores, C).

    Args:
        score: function of a crop with a margin of 1 px; what it gives for an empty mask counts where `empty` is None.
        prediction: masks as `bone_crops` takes them.
        reference: masks of the same picture in either form.
        empty: scores where a mask has no pixel.

    Raises:
        ValueError: the numbers of bones or the sizes of the pictures differ.
        TypeError: a mask is floating-point, or 2-D and not packed.
    """
    scores, predicted, expected = [], [], []
    for crop in bone_crops(prediction, reference):
        scores.append(score(crop))
        predicted.append(np.count_nonzero(crop.prediction))
        expected.append(np.count_nonzero(crop.reference))
    of_bones = torch.from_numpy(np.array(scores, np.float64).T)
    return empty.apply(of_bones, torch.tensor(predicted), torch.tensor(expected)).numpy()


def checked_masks(masks: Masks) -> NDArray[np.integer[Any]]:
    """Return masks as an array, packed (H, W) or not (C, H, W).

    Raises:
        ValueError: the shape is neither of the two, or there is no pixel.
        TypeError: a mask is floating-point, or 2-D and not packed.
    """
    array: _Integers = convert_to_numpy(masks)
    if array.dtype.kind not in "bui":
        raise TypeError("masks must be bool or integer; threshold probabilities first")
    if array.ndim == 2 and array.dtype != np.uint32:
        raise TypeError(f"masks of two dimensions must be packed, uint32, not {array.dtype}")
    if array.ndim not in {2, 3} or array.size == 0:
        raise ValueError(f"masks must have the shape (H, W), packed, or (C, H, W), not {array.shape}")
    return array


def _shape(masks: _Integers) -> tuple[int, ...]:
    return masks.shape if masks.ndim == 3 else (NUM_BONES, *masks.shape)


def _occupied(masks: _Integers, axis: int) -> NDArray[np.bool_]:
    """Tell for every bone and row (axis -1) or column (axis -2) whether the bone has a pixel there."""
    if masks.ndim == 3:
        return np.asarray(masks.any(axis))
    line = np.bitwise_or.reduce(masks, axis)
    return np.not_equal(np.bitwise_and.outer(_BITS, line), 0)


def _spans(occupied: NDArray[np.bool_], margin: int) -> NDArray[np.intp]:
    """Return the first pixel and the one after the last of every bone, (C, 2), widened by the margin."""
    first = occupied.argmax(1)
    stop = occupied.shape[1] - occupied[:, ::-1].argmax(1)
    stop[~occupied.any(1)] = 1
    return np.stack((first - margin, stop + margin), 1)


def _bone(masks: _Integers, channel: int, window: tuple[slice, slice]) -> NDArray[np.bool_]:
    """Return one bone's mask in a window."""
    part = masks[(channel, *window)] if masks.ndim == 3 else masks[window] & _BITS[channel]
    return np.not_equal(part, 0)
