"""Overlapping masks packed into one integer a pixel: bit k is bone k of `anatomy.BONES`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import NUM_BONES

Packed = NDArray[np.uint32]

_BITS = np.arange(NUM_BONES, dtype=np.uint32)


def pack_masks(masks: NDArray[np.bool_]) -> Packed:
    """Pack masks of shape (29, H, W) into (H, W) unsigned 32-bit integers, an eighth of the memory."""
    packed = np.zeros(masks.shape[1:], np.uint32)
    for bit, mask in zip(_BITS, masks, strict=True):
        packed |= mask.astype(bool).astype(np.uint32) << bit
    return packed


def unpack_masks(packed: Packed) -> NDArray[np.bool_]:
    """Unpack (H, W) unsigned 32-bit integers into masks of shape (29, H, W)."""
    masks = np.empty((NUM_BONES, *packed.shape), np.bool_)
    for first in range(0, NUM_BONES, 8):
        # Bytes pass through the processor four times as fast as the integers they come from.
        byte = (packed >> np.uint32(first)).astype(np.uint8)
        for bit, mask in enumerate(masks[first : first + 8]):
            np.not_equal(byte & np.uint8(1 << bit), 0, out=mask)
    return masks
