"""Training windows: placed at random or on a small bone, warped at random, read without the rest of the radiograph."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from math import ceil, floor, log2
from os import PathLike
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import SMALL_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.tiles import TileCache
from handseg_bundle_common.transforms.load import stored_contrast_limits, stretch
from handseg_bundle_common.transforms.sources import MaskSource, RadiographSource, open_masks, open_radiograph
from handseg_bundle_common.transforms.warp import (
    FloatArray,
    WarpParameters,
    checked_size,
    grid_stride,
    moved,
    sampling_grid,
    warp_packed_masks,
    warp_radiograph,
)


class RandWindowd(RandomizableTransform, MapTransform):
    """Read a square window of a radiograph and its masks, randomly placed and warped, in one resampling.

    Only the part that the window shows is scaled, stretched and filled, so that windows of large radiographs are
    cheap; with `cache_dir` only that part is decoded.

    Args:
        keys: the radiograph and its masks, in this order: paths of a picture and of polygons, or arrays, float32
            (1, H, W) and packed int32 (1, H, W).
        image_size: the radiograph's longer side is scaled to this many px.
        window_size: side of the window in px; None takes the whole radiograph (black beside a longer side).
        prob: probability of a warp; otherwise the window is only placed and scaled.
        rotate_range: largest rotation in degrees, either way.
        zoom_range: smallest and largest magnification, drawn log-uniformly.
        shift_range: largest shift as a fraction of the window, either way.
        shear_range: largest tangent of the shear, either way.
        elastic_range: standard deviation of the elastic control points, as a fraction of the window.
        flip_prob: probability of a left-right mirror, whatever `prob` is.
        small_bone_prob: probability that the window is centred on a bone drawn from `anatomy.SMALL_BONES` (before
            the shift), as far as the radiograph's edges allow; other windows lie anywhere inside the radiograph.
        cache_dir: folder in which tiles of the radiographs are kept, about as large as the pictures themselves.

    Raises:
        HandsegInputError: a size or probability is out of range.
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
        small_bone_prob: float = 0.0,
        cache_dir: str | PathLike[str] | None = None,
    ) -> None:
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self, prob)
        self.image_size = checked_size("image_size", image_size)
        self.window_size = checked_size("window_size", window_size or image_size)
        self.rotate_range = np.radians(rotate_range)
        self.log_zoom_range = np.log(zoom_range)
        self.shift_range = shift_range
        self.shear_range = shear_range
        self.elastic_range = elastic_range
        self.flip_prob = flip_prob
        if not 0 <= small_bone_prob <= 1:
            raise HandsegInputError("small_bone_prob", f"{small_bone_prob} is no probability", "choose 0 to 1")
        self.small_bone_prob = small_bone_prob
        self.cache = None if cache_dir is None else TileCache(cache_dir, stored_contrast_limits)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of the item with image (1, w, w) and packed label, int32 (1, w, w), of the window."""
        item = dict(data)
        image_key, label_key = self.keys
        radiograph = open_radiograph(item[image_key], self.cache)
        masks = open_masks(item[label_key], radiograph.size)
        scale = self.image_size / max(radiograph.size)
        grid = sampling_grid(self.draw(radiograph.size, masks), radiograph.size, scale, self.window_size)
        item[image_key] = torch.from_numpy(window_of_radiograph(radiograph, grid)[None])
        item[label_key] = torch.from_numpy(window_of_masks(masks, radiograph.size, grid).view(np.int32)[None])
        return item

    def draw(self, native_size: tuple[int, int], masks: MaskSource) -> WarpParameters:
        """Draw the parameters of one window of a radiograph of (H, W) px."""
        self.randomize(None)
        rng = self.R
        covered = self.window_size / (self.image_size * np.array(native_size) / max(native_size))
        centre = self._draw_centre(native_size, covered, masks)
        flip = bool(rng.random_sample() < self.flip_prob)
        if not self._do_transform:
            return WarpParameters(centre=centre, flip=flip)
        shape = (2, self._ELASTIC_POINTS, self._ELASTIC_POINTS)
        return WarpParameters(
            centre=(
                centre[0] + covered[1] * rng.uniform(-self.shift_range, self.shift_range),
                centre[1] + covered[0] * rng.uniform(-self.shift_range, self.shift_range),
            ),
            angle=rng.uniform(-self.rotate_range, self.rotate_range),
            zoom=float(np.exp(rng.uniform(*self.log_zoom_range))),
            shear=rng.uniform(-self.shear_range, self.shear_range),
            flip=flip,
            displacements=rng.normal(0, self.elastic_range, shape).astype(np.float32),
        )

    def _draw_centre(
        self, native_size: tuple[int, int], covered: NDArray[np.float64], masks: MaskSource
    ) -> tuple[float, float]:
        """Place the window inside the radiograph, in the middle of a side that it covers."""
        margin = np.minimum(covered / 2, 0.5)
        y, x = margin + self.R.random_sample(2) * (1 - 2 * margin)
        if self.R.random_sample() < self.small_bone_prob:
            bone = self._draw_small_bone(masks)
            if bone is not None:
                x, y = np.clip((np.array(bone) + 0.5) / native_size[::-1], margin[::-1], 1 - margin[::-1])
        return float(x), float(y)

    def _draw_small_bone(self, masks: MaskSource) -> tuple[float, float] | None:
        """Return the middle (x, y) in px of a small bone that is there, each with the same probability."""
        for bone in self.R.permutation(SMALL_BONES):
            middle = masks.centre(str(bone))
            if middle is not None:
                return middle
        return None


def window_of_radiograph(radiograph: RadiographSource, grid: FloatArray) -> FloatArray:
    """Read a window of a radiograph with its contrast stretched, black outside of the picture.

    Args:
        radiograph: where to read from. If it can be halved, it is as often as the grid's stride allows.
        grid: (2, h, w) native coordinates, x and y, in px, pixel centres at integers.

    Returns:
        The window (h, w), 0..1.
    """
    stride = grid_stride(grid)
    halvings = min(radiograph.halvings, floor(log2(max(stride, 1))))
    factor = 2**halvings
    grid = moved(grid, (0, 0), (1 / factor, 1 / factor))
    part = _covered(grid, tuple(ceil(n / factor) for n in radiograph.size), margin=1 + ceil(stride / factor))
    if part is None:
        return np.zeros(grid.shape[1:], np.float32)
    rows, columns = part
    image = stretch(radiograph.grey(rows, columns, halvings), radiograph.contrast)
    return warp_radiograph(image, moved(grid, (columns.start, rows.start)))


def window_of_masks(masks: MaskSource, size: tuple[int, int], grid: FloatArray) -> NDArray[np.uint32]:
    """Fill a window of masks, empty outside of the picture.

    Args:
        masks: where they come from.
        size: (H, W) of the radiograph in px.
        grid: (2, h, w) native coordinates, x and y, in px, pixel centres at integers.

    Returns:
        Packed masks (h, w).
    """
    part = _covered(grid, size, margin=1)
    if part is None:
        return np.zeros(grid.shape[1:], np.uint32)
    rows, columns = part
    return warp_packed_masks(masks.packed(rows, columns), moved(grid, (columns.start, rows.start)))


def _covered(grid: FloatArray, size: tuple[int, ...], margin: int) -> tuple[slice, slice] | None:
    """Return the rows and columns of a picture that a grid touches, or None if it lies outside."""
    left, top = (max(floor(plane.min()) - margin, 0) for plane in grid)
    right, bottom = (min(ceil(plane.max()) + margin + 1, n) for plane, n in zip(grid, reversed(size), strict=True))
    if left >= right or top >= bottom:
        return None
    return slice(top, bottom), slice(left, right)
