"""Grey levels of the bones of one radiograph, of their rims and cores, and of what lies beside them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.masks import Packed

Values = NDArray[np.float64]
Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

# Bands by their distance from a bone's outline, from and to in pixels of 2048: inside it and beside it.
_RIM, _CORE, _BESIDE = (3.0, 9.0), (18.0, np.inf), (6.0, 16.0)
# Farther from every bone than the thickest soft tissue, about 24 mm, lies air.
_AIR_DISTANCE = 160.0
_SMOOTHING = 8.0
_AIR_PERCENTILES = (5, 50, 95)


@dataclass(frozen=True)
class Greys:
    """Grey levels of one radiograph in 256 levels above the air's median.

    Bones count only where no other bone lies over them; what a bone lacks, such as a core, is NaN.

    Attributes:
        bone: mean of each bone (29,).
        rim: mean 3 to 9 pixels inside the outline (29,).
        core: mean more than 18 pixels inside it (29,).
        beside: mean of the soft tissue 6 to 16 pixels outside it, where no other bone lies (29,).
        texture: standard deviation more than 3 pixels inside the outline once a gaussian of 8 pixels is removed, over
            the bone's mean (29,).
        air: 5th, 50th and 95th percentile of the air itself, not above it (3,).
        bone_p99: 99th percentile of all bone.
        brightest: brightest pixel of all bone.
    """

    bone: Values
    rim: Values
    core: Values
    beside: Values
    texture: Values
    air: Values
    bone_p99: Values
    brightest: Values


def measure_greys(grey: Image, packed: Packed, boxes: NDArray[np.int64], scale: float) -> Greys:
    """Measure the grey levels of one radiograph.

    Args:
        grey: (H, W), 0..255, bone bright.
        packed: packed masks (H, W).
        boxes: first row, last row, first and last column of each bone (29, 4); the last row of an absent bone is -1.
        scale: reference pixels of a pixel.
    """
    away = cv2.distanceTransform((packed == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) * scale
    around = grey[away > _AIR_DISTANCE]
    air = np.percentile(around, _AIR_PERCENTILES) if around.size else np.full(3, np.nan)
    above = grey - np.float32(np.nan_to_num(air[1]))
    residual = above - cv2.GaussianBlur(above, (0, 0), _SMOOTHING / scale)
    measured = np.full((NUM_BONES, 5), np.nan)
    for channel, box in enumerate(boxes):
        if box[1] >= 0:
            crop = _crop(box, packed.shape, scale)
            measured[channel] = _bands(above[crop], residual[crop], packed[crop], channel, scale)
    bone, rim, core, beside, texture = measured.T
    everywhere = above[packed > 0]
    return Greys(
        bone=bone,
        rim=rim,
        core=core,
        beside=beside,
        texture=texture,
        air=air,
        bone_p99=np.array(np.percentile(everywhere, 99) if everywhere.size else np.nan),
        brightest=np.array(everywhere.max(initial=0)),
    )


def _crop(box: NDArray[np.int64], shape: tuple[int, ...], scale: float) -> tuple[slice, slice]:
    """Return the box of a bone and of the soft tissue beside it, as far as the picture reaches."""
    margin = int(np.ceil(_BESIDE[1] / scale)) + 1
    first_row, last_row, first_column, last_column = box
    return (
        slice(max(first_row - margin, 0), min(last_row + margin + 1, shape[0])),
        slice(max(first_column - margin, 0), min(last_column + margin + 1, shape[1])),
    )


def _bands(grey: Image, residual: Image, packed: Packed, channel: int, scale: float) -> list[float]:
    """Return mean grey of a bone, its rim, its core and the soft tissue beside it, and its texture."""
    mask = (packed >> np.uint32(channel)) & np.uint32(1)
    inside, outside = (_distance(part.astype(np.uint8)) * scale for part in (mask, 1 - mask))
    alone, nothing = packed == np.uint32(1 << channel), packed == 0
    texture = residual[alone & (inside > _RIM[0])]
    return [
        _mean(grey, alone),
        _mean(grey, alone & _within(inside, _RIM)),
        _mean(grey, alone & _within(inside, _CORE)),
        _mean(grey, nothing & _within(outside, _BESIDE)),
        float(texture.std()) / _mean(grey, alone) if texture.size else np.nan,
    ]


def _distance(mask: NDArray[np.uint8]) -> Image:
    return np.asarray(cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_5), np.float32)


def _within(distance: Image, band: tuple[float, float]) -> Mask:
    return (distance > band[0]) & (distance <= band[1])


def _mean(grey: Image, where: Mask) -> float:
    return float(grey[where].mean()) if where.any() else np.nan
