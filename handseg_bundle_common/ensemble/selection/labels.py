"""The annotated masks of a radiograph at the size at which models are compared."""

from __future__ import annotations

import math

import cv2
import numpy as np

from handseg_bundle_common.anatomy import CHANNEL
from handseg_bundle_common.ensemble.selection.predictions import Case
from handseg_bundle_common.formats.boostcamp import Annotations, rasterise_packed, read_annotations
from handseg_bundle_common.masks import Packed


def read_label(case: Case, size: tuple[int, int]) -> Packed:
    """Return the packed masks (h, w) of a radiograph.

    A pixel belongs to a bone when the bone covers at least half of its area (INTER_AREA).

    Raises:
        HandsegInputError: the polygons cannot be read.
    """
    annotations = read_annotations(case.item["label"])
    if size == case.size:
        return rasterise_packed(annotations, *size)
    packed = np.zeros(size, np.uint32)
    for bone, rings in annotations.items():
        points = np.concatenate(rings)[:, ::-1]
        ends = zip(np.floor(points.min(axis=0)), np.ceil(points.max(axis=0)) + 1, case.size, size, strict=True)
        (rows, own_rows), (columns, own_columns) = (_aligned(*along) for along in ends)
        part = packed[own_rows, own_columns]
        if part.size:
            part |= _shrunk({bone: rings}, case.size, (rows, columns), part.shape) << np.uint32(CHANNEL[bone])
    return packed


def _aligned(start: float, stop: float, native: int, working: int) -> tuple[slice, slice]:
    """Return the pixels of a part at the native and at the working size, where edges of pixels coincide."""
    common = math.gcd(native, working)
    step, own_step = native // common, working // common
    first = min(max(math.floor(start / step), 0), common)
    last = min(max(math.ceil(stop / step), first), common)
    return slice(first * step, last * step), slice(first * own_step, last * own_step)


def _shrunk(
    annotations: Annotations, native: tuple[int, int], window: tuple[slice, slice], shape: tuple[int, ...]
) -> Packed:
    """Return the mask of one bone in a window, 0 or 1, at the working size."""
    mask = rasterise_packed(annotations, *native, window) != 0
    height, width = shape
    covered = cv2.resize(mask.view(np.uint8) * np.uint8(255), (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(covered >= 128, np.uint32)
