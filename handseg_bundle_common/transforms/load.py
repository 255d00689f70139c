"""Loading: a radiograph as a 0..1 array at its native size, its masks packed into one integer a pixel."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from os import PathLike
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from numpy.typing import NDArray

from handseg_bundle_common.formats.boostcamp import rasterise_packed, read_annotations
from handseg_bundle_common.formats.radiograph import StoredRadiograph, read_radiograph
from handseg_bundle_common.formats.seg_nrrd import SUFFIXES as _SLICER
from handseg_bundle_common.formats.seg_nrrd import read_seg_nrrd
from handseg_bundle_common.masks import Packed, unpack_masks

SIZE_KEY = "native_size"
PATH_KEY = "image_path"

_PERCENTILES = (0.5, 99.8)
_STRIDE = 4


class LoadRadiographd(MapTransform):
    """Load a radiograph as float32 (1, H, W), bone bright, 0..1, and note its native size (H, W) and its path.

    An item that holds an array already (a simulated hand) is passed on as it is.
    """

    def __init__(self, keys: KeysCollection = "image", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of the item with the arrays, `native_size` and, for files, `image_path`."""
        item = dict(data)
        for key in self.key_iterator(item):
            if isinstance(item[key], (str, PathLike)):
                item[PATH_KEY] = str(item[key])
                item[key] = read_radiograph(item[key])
            item[SIZE_KEY] = torch.tensor(item[key].shape[-2:])
        return item


class LoadBoneMasksd(MapTransform):
    """Load a label as packed masks: int32 (1, H, W) at the radiograph's native size, bit k for bone k.

    A label is a file of polygons or a segmentation of 3D Slicer, see `is_segmentation`. 29 bits fit into the positive
    half of int32, the widest integer that torch and its collation handle well.
    """

    def __init__(self, keys: KeysCollection = "label", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of the item with the packed masks; needs `native_size` (see `LoadRadiographd`)."""
        item = dict(data)
        for key in self.key_iterator(item):
            if isinstance(item[key], (str, PathLike)):
                height, width = (int(n) for n in item[SIZE_KEY])
                item[key] = _read_label(item[key], (height, width)).view(np.int32)[None]
        return item


class UnpackBoneMasksd(MapTransform):
    """Turn packed masks, int32 (1, H, W), into masks, uint8 tensor (29, H, W)."""

    def __init__(self, keys: KeysCollection = "label", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of the item with the masks unpacked."""
        item = dict(data)
        for key in self.key_iterator(item):
            packed = np.ascontiguousarray(torch.as_tensor(item[key]).cpu().numpy()[0]).view(np.uint32)
            item[key] = torch.from_numpy(unpack_masks(packed).view(np.uint8))
        return item


class ScaleRadiographd(MapTransform):
    """Stretch the grey levels between two percentiles to 0..1, so that exposure matters less."""

    def __init__(self, keys: KeysCollection = "image", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of the item with the grey levels stretched and clipped."""
        item = dict(data)
        for key in self.key_iterator(item):
            image = np.asarray(item[key], np.float32)
            item[key] = stretch(image, contrast_limits(image))
        return item


def is_segmentation(label: str | PathLike[str]) -> bool:
    """Tell by its name whether a label is a segmentation of 3D Slicer, `.seg.nrrd`, and not a file of polygons."""
    return str(label).lower().endswith(_SLICER)


def contrast_limits(image: NDArray[np.float32]) -> tuple[float, float]:
    """Return the grey levels of a radiograph (..., H, W) that become 0 and 1: its percentiles 0.5 and 99.8.

    The upper one keeps a lead marker from deciding the contrast. Percentiles of every fourth pixel are the same to
    well under one grey level, and 16 times cheaper.
    """
    low, high = np.percentile(image[..., ::_STRIDE, ::_STRIDE], _PERCENTILES)
    return float(low), float(high)


def stored_contrast_limits(stored: StoredRadiograph) -> tuple[float, float]:
    """Return the `contrast_limits` of a radiograph without scaling all of its pixels."""
    every = slice(None, None, _STRIDE)
    low, high = np.percentile(stored.grey(every, every), _PERCENTILES)
    return float(low), float(high)


def stretch(image: NDArray[np.float32], limits: tuple[float, float]) -> NDArray[np.float32]:
    """Stretch the grey levels between the limits to 0..1 and clip those beyond."""
    low, high = limits
    stretched: NDArray[np.float32] = image - np.float32(low)
    stretched *= np.float32(1 / max(high - low, 1e-6))
    return np.clip(stretched, 0, 1, out=stretched)


def _read_label(path: str | PathLike[str], size: tuple[int, int]) -> Packed:
    if is_segmentation(path):
        return read_seg_nrrd(path, size).masks
    return rasterise_packed(read_annotations(path), *size)
