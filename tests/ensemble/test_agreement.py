"""Agreement of members, against Dice coefficients of sets of pixels."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from handseg_bundle_common.anatomy import CHANNEL, NUM_BONES
from handseg_bundle_common.ensemble.agreement import disagreement_map, member_agreement

LUNATE, RADIUS = 1 << CHANNEL["Lunate"], 1 << CHANNEL["Radius"]

several_members = st.integers(2, 5).flatmap(
    lambda count: arrays(np.uint32, (count, 4, 3), elements=st.sampled_from([0, LUNATE, RADIUS, LUNATE | RADIUS]))
)


def naive_dice(first: np.ndarray, second: np.ndarray, bit: int) -> float:
    """Compare the sets of pixels of one bone."""
    a, b = ({tuple(place) for place in np.argwhere(vote & bit)} for vote in (first, second))
    return 2 * len(a & b) / (len(a) + len(b)) if a or b else 1.0


@given(several_members)
def test_agreement_is_the_mean_dice_of_all_pairs(votes: np.ndarray) -> None:
    scores = member_agreement(list(votes))
    assert scores.shape == (NUM_BONES,)
    for name in ("Lunate", "Radius"):
        pairs = [naive_dice(first, second, 1 << CHANNEL[name]) for first, second in combinations(votes, 2)]
        assert scores[CHANNEL[name]] == pytest.approx(np.mean(pairs))
    assert (np.delete(scores, [CHANNEL["Lunate"], CHANNEL["Radius"]]) == 1).all(), "bones that no member has found"


@given(several_members)
def test_the_map_counts_the_pairs_that_differ_at_each_pixel(votes: np.ndarray) -> None:
    pairs = list(combinations(votes, 2))
    for bones, bits in ((None, LUNATE | RADIUS), (["Lunate"], LUNATE), (["Radius", "Ulna"], RADIUS)):
        shares = disagreement_map(list(votes), bones)
        assert (shares.dtype, shares.shape) == (np.float32, (4, 3))
        for place in np.ndindex(4, 3):
            differing = sum(int(first[place]) & bits != int(second[place]) & bits for first, second in pairs)
            assert shares[place] == pytest.approx(differing / len(pairs))


def test_one_member_alone_agrees_with_nobody() -> None:
    vote = np.full((2, 2), LUNATE, np.uint32)
    for votes in ([], [vote]):
        assert np.isnan(member_agreement(votes)).all()
        with pytest.raises(ValueError, match="one member cannot disagree"):
            disagreement_map(votes)


def test_many_members() -> None:
    """More pairs than a byte can count."""
    full = np.full((40, 40), (1 << NUM_BONES) - 1, np.uint32)
    votes = [*[full] * 23, np.zeros_like(full)]
    assert member_agreement(votes) == pytest.approx(np.full(NUM_BONES, 23 * 22 / (24 * 23)))
    assert disagreement_map(votes) == pytest.approx(np.full(full.shape, 23 / (24 * 23 / 2)))


def test_sizes_must_agree() -> None:
    votes = [np.zeros((2, 2), np.uint32), np.zeros((2, 3), np.uint32)]
    for function in (member_agreement, disagreement_map):
        with pytest.raises(ValueError, match="differ in size"):
            function(votes)
