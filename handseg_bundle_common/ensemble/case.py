"""Reasons to distrust a radiograph as a whole: blank, no hand, half a hand, two hands, another view, a child's hand.

The networks know single hands of adults from the front and give masks for anything; these reasons are taken from the
masks, which need no reference. The measured ranges beside the thresholds are those of the exact masks of 240 simulated
hands of 256 px, 80 of each preset, unless something else is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import CHANNEL, NUM_BONES, Group, bones_of
from handseg_bundle_common.ensemble.found_bones import FEWEST_BONES, Channels, FoundBones
from handseg_bundle_common.ensemble.shapes import BoneShape
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.transforms.load import contrast_limits, stretch

# A picture is judged by the means of so many squares along each side, without the outermost per cents, which may be a
# lead marker. What neighbours among them share beyond a smooth slope is 0.40 to 0.80 of their variance, 0.35 with noise
# of 0.3 standard deviations; empty pictures have less than 0.1 of white noise and 0.16 of noise blurred by 2 px.
_SQUARES, _MARKER_PERCENTILES, _LEAST_STRUCTURE = 32, (2, 98), 0.2
# All hands have 29 bones; one or two that are missing are named one by one.
_ALMOST_ALL, _HALF = 27, 15

# Share of the variance of the bones' places that the mean hand leaves: up to 0.008 of palms and 0.020 of rays, 0.014
# and 0.035 with two bones of each thrown anywhere. The foot of the tests leaves 0.057 and 0.045; hands that are turned
# about the forearm's or the radial axis leave at least 0.031 of the palm at 60 degrees and 0.16 at 90. Of twelve
# turned by 40 degrees four are flagged, of those by 30 none.
_MOST_UNEXPLAINED = {"palm": 0.025, "rays": 0.04}
# Median factor between the areas and those that the hand's size tells, as a logarithm: up to 0.115.
_ODD_SIZES = 0.3

# Median area of the carpals beside that of the bones of the rays, over the ratio in real adults: 0.80 to 1.22, and 0.71
# to 1.38 for any three of the carpals.
_LEAST_CARPALS, _FEWEST_CARPALS = 0.6, 3
# An epiphysis lies beyond the end of its shaft, which is 1.7 standard deviations of a rod's pixels from its middle. At
# most one bone of a hand has such a part, its sesamoid.
_EPIPHYSIS_SHARE, _EPIPHYSIS_ALONG, _EPIPHYSIS_ACROSS, _EPIPHYSES = (0.02, 0.35), (1.5, 3.0), 0.5, 6

BLANK = "the picture is blank: check the file or export it again"
NOTHING = "no bone found: not a hand, or a picture unlike those of the training, so look at it"
TWO_HANDS = "shows two hands: crop them and segment each alone"
TWO_GROUPS = "what was found lies in two groups: two hands or no hand, so crop each hand and segment it alone"
PART = "{} of {} bones found: not a hand, only part of one or several, so use a picture of one whole hand"
INCOMPLETE = "{} of {} bones found: {}, so add the others by hand or leave them out"
OUTSIDE = "part of the hand is outside the picture or was not recognised"
NO_CARPALS = "carpal bones were not recognised, or a child's hand, in which they are not there yet"
NOT_A_HAND = (
    "what was found does not {} a hand seen from the front: another part of the body, another view, several hands or a "
    "failed segmentation, so do not use the masks"
)
CHILD = "looks like a child's hand ({}): the networks know adults only, so check every bone"


class CaseReason(StrEnum):
    """Why a radiograph is not to be trusted as a whole, most severe first."""

    BLANK = "blank"
    NOTHING = "no bone found"
    TWO_HANDS = "two hands"
    PART = "only part of a hand"
    NOT_A_HAND = "not like a hand"
    INCOMPLETE = "bones missing"
    CHILD = "a child's hand"


@dataclass(frozen=True)
class CaseFault:
    """What is wrong with a radiograph as a whole.

    Attributes:
        reason: its kind, for counts.
        message: one sentence with what to do.
    """

    reason: CaseReason
    message: str

    @property
    def is_usable(self) -> bool:
        """Whether the masks are those of a hand all the same, so that single bones are worth a look."""
        return self.reason in (CaseReason.INCOMPLETE, CaseReason.CHILD)


def _channels(*groups: Group) -> Channels:
    return np.array([CHANNEL[bone.name] for group in groups for bone in bones_of(group)])


_CARPALS, _RAYS = _channels(Group.CARPALS), _channels(Group.PHALANGES, Group.METACARPALS)
# The stiff part of the hand: without the thumb's metacarpal, and without the forearm, from which wrists deviate.
_PALM = np.array([*_channels(Group.METACARPALS)[1:], *_CARPALS])
_LONG = np.array([*_RAYS, *_channels(Group.FOREARM)])


def case_flags(packed: Packed, radiograph: NDArray[np.floating[Any]]) -> tuple[str, ...]:
    """Return the messages of `case_faults`."""
    return tuple(fault.message for fault in case_faults(packed, radiograph))


def case_faults(packed: Packed, radiograph: NDArray[np.floating[Any]]) -> tuple[CaseFault, ...]:
    """Return what is wrong with a radiograph as a whole, most severe first.

    The places of the bones are laid over those of the mean hand, of either side, by the best shift, turn and scale
    (`FoundBones.fit`), rays and palm apart because fingers spread; their areas are compared with the mean ones of real
    radiographs. The turn of a hand in the picture does not matter, nor does its size as long as every bone has pixels.

    A blank picture shows nothing but noise, a smooth slope and a marker: the means of neighbouring squares have little
    in common (Moran, Biometrika 37:17, 1950), whatever the file's grey levels are. A collimator's edge is structure.

    Not seen are: a hand whose palm lies up, which is the mirror image of the other hand; many views less than 60
    degrees from the front; a second hand of a third of the first one's size or of fewer than five bones; an older
    child, whose carpals have three fifths of an adult's size beside the fingers or more, if the masks bridge the growth
    plates; and whatever the networks make a perfect hand of.

    Args:
        packed: final masks (H, W).
        radiograph: (H, W) or (1, H, W), 0..1, as it was read.

    Returns:
        The faults; none for a single hand of an adult.
    """
    picture = np.asarray(radiograph, np.float32)
    return faults_of(FoundBones(packed), stretch(picture, contrast_limits(picture)))


def faults_of(hand: FoundBones, picture: NDArray[np.float32]) -> tuple[CaseFault, ...]:
    """Return what `case_faults` does, of bones and of a picture (H, W) or (1, H, W) whose contrast is stretched."""
    return tuple(_faults(hand, picture))


def _faults(hand: FoundBones, picture: NDArray[np.float32]) -> Iterator[CaseFault]:
    """Yield what is wrong with the picture, then with the bones that were found in it nevertheless."""
    is_blank = _structure(picture) < _LEAST_STRUCTURE
    if is_blank:
        yield CaseFault(CaseReason.BLANK, BLANK)
    if hand.found.any():
        yield from _faults_of_bones(hand)
    elif not is_blank:
        yield CaseFault(CaseReason.NOTHING, NOTHING)


def _structure(picture: NDArray[np.float32]) -> float:
    """Return the share of the squares' variance that neighbours have in common beyond a smooth slope, up to 1."""
    height, width = picture.shape[-2:]
    picture = picture.reshape(height, width)
    means = cv2.resize(picture, (min(width, _SQUARES), min(height, _SQUARES)), interpolation=cv2.INTER_AREA)
    means = np.clip(means, *np.percentile(means, _MARKER_PERCENTILES)).astype(np.float64)
    y, x = (grid.ravel() for grid in np.meshgrid(*(np.linspace(-1, 1, n) for n in means.shape), indexing="ij"))
    slope = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    rest = (means.ravel() - slope @ np.linalg.lstsq(slope, means.ravel(), rcond=None)[0]).reshape(means.shape)
    shared = (np.sum(rest[1:] * rest[:-1]) + np.sum(rest[:, 1:] * rest[:, :-1])) / (2 * rest.size)
    return float(shared / max(means.var(), 1e-9))


def _faults_of_bones(hand: FoundBones) -> Iterator[CaseFault]:
    """Yield what is wrong with the bones that were found; what makes the masks useless stands alone."""
    number = np.count_nonzero(hand.found)
    fits = {"rays": hand.fit(_RAYS), "palm": hand.fit(_PALM)}
    lies_oddly = any(fit is not None and fit.unexplained > _MOST_UNEXPLAINED[part] for part, fit in fits.items())
    if hand.is_doubled:
        yield CaseFault(CaseReason.TWO_HANDS, TWO_HANDS)
    elif (number < _HALF or lies_oddly) and hand.is_in_two_groups:
        yield CaseFault(CaseReason.TWO_HANDS, TWO_GROUPS)
    elif number < _HALF:
        yield CaseFault(CaseReason.PART, PART.format(number, NUM_BONES))
    elif lies_oddly:
        yield CaseFault(CaseReason.NOT_A_HAND, NOT_A_HAND.format("lie like"))
    elif _is_out_of_proportion(hand):
        yield CaseFault(CaseReason.NOT_A_HAND, NOT_A_HAND.format("have the proportions of"))
    else:
        if number < _ALMOST_ALL:
            cause = NO_CARPALS if np.isin(np.flatnonzero(~hand.found), _CARPALS).all() else OUTSIDE
            yield CaseFault(CaseReason.INCOMPLETE, INCOMPLETE.format(number, NUM_BONES, cause))
        signs = ", ".join(_signs_of_a_child(hand))
        if signs:
            yield CaseFault(CaseReason.CHILD, CHILD.format(signs))


def _is_out_of_proportion(hand: FoundBones) -> bool:
    """Tell whether most areas are not those of a hand of one size."""
    ratios = np.log(hand.ratios[hand.whole])
    return bool(ratios.size >= FEWEST_BONES and np.median(np.abs(ratios - np.median(ratios))) > _ODD_SIZES)


def _signs_of_a_child(hand: FoundBones) -> Iterator[str]:
    """Yield what speaks for bones that still grow; carpals that were not found may not have been recognised."""
    carpals, fingers = (channels[hand.whole[channels]] for channels in (_CARPALS, _RAYS))
    if carpals.size >= _FEWEST_CARPALS and fingers.size >= FEWEST_BONES:
        ratio = float(np.median(hand.ratios[carpals]) / np.median(hand.ratios[fingers]))
        if ratio < _LEAST_CARPALS:
            yield f"carpal bones of {ratio:.2g} times an adult's size beside the fingers"
    plates = sum(_has_epiphysis(hand.shapes[channel]) for channel in _LONG)
    if plates >= _EPIPHYSES:
        yield f"{plates} bones with growth plates"


def _has_epiphysis(shape: BoneShape) -> bool:
    """Tell whether a small part lies in line with the largest one, just beyond its end."""
    for area, place in zip(shape.areas[1:], shape.places[1:], strict=True):
        offset = (place - shape.places[0]) * shape.axis.conjugate() / max(shape.spread[0], 1e-9)
        is_small = _EPIPHYSIS_SHARE[0] <= area / shape.area <= _EPIPHYSIS_SHARE[1]
        is_beyond = _EPIPHYSIS_ALONG[0] <= abs(offset.real) <= _EPIPHYSIS_ALONG[1]
        if is_small and is_beyond and abs(offset.imag) <= _EPIPHYSIS_ACROSS:
            return True
    return False
