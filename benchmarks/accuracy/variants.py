"""What a radiograph may go through before it is segmented: variants that move picture and masks alike."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handseg_bundle_common.anatomy import CHANNEL
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.transforms.warp import warp_packed_masks, warp_radiograph

AS_IT_IS = "as it is"

# The most distal bone of most hands: what lies above its lower end is out of the field without fingertips.
_FARTHEST_TIP = "finger-8"


class Picture(NamedTuple):
    """A radiograph float32 (H, W), bone bright, 0..1, and its packed masks (H, W)."""

    radiograph: NDArray[np.float32]
    masks: Packed


@dataclass(frozen=True)
class Variant:
    """One change.

    Attributes:
        name: what it is called in the tables.
        apply: makes the changed picture.
    """

    name: str
    apply: Callable[[Picture], Picture]


def rotated(picture: Picture, degrees: float) -> Picture:
    """Turn anticlockwise; the picture grows so that nothing is cut off, and is black in the new corners.

    Quarter turns move pixels and interpolate nothing.
    """
    if degrees % 90 == 0:
        turns = round(degrees / 90)
        return _moved(picture, lambda array: np.rot90(array, turns))
    angle = np.deg2rad(degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    height, width = picture.masks.shape
    canvas = height * abs(cos) + width * abs(sin), width * abs(cos) + height * abs(sin)
    return _resampled(picture, np.array([[cos, -sin], [sin, cos]]), (round(canvas[0]), round(canvas[1])))


def scaled(picture: Picture, factor: float) -> Picture:
    """Enlarge or shrink the hand about the middle of a picture of the same size; black where there was nothing."""
    height, width = picture.masks.shape
    return _resampled(picture, np.eye(2) / factor, (height, width))


def _resampled(picture: Picture, linear: NDArray[np.float64], canvas: tuple[int, int]) -> Picture:
    """Resample on a canvas (H, W) whose steps (x, y) from its middle, times `linear`, are those in the picture."""
    rows, columns = (np.arange(side) - (side - 1) / 2 for side in canvas)
    x, y = np.meshgrid(columns, rows)
    middle = [(side - 1) / 2 for side in picture.masks.shape[::-1]]
    grid = np.stack([a * x + b * y + offset for (a, b), offset in zip(linear, middle, strict=True)]).astype(np.float32)
    return Picture(warp_radiograph(picture.radiograph, grid), warp_packed_masks(picture.masks, grid))


def mirrored(picture: Picture) -> Picture:
    """Exchange left and right; bones keep their names, because the mirror image of a left hand is a right hand."""
    return _moved(picture, np.fliplr)


def without_fingertips(picture: Picture) -> Picture:
    """Cut the top off, down to the lower end of the distal phalanx of the middle finger."""
    tip = (picture.masks >> np.uint32(CHANNEL[_FARTHEST_TIP])) & np.uint32(1)
    rows = np.flatnonzero(tip.any(axis=1))
    top = int(rows[-1]) + 1 if len(rows) else 0
    return _moved(picture, lambda array: array[top:])


def _moved(picture: Picture, move: Callable[[NDArray[Any]], NDArray[Any]]) -> Picture:
    """Move the pixels of radiograph and masks alike."""
    return Picture(np.ascontiguousarray(move(picture.radiograph)), np.ascontiguousarray(move(picture.masks)))


def noisy(picture: Picture, deviation: float, seed: int = 0) -> Picture:
    """Add Gaussian noise of a standard deviation in shares of the grey range, the same for pictures of one size."""
    noise = np.random.default_rng(seed).standard_normal(picture.masks.shape, np.float32)
    return _with_greys(picture, picture.radiograph + np.float32(deviation) * noise)


def blurred(picture: Picture, share: float) -> Picture:
    """Blur by a Gaussian whose standard deviation is a share of the longer side."""
    sigma = share * max(picture.masks.shape)
    return _with_greys(picture, np.asarray(cv2.GaussianBlur(picture.radiograph, (0, 0), sigma), np.float32))


def with_gamma(picture: Picture, gamma: float) -> Picture:
    """Raise the grey levels to a power: below 1 makes the picture brighter."""
    return _with_greys(picture, picture.radiograph ** np.float32(gamma))


def inverted(picture: Picture) -> Picture:
    """Exchange black and white, without telling."""
    return _with_greys(picture, 1 - picture.radiograph)


def as_jpeg(picture: Picture, quality: int) -> Picture:
    """Pass the radiograph, in 8 bits, through JPEG."""
    file = io.BytesIO()
    Image.fromarray(np.rint(picture.radiograph * 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
    return _with_greys(picture, np.asarray(Image.open(file), np.float32) / np.float32(255))


def _with_greys(picture: Picture, radiograph: NDArray[np.float32]) -> Picture:
    return Picture(np.clip(radiograph, 0, 1), picture.masks)


VARIANTS = (
    *(Variant(f"rotated by {degrees}°", partial(rotated, degrees=degrees)) for degrees in (15, 30, 90)),
    *(Variant(f"hand {factor} times as large", partial(scaled, factor=factor)) for factor in (0.6, 1.5)),
    Variant("noise of 0.2", partial(noisy, deviation=0.2)),
    Variant("blur of 0.3 %", partial(blurred, share=0.003)),
    *(Variant(f"gamma {gamma}", partial(with_gamma, gamma=gamma)) for gamma in (0.5, 2)),
    Variant("inverted", inverted),
    Variant("JPEG quality 20", partial(as_jpeg, quality=20)),
    Variant("no fingertips", without_fingertips),
    Variant("mirrored", mirrored),
)
