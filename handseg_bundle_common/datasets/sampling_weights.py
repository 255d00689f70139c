"""How often an item is dealt: its sampling weight on average, spread evenly over the epochs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import ceil, floor
from typing import Any

import numpy as np

from handseg_bundle_common.errors import HandsegInputError

SAMPLING_WEIGHT = "sampling_weight"

# Weights are taken as fractions with denominators up to this, so that counting needs no rounding.
_MAX_DENOMINATOR = 1_000_000

IntArray = np.ndarray[Any, np.dtype[np.int64]]


def sampling_weight(item: Any) -> Fraction:
    """Return how often an item is dealt in an epoch on average: its `sampling_weight`, or 1.

    Raises:
        HandsegInputError: the weight is no number above 0.
    """
    weight = item.get(SAMPLING_WEIGHT, 1) if isinstance(item, Mapping) else 1
    try:
        fraction = Fraction(weight).limit_denominator(_MAX_DENOMINATOR)
    except (TypeError, ValueError, OverflowError):
        fraction = Fraction(0)
    if fraction <= 0:
        raise HandsegInputError(SAMPLING_WEIGHT, f"{weight!r} is no number above 0", "choose for example 0.25 or 2")
    return fraction


class Turns:
    """How often every item is dealt in an epoch, as a function of the epoch alone.

    Items of one weight take turns in a random order that moves on by one in every epoch: of those of weight 1/4 a
    fourth comes in each epoch, and each item once in four; one of weight 5/2 comes twice and three times in turn.
    Over any number of epochs in a row an item comes as often as its weight demands, to within one.

    Source: systematic sampling, as in Cochran, Sampling Techniques, 3rd edition, chapter 8, with equal weights.

    Args:
        weights: one of each item.
        rng: draws the order.
    """

    def __init__(self, weights: Iterable[Fraction], rng: np.random.Generator) -> None:
        by_weight: dict[Fraction, list[int]] = {}
        for index, weight in enumerate(weights):
            by_weight.setdefault(weight, []).append(index)
        size = sum(map(len, by_weight.values()))
        self._numerators, self._denominators, self._ranks = np.ones((3, size), np.int64)
        for weight, indices in by_weight.items():
            self._numerators[indices], self._denominators[indices] = weight.as_integer_ratio()
            self._ranks[indices] = rng.permutation(len(indices))
        totals = [weight * len(indices) for weight, indices in by_weight.items()]
        self.fewest = sum(map(floor, totals))
        self.most = sum(map(ceil, totals))

    def counts(self, epoch: int) -> IntArray:
        """Return how often each item is dealt in an epoch, between `fewest` and `most` in all."""
        return self._until(epoch) - self._until(epoch - 1)

    def _until(self, epoch: int) -> IntArray:
        """Return how often each item is dealt up to and with an epoch, but for a constant."""
        return (epoch + self._ranks) * self._numerators // self._denominators
