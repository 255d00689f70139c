"""Dice of the places where two bones overlap, pair by pair."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import CHANNEL, OVERLAPPING_PAIRS
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.metrics.crops import Masks
from handseg_bundle_common.metrics.cumulative import CumulativeBoneMetric
from handseg_bundle_common.metrics.dice import COMPETITION_EPS
from handseg_bundle_common.metrics.empty import OVERLAP_ZONE, EmptyMasks
from handseg_bundle_common.metrics.label_sets import label_sets

PAIR_NAMES: tuple[str, ...] = tuple("/".join(pair) for pair in OVERLAPPING_PAIRS)

_PAIR_BITS: Packed = np.array([sum(1 << CHANNEL[bone] for bone in pair) for pair in OVERLAPPING_PAIRS], np.uint32)


def pair_overlap_dice(
    prediction: Masks, reference: Masks, *, eps: float = COMPETITION_EPS, empty: EmptyMasks = OVERLAP_ZONE
) -> NDArray[np.float64]:
    """Return for every pair of `anatomy.OVERLAPPING_PAIRS` the Dice coefficient of the overlap of its two bones.

    The overlap is a mask of its own, the pixels that belong to both bones: the predicted overlap is compared with that
    of the reference by the formula of `dice`. A pixel of the overlap that is given to one of the bones only is missed,
    and a place where the prediction alone lets the bones overlap counts as false, which `overlap_zone_dice` cannot see.

    Args:
        prediction: packed masks (H, W) uint32, or masks (29, H, W), bool or integer; packed is fastest.
        reference: masks of the same picture in either form.
        eps: smoothing term.
        empty: scores where an overlap has no pixel; as it stands, NaN where the bones of the reference do not overlap.

    Returns:
        float64 (pairs,), in the order of `PAIR_NAMES`.

    Raises:
        ValueError: the sizes of the pictures differ, or there are not 29 bones.
        TypeError: a mask is floating-point.
    """
    sets = label_sets(prediction, reference)
    in_both = [(labels[:, None] & _PAIR_BITS) == _PAIR_BITS for labels in (sets.predicted, sets.expected)]
    predicted, expected, shared = (
        torch.from_numpy(sets.pixels @ overlap) for overlap in (*in_both, in_both[0] & in_both[1])
    )
    scores = (2 * shared.double() + eps) / ((predicted + expected).double() + eps)
    return empty.apply(scores, predicted, expected).numpy()


class PairOverlapDice(CumulativeBoneMetric):
    """Cumulative form of `pair_overlap_dice`: a pair has the place of a bone, and `PAIR_NAMES` tells which.

    Args:
        eps: smoothing term.
        empty: scores where an overlap has no pixel; left out where the bones of the reference do not overlap.
    """

    def __init__(self, eps: float = COMPETITION_EPS, empty: EmptyMasks = OVERLAP_ZONE) -> None:
        super().__init__(partial(pair_overlap_dice, eps=eps, empty=empty))
