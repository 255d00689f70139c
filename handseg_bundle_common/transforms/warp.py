"""Geometry: one warp of a radiograph and its masks, computed for the training window only, and plain scaling."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from numpy.typing import NDArray

from handseg_bundle_common.errors import HandsegInputError

FloatArray = NDArray[np.float32]

_MEDIUM = 65


@dataclass(frozen=True)
class WarpParameters:
    """What one random warp is made of.

    Attributes:
        centre: position of the window's centre in the native image, as fractions (x, y).
        angle: rotation in radians, anticlockwise on the screen.
        zoom: magnification; above 1 the hand becomes larger.
        shear: tangent of the horizontal shear.
        flip: mirror left and right; channel k stays bone k, because the mirror image of a left hand is a right hand.
        displacements: (2, n, n) shifts (x, y) of an n x n control grid, as fractions of the window's width.
    """

    centre: tuple[float, float] = (0.5, 0.5)
    angle: float = 0.0
    zoom: float = 1.0
    shear: float = 0.0
    flip: bool = False
    displacements: FloatArray | None = None


def sampling_grid(parameters: WarpParameters, native_size: tuple[int, int], scale: float, window: int) -> FloatArray:
    """Return where every pixel of the window comes from.

    Args:
        parameters: the warp.
        native_size: (H, W) of the native image in px.
        scale: window pixels per native pixel before the zoom.
        window: side of the square window in px.

    Returns:
        (2, window, window) native coordinates, x and y, in px, pixel centres at integers.
    """
    offset = np.arange(window, dtype=np.float32) - np.float32((window - 1) / 2)
    x, y = offset[np.newaxis, :], offset[:, np.newaxis]
    if parameters.displacements is not None:
        shifts = [_enlarged(shift, window) for shift in parameters.displacements]
        x, y = (axis + np.float32(window) * shift for axis, shift in zip((x, y), shifts, strict=True))
    cos, sin = np.cos(parameters.angle), np.sin(parameters.angle)
    mirror = -1.0 if parameters.flip else 1.0
    linear = np.array([[mirror, 0], [0, 1]]) @ [[cos, -sin], [sin, cos]] @ [[1, parameters.shear], [0, 1]]
    linear = (linear / (scale * parameters.zoom)).astype(np.float32)
    centre = np.array(parameters.centre) * native_size[::-1] - 0.5
    grid = np.empty((2, window, window), np.float32)
    for axis, (along_x, along_y) in enumerate(linear):
        np.multiply(x, along_x, out=grid[axis])
        grid[axis] += along_y * y
        grid[axis] += np.float32(centre[axis])
    return grid


def _enlarged(shifts: FloatArray, window: int) -> FloatArray:
    """Enlarge a control grid (n, n) to the window, cubic in shape.

    OpenCV is slow at cubic enlargements of a few pixels, so that a grid of medium size stands between, whose cells are
    small enough to be filled in linearly.
    """
    medium = cv2.resize(shifts, (_MEDIUM, _MEDIUM), interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.resize(medium, (window, window), interpolation=cv2.INTER_LINEAR), np.float32)


def moved(grid: FloatArray, origin: tuple[float, float], factor: tuple[float, float] = (1.0, 1.0)) -> FloatArray:
    """Return a grid (2, h, w) in the coordinates of a cut and shrunk picture.

    Args:
        grid: coordinates (x, y) in the whole picture.
        origin: coordinates (x, y) of the first pixel that was kept.
        factor: pixels (x, y) of the new picture per pixel of the old one.
    """
    if origin == (0, 0) and factor == (1, 1):
        return grid
    scale = np.array(factor, np.float32).reshape(2, 1, 1)
    # Pixel centres are at integers: the picture's edge is half a pixel before the first of them.
    offset = (0.5 - np.array(origin, np.float32).reshape(2, 1, 1)) * scale - np.float32(0.5)
    result: FloatArray = grid * scale
    result += offset
    return result


def grid_stride(grid: FloatArray) -> float:
    """Return how many native pixels lie between neighbours of a grid (2, h, w), the median over rows."""
    # Strides change slowly, so that every eighth row and column tells enough.
    steps = np.hypot(*np.diff(grid[:, ::8], axis=2)[..., ::8])
    return float(np.median(steps)) if steps.size else 1.0


def warp_radiograph(image: FloatArray, grid: FloatArray) -> FloatArray:
    """Resample a radiograph (H, W) on a grid (2, h, w), bilinear, black outside.

    Where the grid strides over more than one native pixel, the image is first shrunk by that stride with an average
    over areas, as validation and inference shrink it, so that fine texture does not alias.
    """
    stride = grid_stride(grid)
    if stride > 1:
        height, width = image.shape
        shrunk = max(round(width / stride), 1), max(round(height / stride), 1)
        image = np.asarray(cv2.resize(image, shrunk, interpolation=cv2.INTER_AREA), np.float32)
        grid = moved(grid, (0, 0), (shrunk[0] / width, shrunk[1] / height))
    return np.asarray(cv2.remap(image, grid[0], grid[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT), np.float32)


def warp_packed_masks(packed: NDArray[np.uint32], grid: FloatArray) -> NDArray[np.uint32]:
    """Resample packed masks (H, W) on a grid (2, h, w): nearest neighbour, all 29 bones in one pass."""
    channels = np.ascontiguousarray(packed).view(np.uint8).reshape(*packed.shape, 4)
    warped = cv2.remap(channels, grid[0], grid[1], cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
    return np.ascontiguousarray(warped).view(np.uint32)[..., 0]


def checked_size(name: str, size: int) -> int:
    """Return a size in px if it is one.

    Raises:
        HandsegInputError: it is not positive.
    """
    if size < 1:
        raise HandsegInputError(name, f"{size} px is no size", "choose at least 32, better 256 to 2048")
    return size


class ResizeRadiographd(MapTransform):
    """Scale a radiograph so that its longer side has `image_size` px; masks stay at the native size.

    Shrinking averages over the area, enlarging is bilinear.
    """

    def __init__(self, keys: KeysCollection = "image", *, image_size: int, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.image_size = checked_size("image_size", image_size)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of the item with the image as a float32 tensor (1, h, w)."""
        item = dict(data)
        for key in self.key_iterator(item):
            image = np.asarray(item[key], np.float32)[0]
            scale = self.image_size / max(image.shape)
            height, width = (max(round(n * scale), 1) for n in image.shape)
            method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            item[key] = torch.from_numpy(cv2.resize(image, (width, height), interpolation=method)[None])
        return item
