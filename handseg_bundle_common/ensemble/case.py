"""Reasons to distrust a radiograph as a whole: blank, no hand, half a hand, two hands, another view, a child's hand.

The networks know single hands of adults from the front and give masks for anything; these reasons are taken from the
masks, which need no reference. The measured ranges beside the thresholds are those of the exact masks of 240 simulated
hands of 256 px, 80 of each preset, unless something else is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import CHANNEL, NUM_BONES, Group, bones_of
from handseg_bundle_common.ensemble.found_bones import FEWEST_BONES, Channels, Fit, FoundBones
from handseg_bundle_common.ensemble.shapes import BoneShape
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.transforms.load import contrast_limits

# The grey levels that count for the contrast are 0.38 to 1 apart.
_LEAST_CONTRAST = 0.03
# All hands have 29 bones; one or two that are missing are named one by one.
_ALMOST_ALL, _HALF = 27, 15

# Share of the variance of the bones' places that the mean hand leaves: up to 0.008 of palms and 0.020 of rays, 0.014
# and 0.035 with two bones of each thrown anywhere. The foot of the tests leaves 0.057 and 0.045; hands that are turned
# about the forearm's or the radial axis leave at least 0.031 of the palm at 60 degrees and 0.16 at 90. Of twelve
# turned by 40 degrees four are flagged, of those by 30 none.
_MOST_UNEXPLAINED = {"palm": 0.025, "rays": 0.04}
# Median factor between the areas and those that the hand's size tells, as a logarithm: up to 0.115.
_ODD_SIZES = 0.3

# Median area of the carpals beside that of the bones of the rays, over the ratio in real adults: 0.80 to 1.22.
_LEAST_CARPALS = 0.6
# An epiphysis lies beyond the end of its shaft, which is 1.7 standard deviations of a rod's pixels from its middle. At
# most one bone of a hand has such a part, its sesamoid.
_EPIPHYSIS_SHARE, _EPIPHYSIS_ALONG, _EPIPHYSIS_ACROSS, _EPIPHYSES = (0.02, 0.35), (1.5, 3.0), 0.5, 6

BLANK = "the picture is blank: check the file or export it again"
NOTHING = "no bone found: not a hand, or a picture unlike those of the training, so look at it"
TWO_HANDS = "shows two hands: crop them and segment each alone"
TWO_GROUPS = "what was found lies in two groups: two hands or no hand, so crop each hand and segment it alone"
PART = "{} of {} bones found: not a hand, only part of one or several, so use a picture of one whole hand"
INCOMPLETE = (
    "{} of {} bones found: part of the hand is outside the picture or was not recognised, so add the others by hand or "
    "leave them out"
)
NOT_A_HAND = (
    "what was found does not {} a hand seen from the front: another part of the body, another view, several hands or a "
    "failed segmentation, so do not use the masks"
)
CHILD = "looks like a child's hand ({}): the networks know adults only, so check every bone"


def _channels(*groups: Group) -> Channels:
    return np.array([CHANNEL[bone.name] for group in groups for bone in bones_of(group)])


_CARPALS, _RAYS = _channels(Group.CARPALS), _channels(Group.PHALANGES, Group.METACARPALS)
# The stiff part of the hand: without the thumb's metacarpal, and without the forearm, from which wrists deviate.
_PALM = np.array([*_channels(Group.METACARPALS)[1:], *_CARPALS])
_LONG = np.array([*_RAYS, *_channels(Group.FOREARM)])


def case_flags(packed: Packed, radiograph: NDArray[np.floating[Any]]) -> tuple[str, ...]:
    """Return what is wrong with a radiograph as a whole, one sentence each with what to do, most severe first.

    The places of the bones are laid over those of the mean hand, of either side, by the best shift, turn and scale
    (`FoundBones.fit`), rays and palm apart because fingers spread; their areas are compared with the mean ones of real
    radiographs. Neither the size of a hand nor its turn in the picture matters.

    Not seen are: a hand whose palm lies up, which is the mirror image of the other hand; a view less than 50 degrees
    from the front; an older child, whose carpals have three fifths of an adult's size beside the fingers or more, if
    the masks bridge the growth plates; and whatever the networks make a perfect hand of.

    Args:
        packed: final masks (H, W).
        radiograph: (H, W) or (1, H, W), 0..1, as it was read.

    Returns:
        The reasons; none for a single hand of an adult.
    """
    low, high = contrast_limits(np.asarray(radiograph, np.float32))
    if high - low < _LEAST_CONTRAST:
        return (BLANK,)
    hand = FoundBones(packed)
    if not hand.found.any():
        return (NOTHING,)
    return (TWO_HANDS,) if hand.is_doubled else tuple(_reasons(hand))


def _reasons(hand: FoundBones) -> Iterator[str]:
    """Yield what is wrong with a picture in which bones were found; what makes the masks useless stands alone."""
    number = np.count_nonzero(hand.found)
    fits = {"rays": hand.fit(_RAYS), "palm": hand.fit(_PALM)}
    lies_oddly = any(fit is not None and fit.unexplained > _MOST_UNEXPLAINED[part] for part, fit in fits.items())
    if number < _HALF or lies_oddly:
        reason = PART.format(number, NUM_BONES) if number < _HALF else NOT_A_HAND.format("lie like")
        yield TWO_GROUPS if hand.is_in_two_groups else reason
    elif _is_out_of_proportion(hand):
        yield NOT_A_HAND.format("have the proportions of")
    else:
        signs = [] if fits["rays"] is None else _signs_of_a_child(hand, fits["rays"])
        is_explained = signs and np.isin(np.flatnonzero(~hand.found), _CARPALS).all()
        if number < _ALMOST_ALL and not is_explained:
            yield INCOMPLETE.format(number, NUM_BONES)
        if signs:
            yield CHILD.format(", ".join(signs))


def _is_out_of_proportion(hand: FoundBones) -> bool:
    """Tell whether most areas are not those of a hand of one size."""
    ratios = np.log(hand.ratios[hand.whole])
    return bool(ratios.size >= FEWEST_BONES and np.median(np.abs(ratios - np.median(ratios))) > _ODD_SIZES)


def _signs_of_a_child(hand: FoundBones, rays: Fit) -> list[str]:
    """Return what speaks for bones that still grow, where the rays lie like those of a hand."""
    signs = []
    height, width = hand.size
    at = rays.places[_CARPALS]
    is_inside = (at.real > 0) & (at.real < width) & (at.imag > 0) & (at.imag < height)
    carpals = _CARPALS[is_inside & (hand.whole | ~hand.found)[_CARPALS]]
    fingers = _RAYS[hand.whole[_RAYS]]
    if min(carpals.size, fingers.size) >= FEWEST_BONES:
        ratio = float(np.median(hand.ratios[carpals]) / np.median(hand.ratios[fingers]))
        signs += [f"carpal bones of {ratio:.2g} times an adult's size beside the fingers"] * (ratio < _LEAST_CARPALS)
    plates = sum(_has_epiphysis(hand.shapes[channel]) for channel in _LONG)
    return [*signs, *[f"{plates} bones with growth plates"] * (plates >= _EPIPHYSES)]


def _has_epiphysis(shape: BoneShape) -> bool:
    """Tell whether a small part lies in line with the largest one, just beyond its end."""
    for area, place in zip(shape.areas[1:], shape.places[1:], strict=True):
        offset = (place - shape.places[0]) * shape.axis.conjugate() / max(shape.spread[0], 1e-9)
        is_small = _EPIPHYSIS_SHARE[0] <= area / shape.area <= _EPIPHYSIS_SHARE[1]
        is_beyond = _EPIPHYSIS_ALONG[0] <= abs(offset.real) <= _EPIPHYSIS_ALONG[1]
        if is_small and is_beyond and abs(offset.imag) <= _EPIPHYSIS_ACROSS:
            return True
    return False
