"""One geometric warp of a radiograph and its masks, computed for the training window only."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform
from numpy.typing import NDArray

from handseg_bundle_common.errors import HandsegInputError

FloatArray = NDArray[np.float32]


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
        (window, window, 2) native coordinates (x, y) in px, pixel centres at integers.
    """
    offset = np.arange(window, dtype=np.float32) - (window - 1) / 2
    points = np.stack(np.meshgrid(offset, offset), axis=-1)
    if parameters.displacements is not None:
        shifts = [
            cv2.resize(shift, (window, window), interpolation=cv2.INTER_CUBIC) for shift in parameters.displacements
        ]
        points += window * np.stack(shifts, axis=-1)
    cos, sin = np.cos(parameters.angle), np.sin(parameters.angle)
    mirror = -1.0 if parameters.flip else 1.0
    linear = np.array([[mirror, 0], [0, 1]]) @ [[cos, -sin], [sin, cos]] @ [[1, parameters.shear], [0, 1]]
    linear /= scale * parameters.zoom
    height, width = native_size
    centre = np.array([parameters.centre[0] * width, parameters.centre[1] * height]) - 0.5
    return np.asarray(points @ linear.T + centre, np.float32)


def warp_radiograph(image: FloatArray, grid: FloatArray) -> FloatArray:
    """Resample a radiograph (H, W) on a grid (h, w, 2), bilinear, black outside.

    Where the grid strides over more than one native pixel, the image is first shrunk by that stride with an average
    over areas, as validation and inference shrink it, so that fine texture does not alias.
    """
    stride = float(np.median(np.linalg.norm(np.diff(grid, axis=1), axis=-1)))
    if stride > 1:
        native = np.array(image.shape[::-1])
        shrunk = np.maximum(np.round(native / stride), 1).astype(int)
        image = np.asarray(cv2.resize(image, shrunk.tolist(), interpolation=cv2.INTER_AREA), np.float32)
        grid = ((grid + 0.5) * (shrunk / native) - 0.5).astype(np.float32)
    warped = cv2.remap(image, grid[..., 0], grid[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(warped, np.float32)


def warp_packed_masks(packed: NDArray[np.uint32], grid: FloatArray) -> NDArray[np.uint32]:
    """Resample packed masks (H, W) on a grid (h, w, 2): nearest neighbour, all 29 bones in one pass."""
    channels = np.ascontiguousarray(packed).view(np.uint8).reshape(*packed.shape, 4)
    warped = cv2.remap(channels, grid[..., 0], grid[..., 1], cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
    return np.ascontiguousarray(warped).view(np.uint32)[..., 0]


def _checked_size(name: str, size: int) -> int:
    if size < 1:
        raise HandsegInputError(name, f"{size} px is no size", "choose at least 32, better 256 to 2048")
    return size


class RandWarpd(RandomizableTransform, MapTransform):
    """Cut a square window from a radiograph and its packed masks, randomly warped, in one resampling.

    Args:
        keys: the radiograph, float32 (1, H, W), and the packed masks, int32 (1, H, W), in this order.
        image_size: the native image's longer side is scaled to this many pixels.
        window_size: side of the window in px; None takes the whole image (black beside a longer side).
        prob: probability of a warp; otherwise the window is only cut and scaled.
        rotate_range: largest rotation in degrees, either way.
        zoom_range: smallest and largest magnification, drawn log-uniformly.
        shift_range: largest shift as a fraction of the image, either way.
        shear_range: largest tangent of the shear, either way.
        elastic_range: standard deviation of the elastic control points, as a fraction of the window.
        flip_prob: probability of a left-right mirror, whatever `prob` is.
    """

    _ELASTIC_POINTS = 5

    def __init__(
        self,
        keys: KeysCollection = ("image", "label"),
        *,
        image_size: int,
        window_size: int | None = None,
        prob: float = 1.0,
        rotate_range: float = 20.0,
        zoom_range: tuple[float, float] = (0.75, 1.3),
        shift_range: float = 0.08,
        shear_range: float = 0.08,
        elastic_range: float = 0.008,
        flip_prob: float = 0.5,
    ) -> None:
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self, prob)
        self.image_size = _checked_size("image_size", image_size)
        self.window_size = _checked_size("window_size", window_size or image_size)
        self.rotate_range = np.radians(rotate_range)
        self.log_zoom_range = np.log(zoom_range)
        self.shift_range = shift_range
        self.shear_range = shear_range
        self.elastic_range = elastic_range
        self.flip_prob = flip_prob

    def draw(self, native_size: tuple[int, int]) -> WarpParameters:
        """Draw the parameters of one warp for a native image of (H, W) px."""
        self.randomize(None)
        rng = self.R
        centre = self._draw_centre(native_size)
        flip = bool(rng.random_sample() < self.flip_prob)
        if not self._do_transform:
            return WarpParameters(centre=centre, flip=flip)
        shape = (2, self._ELASTIC_POINTS, self._ELASTIC_POINTS)
        return WarpParameters(
            centre=(
                centre[0] + rng.uniform(-self.shift_range, self.shift_range),
                centre[1] + rng.uniform(-self.shift_range, self.shift_range),
            ),
            angle=rng.uniform(-self.rotate_range, self.rotate_range),
            zoom=float(np.exp(rng.uniform(*self.log_zoom_range))),
            shear=rng.uniform(-self.shear_range, self.shear_range),
            flip=flip,
            displacements=rng.normal(0, self.elastic_range, shape).astype(np.float32),
        )

    def _draw_centre(self, native_size: tuple[int, int]) -> tuple[float, float]:
        """Place the window uniformly inside the image; the middle where it covers the whole side."""
        covered = self.window_size / (self.image_size * np.array(native_size) / max(native_size))
        margin = np.minimum(covered / 2, 0.5)
        y, x = margin + self.R.random_sample(2) * (1 - 2 * margin)
        return float(x), float(y)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of the item with image (1, w, w) and packed label (1, w, w) of the window."""
        item = dict(data)
        image_key, label_key = self.keys
        image = np.asarray(item[image_key], np.float32)[0]
        native_size = (image.shape[0], image.shape[1])
        grid = sampling_grid(self.draw(native_size), native_size, self.image_size / max(native_size), self.window_size)
        packed = np.asarray(item[label_key], np.int32)[0].view(np.uint32)
        item[image_key] = torch.from_numpy(warp_radiograph(image, grid)[None])
        item[label_key] = torch.from_numpy(warp_packed_masks(packed, grid).view(np.int32)[None])
        return item


class ResizeRadiographd(MapTransform):
    """Scale a radiograph so that its longer side has `image_size` px; masks stay at the native size.

    Shrinking averages over the area, enlarging is bilinear.
    """

    def __init__(self, keys: KeysCollection = "image", *, image_size: int, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.image_size = _checked_size("image_size", image_size)

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
