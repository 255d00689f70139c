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
from handseg_bundle_common.formats.radiograph import read_radiograph
from handseg_bundle_common.masks import unpack_masks

SIZE_KEY = "native_size"
PATH_KEY = "image_path"


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
    """Load polygons as packed masks: int32 (1, H, W) at the radiograph's native size, bit k for bone k.

    29 bits fit into the positive half of int32, the widest integer that torch and its collation handle well.
    """

    def __init__(self, keys: KeysCollection = "label", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of the item with the packed masks; needs `native_size` (see `LoadRadiographd`)."""
        item = dict(data)
        for key in self.key_iterator(item):
            if isinstance(item[key], (str, PathLike)):
                height, width = (int(n) for n in item[SIZE_KEY])
                packed = rasterise_packed(read_annotations(item[key]), height, width)
                item[key] = packed.view(np.int32)[None]
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
    """Stretch the grey levels between two percentiles to 0..1, so that exposure matters less.

    Args:
        lower: percentile that becomes 0.
        upper: percentile that becomes 1; 99.8 keeps a lead marker from deciding the contrast.
    """

    # Percentiles of every fourth pixel are the same to well under one grey level, and 16 times cheaper.
    _STRIDE = 4

    def __init__(
        self,
        keys: KeysCollection = "image",
        lower: float = 0.5,
        upper: float = 99.8,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.percentiles = (lower, upper)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of the item with the grey levels stretched and clipped."""
        item = dict(data)
        for key in self.key_iterator(item):
            item[key] = self._scale(np.asarray(item[key], np.float32))
        return item

    def _scale(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        low, high = np.percentile(image[..., :: self._STRIDE, :: self._STRIDE], self.percentiles)
        stretched: NDArray[np.float32] = np.clip((image - low) / max(high - low, 1e-6), 0, 1, dtype=np.float32)
        return stretched
