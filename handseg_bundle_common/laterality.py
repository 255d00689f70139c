"""Left or right hand: by DICOM tag, by file name, or by the order of the bones."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import MEAN_CENTROIDS, NUM_BONES, Side
from handseg_bundle_common.formats.radiograph import side_of_name
from handseg_bundle_common.masks import Packed, pack_masks

# Fewer bones can lie in any order by chance.
_FEWEST_BONES = 5
# A hand agrees with its side when it leaves at most this share of the middles' variance unexplained, while its mirror
# image leaves this much more and at least that much; both sides explain bones in one line.
_MOST_UNEXPLAINED, _RATIO, _LEAST_UNEXPLAINED = 0.2, 3.0, 0.05
# Middles need no more pixels than this along the longer side.
_SIDE_PX = 512


class LateralitySource(StrEnum):
    """What tells the side of a hand, most trusted first."""

    DICOM_TAG = "dicom_tag"
    FILE_NAME = "file_name"
    GEOMETRY = "geometry"


@dataclass(frozen=True)
class Laterality:
    """The side of a hand.

    Attributes:
        side: left or right; None when nothing tells.
        source: what told; None when nothing did.
    """

    side: Side | None
    source: LateralitySource | None


def find_laterality(
    name: str | PathLike[str], masks: Packed | NDArray[np.bool_] | None = None, dicom_tag: str | None = None
) -> Laterality:
    """Return the side of a hand by the first of DICOM tag, file name and geometry that tells.

    Args:
        name: the radiograph's file name or path; see `radiograph.side_of_name`.
        masks: predicted masks, packed (H, W) or (29, H, W), of a posteroanterior radiograph; see `side_of_masks`.
        dicom_tag: value of Image Laterality (0020,0062) or Laterality (0020,0060); only L and R tell.
    """
    if (side := _side_of_tag(dicom_tag)) is not None:
        return Laterality(side, LateralitySource.DICOM_TAG)
    if (side := side_of_name(name)) is not None:
        return Laterality(side, LateralitySource.FILE_NAME)
    if masks is not None and (side := side_of_masks(masks)) is not None:
        return Laterality(side, LateralitySource.GEOMETRY)
    return Laterality(None, None)


def side_of_masks(masks: Packed | NDArray[np.bool_]) -> Side | None:
    """Return the side of a posteroanterior radiograph, on which a right hand has its thumb on the left.

    The bones' middles are laid over those of a right and of a left hand by the best shift, turn and scale (Procrustes
    analysis, Gower, Psychometrika 40:33, 1975); a rotated or scaled picture gives the same answer, an anteroposterior
    or mirrored one the opposite.

    Args:
        masks: packed masks (H, W) or masks (29, H, W); bones may be missing.

    Returns:
        The side, or None when fewer than five bones are there or their order fits neither side clearly.
    """
    packed = masks.astype(np.uint32, copy=False) if masks.ndim == 2 else pack_masks(masks.astype(bool, copy=False))
    step = max(1, max(packed.shape) // _SIDE_PX)
    places = _places(packed[::step, ::step])
    is_there = ~np.isnan(places)
    if is_there.sum() < _FEWEST_BONES:
        return None
    right_hand = np.array(MEAN_CENTROIDS) @ [1, 1j]
    hand = places[is_there]
    unexplained = {
        Side.RIGHT: _unexplained(hand, right_hand[is_there]),
        Side.LEFT: _unexplained(hand, right_hand[is_there].conj()),
    }
    best, other = sorted(unexplained, key=unexplained.__getitem__)
    if unexplained[best] > _MOST_UNEXPLAINED:
        return None
    is_clear = unexplained[other] >= max(_LEAST_UNEXPLAINED, _RATIO * unexplained[best])
    return best if is_clear else None


def _side_of_tag(value: str | None) -> Side | None:
    text = (value or "").strip().upper()
    return Side(text) if text in list(Side) else None


def _places(packed: Packed) -> NDArray[np.complex128]:
    """Return the bones' middles as x + iy in px (29,), NaN where there is none: medians, which stray pixels spare."""
    rows, columns = np.nonzero(packed)
    bones = packed[rows, columns]
    places = np.full(NUM_BONES, np.nan, np.complex128)
    for channel in range(NUM_BONES):
        inside = bones & np.uint32(1 << channel) != 0
        if inside.any():
            places[channel] = complex(np.median(columns[inside]), np.median(rows[inside]))
    return places


def _unexplained(hand: NDArray[np.complex128], template: NDArray[np.complex128]) -> float:
    """Return the share of the middles' variance that the template leaves when shifted, turned and scaled."""
    hand, template = hand - hand.mean(), template - template.mean()
    variance = float(np.vdot(hand, hand).real * np.vdot(template, template).real)
    return 1 - float(abs(np.vdot(template, hand))) ** 2 / variance if variance > 0 else 1.0
