"""Back to the native size: from logits of the working image to masks of the radiograph as it was read."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from numpy.typing import NDArray

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.masks import Packed, unpack_masks
from handseg_bundle_common.transforms.load import SIZE_KEY

_Floats = NDArray[np.float32]

# Columns that are enlarged at once: their pixels stay in the processor's cache.
_STRIP = 256
# A logit that no threshold is below.
_NOWHERE = -1e9
_HAIR = 1e-5


def restore_masks(
    logits: torch.Tensor | NDArray[np.floating[Any]],
    native_size: Sequence[int],
    threshold: float | Sequence[float] = 0.5,
) -> Packed:
    """Enlarge logits bilinearly to the native size and threshold them, bone by bone and only where the bone can be.

    The working image must cover the whole native image, without padding. The result is that of enlarging the whole
    of every bone by `cv2.resize`, bit by bit.

    Args:
        logits: (29, h, w), of any floating-point type.
        native_size: (H, W) of the radiograph in px.
        threshold: probability above which a pixel belongs to a bone, one for all or one per bone.

    Returns:
        Packed masks (H, W), bit k for bone k.
    """
    working = torch.as_tensor(logits).detach().to("cpu", torch.float32).numpy()
    height, width = (int(n) for n in native_size)
    levels = np.broadcast_to(np.asarray(threshold, np.float64), len(working))
    packed = np.zeros((height, width), np.uint32)
    for bit, (bone, level) in enumerate(zip(working, levels, strict=True)):
        _add_bone(packed, bone, _logit(float(level)), np.uint32(1 << bit))
    return packed


def _add_bone(packed: Packed, bone: _Floats, level: float, bit: np.uint32) -> None:
    """Set a bit where the logits (h, w) of a bone exceed the level once they are enlarged."""
    height, width = packed.shape
    # A mean of neighbours exceeds no level that all of them are below. That does not hold for infinite logits, and not
    # for pictures that become smaller, for which OpenCV averages over other neighbours.
    if height < bone.shape[0] or width < bone.shape[1] or not np.isfinite(bone).all():
        packed |= (_resized(bone, width, height) > level) * bit
        return
    # Rounding may lift the mean of equal numbers by a hair.
    inside = bone > level - _HAIR * (1 + abs(level))
    rows, columns = (np.flatnonzero(inside.any(axis)).tolist() for axis in (1, 0))
    if not rows:
        return
    made_of = slice(max(rows[0] - 1, 0), rows[-1] + 2)
    reached = _reached(rows[0], rows[-1], height / bone.shape[0], height)
    start, stop = _reached(columns[0], columns[-1], width / bone.shape[1], width)
    # One axis after the other gives what both at once give, because that is how OpenCV enlarges. It places samples by
    # the sizes that it is told, so that every axis is enlarged as a whole; the other one may be cut.
    wide = _resized(bone[made_of], width, bone[made_of].shape[0])
    tall = np.full((len(bone), min(_STRIP, stop - start)), _NOWHERE, np.float32)
    for left in range(start, stop, _STRIP):
        strip = slice(left, min(left + _STRIP, stop))
        part = tall[:, : strip.stop - left]
        part[made_of] = wide[:, strip]
        enlarged = _resized(part, part.shape[1], height)[slice(*reached)]
        packed[slice(*reached), strip] |= (enlarged > level) * bit


def _reached(first: int, last: int, scale: float, length: int) -> tuple[int, int]:
    """Return the native pixels, from and up to, of which one of two neighbours is among working pixels first to last.

    Pixel d lies at (d + 0.5) / scale - 0.5 between the working pixels, see `cv2.resize`.
    """
    start, stop = (first - 0.5) * scale - 0.5, (last + 1.5) * scale - 0.5
    return max(math.floor(start), 0), min(math.ceil(stop) + 1, length)


def _resized(image: _Floats, width: int, height: int) -> _Floats:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


class RestoreMasksd(MapTransform):
    """Turn logits (29, h, w) into masks, uint8 tensor (29, H, W), at the native size of the item.

    Args:
        keys: the logits.
        size_key: entry with the native size (H, W) as a tensor, a list or a tuple.
        threshold: probability above which a pixel belongs to a bone, one for all or one per bone.
    """

    def __init__(
        self,
        keys: KeysCollection = "pred",
        size_key: str = SIZE_KEY,
        threshold: float | Sequence[float] = 0.5,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.size_key = size_key
        if not all(0 < value < 1 for value in np.atleast_1d(threshold)):
            raise HandsegInputError("threshold", f"{threshold} is no probability", "choose between 0 and 1")
        self.threshold = threshold

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of the item with the masks at the native size."""
        item = dict(data)
        for key in self.key_iterator(item):
            packed = restore_masks(item[key], item[self.size_key], self.threshold)
            item[key] = torch.from_numpy(unpack_masks(packed).view(np.uint8))
        return item
