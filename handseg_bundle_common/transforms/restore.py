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


def restore_masks(
    logits: torch.Tensor | NDArray[np.floating[Any]],
    native_size: Sequence[int],
    threshold: float | Sequence[float] = 0.5,
) -> Packed:
    """Enlarge logits bilinearly to the native size and threshold them, one bone at a time.

    The working image must cover the whole native image, without padding.

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
        enlarged = cv2.resize(bone, (width, height), interpolation=cv2.INTER_LINEAR)
        packed |= (enlarged > _logit(float(level))).astype(np.uint32) << np.uint32(bit)
    return packed


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
