"""Finds what went wrong with bones: missing, extra, shifted, swapped, with holes, in parts, of the wrong size, other.

Faults of a bone are looked for one after the other, each in what the mending of those before it leaves: bones that are
swapped are exchanged, parts beside the bone removed, what is shifted is moved back, and holes are filled. So one
mistake has one name, and two mistakes with one bone have two.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from handseg_bundle_common.analysis.faults import Fault, FaultKind
from handseg_bundle_common.anatomy import BONE_NAMES, NUM_BONES
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.metrics import BoneCrop, CaseScores, bone_crops, case_scores, label_sets

Mask = NDArray[np.bool_]
Found = tuple[Fault | None, Mask]

# Outlines that are off by so many px are imprecise and no fault: at 512 px, two px are half of a small bone.
OUTLINE_PX = 3
# Dice below which a bone is looked at, if its holes and parts give no reason to.
NEARLY_PERFECT = 0.98
# Share of the reference's area from which on holes in it matter, and of the prediction's from which on further parts
# do. A hole is a mistake whatever its size, but one of a few px is gone after any clean-up, and a speck beside a bone
# too.
HOLE_SHARE, PART_SHARE = 0.005, 0.02
# A bone is shifted if its centroid is off by more than 2 px, which imprecise outlines do not do, and by a tenth of the
# side of a square of its area, and if moving it back regains half of the lost Dice: else something else is the matter.
SHIFT_PX, SHIFT_SHARE, SHIFT_REGAINS = 2.0, 0.1, 0.5
# Dice that each of two bones must gain when they are exchanged. Right ones only lose, overlapping or not.
SWAP_GAINS = 0.1
# A bone is drawn in another's place if its Dice with that one's reference is at least IN_PLACE, by IN_PLACE_GAINS more
# than with its own, and more than that of the two references, which reaches 0.7 where the pisiform lies over the
# triquetrum.
IN_PLACE, IN_PLACE_GAINS = 0.7, 0.2
# Areas over that of the reference below and above which a bone is far too small or large, if OUTLINE_PX cannot be why.
TOO_SMALL, TOO_LARGE = 0.5, 2.0
# Dice lost farther than OUTLINE_PX from the reference's outline from which on a bone differs from the reference,
# whatever the reason, and share of the bone from which on it is told which other one was drawn there.
DIFFERS, TAKEN = 0.075, 0.1

_DISC = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * OUTLINE_PX + 1,) * 2)


def find_faults(prediction: Packed, reference: Packed, scores: CaseScores) -> tuple[Fault, ...]:
    """Return what went wrong with the bones of one image, worst first.

    Args:
        prediction: packed masks (H, W).
        reference: packed masks of the same picture.
        scores: what `metrics.case_scores` gives for them.
    """
    near = _Neighbours(prediction, reference)
    faults = []
    if (scores.dice < IN_PLACE).any():
        order = np.arange(NUM_BONES)
        for first, second in _swaps(near.crossed):
            faults.append(_swap_fault(near.crossed, first, second))
            order[[first, second]] = second, first
        if faults:
            prediction = _reordered(prediction, order)
            near, scores = _Neighbours(prediction, reference), case_scores(prediction, reference)
    suspect = (scores.dice < NEARLY_PERFECT) | (scores.extra_holes > 0) | (scores.extra_components > 0)
    # No crop is cut where all is well, as with most images of a good network.
    crops = bone_crops(prediction, reference, margin=2 * OUTLINE_PX) if suspect.any() else ()
    for crop in crops:
        if suspect[crop.channel]:
            faults += _bone_faults(crop, near, float(scores.dice[crop.channel]))
    return tuple(sorted(faults, key=lambda fault: -fault.severity))


class _Neighbours:
    """What bones have to do with each other, found out when it is asked for.

    Args:
        prediction: packed masks (H, W).
        reference: packed masks of the same picture.
    """

    def __init__(self, prediction: Packed, reference: Packed) -> None:
        self._prediction, self._reference = prediction, reference

    @cached_property
    def crossed(self) -> NDArray[np.float64]:
        """Dice of every predicted bone (row) with every bone of the reference (column)."""
        return _crossed_dice(self._prediction, self._reference)

    @cached_property
    def referenced(self) -> NDArray[np.float64]:
        """Dice of every two bones of the reference."""
        return _crossed_dice(self._reference, self._reference)

    @cached_property
    def taken(self) -> NDArray[np.float64]:
        """Share of every bone (row) that is missed and falsely drawn as another (column)."""
        sets = label_sets(self._prediction, self._reference)
        missed, surplus = (
            _bits(labels) for labels in (sets.expected & ~sets.predicted, sets.predicted & ~sets.expected)
        )
        areas = sets.pixels @ _bits(sets.expected)
        return np.asarray((missed * sets.pixels[:, None]).T @ surplus / np.maximum(areas, 1)[:, None], np.float64)

    def place(self, channel: int) -> int | None:
        """Return the bone in whose place a bone is drawn, if it is."""
        own, others = self.crossed[channel, channel], self.crossed[channel].copy()
        others[channel] = 0
        other = int(others.argmax())
        least = max(IN_PLACE, own + IN_PLACE_GAINS, self.referenced[channel, other])
        return other if others[other] >= least else None


def _crossed_dice(prediction: Packed, reference: Packed) -> NDArray[np.float64]:
    """Return the Dice of every predicted bone (row) with every bone of the reference (column), 0 without pixels."""
    sets = label_sets(prediction, reference)
    predicted, expected = _bits(sets.predicted), _bits(sets.expected)
    shared = (predicted * sets.pixels[:, None]).T @ expected
    sizes = (sets.pixels @ predicted)[:, None] + sets.pixels @ expected
    return np.asarray(2 * shared / np.maximum(sizes, 1), np.float64)


def _bits(labels: Packed) -> NDArray[np.int64]:
    """Return which bones every set of labels has, (n, 29)."""
    return (labels[:, None] >> np.arange(NUM_BONES, dtype=np.uint32) & 1).astype(np.int64)


def _swaps(crossed: NDArray[np.float64]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of bones that each match the other's reference better, those that gain most first."""
    gain = crossed - crossed.diagonal()[:, None]
    both = np.triu(np.minimum(gain, gain.T))
    while both.max() >= SWAP_GAINS:
        first, second = divmod(int(both.argmax()), NUM_BONES)
        yield first, second
        both[[first, second]] = both[:, [first, second]] = 0


def _swap_fault(crossed: NDArray[np.float64], first: int, second: int) -> Fault:
    gain = crossed[first, second] + crossed[second, first] - crossed[first, first] - crossed[second, second]
    return Fault(FaultKind.SWAPPED, BONE_NAMES[first], BONE_NAMES[second], float(gain))


def _reordered(packed: Packed, order: NDArray[np.intp]) -> Packed:
    """Return masks whose bone k is bone order[k] of these."""
    moved = np.zeros_like(packed)
    for channel, source in enumerate(order.tolist()):
        moved |= (packed >> np.uint32(source) & np.uint32(1)) << np.uint32(channel)
    return moved


def _bone_faults(crop: BoneCrop, near: _Neighbours, dice: float) -> Iterator[Fault]:
    """Yield the faults of one bone whose Dice is known."""
    bone = BONE_NAMES[crop.channel]
    mask, reference = crop.prediction.view(np.bool_), crop.reference.view(np.bool_)
    if not mask.any() or not reference.any():
        if reference.any():
            yield Fault(FaultKind.MISSING, bone, severity=1.0)
        elif mask.any():
            yield Fault(FaultKind.EXTRA, bone, severity=1.0, pixels=int(mask.sum()))
        return
    if dice < IN_PLACE and (place := near.place(crop.channel)) is not None:
        yield Fault(FaultKind.SHIFTED, bone, BONE_NAMES[place], severity=1 - dice)
        return
    for find in (_parts, _shifted, _holes, _wrong_size):
        fault, mask = find(bone, mask, reference)
        if fault is not None:
            yield fault
    lost = _lost_beyond_outlines(mask, reference)
    if lost >= DIFFERS:
        taken = near.taken[crop.channel]
        other = BONE_NAMES[int(taken.argmax())] if taken.max() >= TAKEN else None
        share = float(taken.max()) if other else 0.0
        yield Fault(FaultKind.DIFFERENT, bone, other, severity=lost, dice=dice, ratio=share)


def _parts(bone: str, mask: Mask, reference: Mask) -> Found:
    """Find more parts than the reference has; those mostly outside it are removed."""
    parts, expected = _apart(mask), _apart(reference).max()
    areas = np.bincount(parts[mask], minlength=parts.max() + 1)
    inside = np.bincount(parts[mask & reference], minlength=parts.max() + 1)
    # Of several, those that cover most of the reference are the bone.
    surplus = np.lexsort((areas, inside))[::-1][expected:]
    surplus = surplus[areas[surplus] > 0]
    if areas[surplus].sum() < PART_SHARE * areas.sum() or not surplus.size:
        return None, mask
    mended = mask & ~np.isin(parts, surplus[2 * inside[surplus] < areas[surplus]])
    regained = max(_dice(mended, reference) - _dice(mask, reference), 0.0)
    pixels = int(areas[surplus].sum())
    return Fault(FaultKind.FRAGMENT, bone, severity=regained, count=surplus.size, pixels=pixels), mended


def _apart(mask: Mask) -> NDArray[np.int32]:
    """Return the number of the part of every pixel, from 1; parts that imprecise outlines may separate are one."""
    _, labels = cv2.connectedComponents(cv2.dilate(mask.view(np.uint8), _DISC))
    return np.asarray(labels * mask, np.int32)


def _holes(bone: str, mask: Mask, reference: Mask) -> Found:
    """Find and fill holes where the reference has the bone; what is rightly left out is no hole."""
    labels, count = ndimage.label(ndimage.binary_fill_holes(mask) & ~mask)
    if not count:
        return None, mask
    hole = (labels > 0) & reference
    pixels = int(hole.sum())
    if pixels < HOLE_SHARE * reference.sum():
        return None, mask
    filled = mask | hole
    regained = max(_dice(filled, reference) - _dice(mask, reference), 0.0)
    return Fault(FaultKind.HOLE, bone, severity=regained, count=np.unique(labels[hole]).size, pixels=pixels), filled


def _shifted(bone: str, mask: Mask, reference: Mask) -> Found:
    """Find out whether the bone lies elsewhere, and move it back."""
    down, right = np.argwhere(mask).mean(axis=0) - np.argwhere(reference).mean(axis=0)
    if math.hypot(down, right) < max(SHIFT_PX, SHIFT_SHARE * math.sqrt(reference.sum())):
        return None, mask
    back = np.array([[1, 0, -round(right)], [0, 1, -round(down)]], np.float64)
    size = mask.shape[::-1]
    moved = cv2.warpAffine(mask.view(np.uint8), back, size, flags=cv2.INTER_NEAREST).view(np.bool_)
    found = _dice(mask, reference)
    regained = _dice(moved, reference) - found
    if regained < SHIFT_REGAINS * (1 - found):
        return None, mask
    return Fault(FaultKind.SHIFTED, bone, severity=regained, shift_px=(float(down), float(right))), moved


def _wrong_size(bone: str, mask: Mask, reference: Mask) -> Found:
    """Find out whether the bone is far too small or large."""
    area, expected = mask.sum(), reference.sum()
    smallest, largest = (change(reference.view(np.uint8), _DISC).sum() for change in (cv2.erode, cv2.dilate))
    lost = 1 - _dice(mask, reference)
    ratio = float(area / expected)
    if ratio < TOO_SMALL and area < smallest:
        return Fault(FaultKind.TOO_SMALL, bone, severity=lost, ratio=ratio), reference
    if ratio > TOO_LARGE and area > largest:
        return Fault(FaultKind.TOO_LARGE, bone, severity=lost, ratio=ratio), reference
    return None, mask


def _lost_beyond_outlines(mask: Mask, reference: Mask) -> float:
    """Return the Dice regained if all is put right that lies farther than OUTLINE_PX from the reference's outline."""
    smallest, largest = (change(reference.view(np.uint8), _DISC) for change in (cv2.erode, cv2.dilate))
    mended = (mask | smallest.view(np.bool_)) & largest.view(np.bool_)
    return _dice(mended, reference) - _dice(mask, reference)


def _dice(mask: Mask, reference: Mask) -> float:
    return float(2 * (mask & reference).sum() / (mask.sum() + reference.sum()))
