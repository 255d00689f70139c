"""Where and how much the members of an ensemble agree, bone by bone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONE_NAMES, CHANNEL, NUM_BONES
from handseg_bundle_common.masks import Packed


def member_agreement(votes: Sequence[Packed]) -> NDArray[np.float64]:
    """Return the mean Dice coefficient over all pairs of members, bone by bone.

    Two members that both have not found a bone agree on it, 1; one that has and one that has not disagree, 0. Source:
    mean pairwise Dice as a measure of an ensemble's uncertainty, A. G. Roy et al., Bayesian QuickNAT, NeuroImage
    195:11 (2019).

    Args:
        votes: packed masks (H, W) of each member, or of each of its passes, all of one size.

    Returns:
        (29,), NaN with fewer than two members.

    Raises:
        ValueError: the sizes differ.
    """
    _check_sizes(votes)
    if len(votes) < 2:
        return np.full(NUM_BONES, np.nan)
    occupied = np.flatnonzero(reduce(np.bitwise_or, votes))
    members = np.stack([vote.ravel()[occupied] for vote in votes])
    first, second = np.triu_indices(len(votes), 1)
    scores = np.ones(NUM_BONES)
    for channel in range(NUM_BONES):
        inside = (members & np.uint32(1 << channel)) != 0
        inside = inside[:, inside.any(axis=0)].astype(np.float64)
        if inside.size:
            shared = inside @ inside.T
            area = np.diag(shared)
            total = area[first] + area[second]
            pairs = np.divide(2 * shared[first, second], total, out=np.ones_like(total), where=total > 0)
            scores[channel] = pairs.mean()
    return scores


def disagreement_map(votes: Sequence[Packed], bones: Sequence[str] | None = None) -> NDArray[np.float32]:
    """Return the share of pairs of members that give a pixel to different bones.

    Args:
        votes: packed masks (H, W) of each member, or of each of its passes, all of one size.
        bones: names of the bones that count, all by default.

    Returns:
        (H, W), 0 where all members agree, 1 where no two do.

    Raises:
        ValueError: there are fewer than two members, or the sizes differ.
    """
    _check_sizes(votes)
    if len(votes) < 2:
        raise ValueError("one member cannot disagree")
    bits = np.uint32(sum(1 << CHANNEL[bone] for bone in (BONE_NAMES if bones is None else bones)))
    chosen = [vote & bits for vote in votes]
    pairs = list(combinations(chosen, 2))
    differing = np.zeros(chosen[0].shape, np.uint16)
    for first, second in pairs:
        differing += first != second
    return (differing / np.float32(len(pairs))).astype(np.float32, copy=False)


def _check_sizes(votes: Sequence[Packed]) -> None:
    sizes = {vote.shape for vote in votes}
    if len(sizes) > 1:
        raise ValueError(f"the members' masks differ in size: {sorted(sizes)}")
