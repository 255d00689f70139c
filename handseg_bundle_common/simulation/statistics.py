"""What one radiograph of a hand measures: shape, place and overlap of its bones, and their grey levels."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import CHANNEL, NUM_BONES, Side
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.simulation.grey_statistics import Greys, Image, measure_greys

Values = NDArray[np.float64]

# Lengths are those of a radiograph whose longer side has this many pixels.
REFERENCE_SIZE = 2048


@dataclass(frozen=True)
class Geometry:
    """Shape, place and overlap of the bones of one hand; lengths in pixels of 2048.

    Left hands are measured as their mirror image, so that the radius lies at low columns.

    Attributes:
        area_px: area of each bone (29,).
        length_px: extent along the bone's principal axis (29,).
        width_px: extent across it (29,).
        centroid_px: column and row (29, 2).
        axis_deg: principal axis in (-90, 90]; 0 is vertical, negative leans to the ulna distally (29,).
        covered: share of each bone that lies under each other one (29, 29).
        multiple_of_bone: share of bone pixels with two labels or more.
        multiple_of_image: their share of all pixels.
        bone_of_image: share of all pixels that show bone.
        tilt_deg: tilt of the third metacarpal towards the ulna.
    """

    area_px: Values
    length_px: Values
    width_px: Values
    centroid_px: Values
    axis_deg: Values
    covered: Values
    multiple_of_bone: Values
    multiple_of_image: Values
    bone_of_image: Values
    tilt_deg: Values


@dataclass(frozen=True)
class HandMeasurements:
    """What one radiograph measures.

    Attributes:
        geometry: from the masks.
        greys: from the picture, None where there is none.
    """

    geometry: Geometry
    greys: Greys | None


def measure_hand(radiograph: Image | None, packed_masks: Packed, side: Side | str) -> HandMeasurements:
    """Measure one radiograph and its masks.

    Args:
        radiograph: (H, W), 0..1, bone bright, or None for the masks alone.
        packed_masks: (H, W).
        side: left hands are mirrored before they are measured.
    """
    mirror = slice(None, None, -1 if Side(side) is Side.LEFT else 1)
    packed = np.ascontiguousarray(packed_masks[:, mirror])
    scale = REFERENCE_SIZE / max(packed.shape)
    pixels = _count(packed)
    geometry = _geometry(packed, pixels, scale)
    if radiograph is None:
        return HandMeasurements(geometry, None)
    grey = np.ascontiguousarray(radiograph[:, mirror], np.float32) * 255
    return HandMeasurements(geometry, measure_greys(grey, packed, pixels.boxes, scale))


@dataclass(frozen=True)
class _Pixels:
    """Sums over the pixels of each bone.

    Attributes:
        shared: pixels that two bones share, and on the diagonal those of each bone (29, 29).
        sums: of x, y, x², x y and y² (29, 5).
        boxes: first row, last row, first column, last column (29, 4).
    """

    shared: Values
    sums: Values
    boxes: NDArray[np.int64]


def _count(packed: Packed) -> _Pixels:
    height, width = packed.shape
    shared, sums = np.zeros((NUM_BONES, NUM_BONES)), np.zeros((NUM_BONES, 5))
    boxes = np.tile(np.array([height, -1, width, -1]), (NUM_BONES, 1))
    _add_pixels(packed, shared, sums, boxes)
    return _Pixels(shared, sums, boxes)


def _geometry(packed: Packed, pixels: _Pixels, scale: float) -> Geometry:
    area = np.diag(pixels.shared)
    present = np.where(area > 0, area, np.nan)[:, None]
    x, y, xx, xy, yy = (pixels.sums / present).T
    # Principal axis of the second central moments, as an angle from the rows' direction to the columns'.
    axis = np.arctan2(2 * (xy - x * y), (yy - y * y) - (xx - x * x)) / 2
    extents = np.tile([np.inf, -np.inf, np.inf, -np.inf], (NUM_BONES, 1))
    _add_extents(packed, np.sin(axis), np.cos(axis), extents)
    extents[area == 0] = np.nan
    length, width = extents[:, 1] - extents[:, 0] + 1, extents[:, 3] - extents[:, 2] + 1
    several, any_bone = np.count_nonzero(packed & (packed - np.uint32(1))), np.count_nonzero(packed)
    return Geometry(
        area_px=area * scale**2,
        length_px=length * scale,
        width_px=width * scale,
        centroid_px=np.stack([x, y], 1) * scale,
        axis_deg=np.degrees(axis),
        covered=pixels.shared / present * (1 - np.eye(NUM_BONES)),
        multiple_of_bone=np.array(several / any_bone if any_bone else np.nan),
        multiple_of_image=np.array(several / packed.size),
        bone_of_image=np.array(any_bone / packed.size),
        tilt_deg=-np.degrees(axis[CHANNEL["finger-11"]]),
    )


@numba.njit(cache=True, nogil=True)
def _add_pixels(packed, shared, sums, boxes):  # type: ignore[no-untyped-def]
    """Add every pixel to the sums of the bones that cover it."""
    channels = np.empty(len(shared), np.int64)
    for row in range(packed.shape[0]):
        for column in range(packed.shape[1]):
            bits = packed[row, column]
            count = 0
            for channel in range(len(shared)):
                if bits >> np.uint32(channel) & np.uint32(1):
                    channels[count] = channel
                    count += 1
            for k in range(count):
                channel, box = channels[k], boxes[channels[k]]
                for other in channels[:count]:
                    shared[channel, other] += 1
                sums[channel, 0] += column
                sums[channel, 1] += row
                sums[channel, 2] += column * column
                sums[channel, 3] += column * row
                sums[channel, 4] += row * row
                box[0], box[1] = min(box[0], row), max(box[1], row)
                box[2], box[3] = min(box[2], column), max(box[3], column)


@numba.njit(cache=True, nogil=True)
def _add_extents(packed, sine, cosine, extents):  # type: ignore[no-untyped-def]
    """Widen the extents along and across the axis of every bone by the pixels that it covers."""
    for row in range(packed.shape[0]):
        for column in range(packed.shape[1]):
            bits = packed[row, column]
            if bits == 0:
                continue
            for channel in range(len(extents)):
                if bits >> np.uint32(channel) & np.uint32(1):
                    along = column * sine[channel] + row * cosine[channel]
                    across = column * cosine[channel] - row * sine[channel]
                    extent = extents[channel]
                    extent[0], extent[1] = min(extent[0], along), max(extent[1], along)
                    extent[2], extent[3] = min(extent[2], across), max(extent[3], across)
