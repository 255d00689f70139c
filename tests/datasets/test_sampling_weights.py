"""Items come as often as their weights demand, evenly over the epochs."""

from __future__ import annotations

from fractions import Fraction
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handseg_bundle_common.datasets.sampling_weights import Turns, sampling_weight
from handseg_bundle_common.errors import HandsegInputError

WEIGHTS = st.lists(st.fractions(Fraction(1, 50), 4, max_denominator=50), max_size=12)


def turns(weights: list[Fraction], seed: int = 0) -> Turns:
    return Turns(weights, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({}, 1),
        (0, 1),
        ({"sampling_weight": 3}, 3),
        ({"sampling_weight": 0.1}, Fraction(1, 10)),
        ({"sampling_weight": 1 / 7}, Fraction(1, 7)),
        ({"sampling_weight": 2.5}, Fraction(5, 2)),
    ],
)
def test_weights_are_taken_as_simple_fractions(item: object, expected: Fraction) -> None:
    assert sampling_weight(item) == expected


@pytest.mark.parametrize("weight", [0, -1, 1e-9, float("nan"), float("inf"), "half", None, [1]])
def test_other_weights_are_refused(weight: object) -> None:
    with pytest.raises(HandsegInputError, match=r"sampling_weight: .* is no number above 0; choose for example"):
        sampling_weight({"sampling_weight": weight})


@given(weights=WEIGHTS, start=st.integers(0, 30), epochs=st.integers(1, 60))
def test_counts_over_epochs_are_the_weights_to_within_one(weights: list[Fraction], start: int, epochs: int) -> None:
    dealt = turns(weights)
    counts = sum(dealt.counts(epoch) for epoch in range(start, start + epochs))
    assert all(abs(count - weight * epochs) < 1 for count, weight in zip(counts.tolist(), weights, strict=True))


@given(weights=WEIGHTS, epoch=st.integers(0, 200))
def test_an_epoch_deals_each_weight_rounded_down_or_up(weights: list[Fraction], epoch: int) -> None:
    counts = turns(weights).counts(epoch).tolist()
    assert all(count in {weight // 1, -(-weight // 1)} for count, weight in zip(counts, weights, strict=True))


@given(weights=WEIGHTS, epochs=st.integers(1, 40))
def test_epochs_have_nearly_as_many_windows_as_the_weights_sum_to(weights: list[Fraction], epochs: int) -> None:
    dealt = turns(weights)
    totals = {int(dealt.counts(epoch).sum()) for epoch in range(epochs)}
    assert dealt.fewest <= min(totals) <= max(totals) <= dealt.most
    assert dealt.fewest <= sum(weights) <= dealt.most
    assert dealt.most - dealt.fewest <= len(set(weights))


@given(count=st.integers(1, 40), weight=st.sampled_from([Fraction(1, 4), Fraction(2, 5), Fraction(7, 3)]))
def test_epochs_are_alike_where_the_weights_of_a_list_sum_to_a_whole_number(count: int, weight: Fraction) -> None:
    items = count * weight.denominator
    dealt = turns([weight] * items)
    assert {int(dealt.counts(epoch).sum()) for epoch in range(20)} == {count * weight.numerator}
    assert dealt.fewest == dealt.most


def test_a_fourth_comes_once_in_four_epochs_each_time_another_fourth() -> None:
    dealt = turns([Fraction(1, 4)] * 12)
    chosen = [np.flatnonzero(dealt.counts(epoch)).tolist() for epoch in range(1, 9)]
    assert sorted(chain(*chosen[:4])) == list(range(12))
    assert chosen[4:] == chosen[:4]


def test_the_order_of_turns_is_random() -> None:
    chosen = {tuple(turns([Fraction(1, 4)] * 12, seed).counts(1)) for seed in range(20)}
    assert len(chosen) > 10
