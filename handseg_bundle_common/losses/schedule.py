"""Weights that change over the epochs of a training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from handseg_bundle_common.errors import HandsegInputError

EpochWeight = float | Sequence[Sequence[float]]


class WeightSchedule:
    """A weight as a piecewise linear function of the epoch, constant before its first point and after its last.

    Args:
        name: what the recipe calls it, for messages.
        weight: a number, or points [epoch, weight] in the order of the epochs; of two points at one epoch the later
            holds from there on.

    Raises:
        HandsegInputError: these are no such points, or a weight is negative.
    """

    def __init__(self, name: str, weight: EpochWeight) -> None:
        points = weight if isinstance(weight, Sequence) else [[0, weight]]
        try:
            table = np.array(points, dtype=np.float64)
        except (TypeError, ValueError):
            table = np.empty(0)
        if table.ndim != 2 or table.shape[1] != 2 or not np.isfinite(table).all():
            problem = f"{weight!r} is neither a number nor a list of [epoch, weight]"
            raise HandsegInputError(name, problem, "write for example [[1, 1.0], [50, 0.2]]")
        self.epochs, self.weights = table.T
        if self.weights.min() < 0:
            raise HandsegInputError(name, f"{self.weights.min():g} is negative", "choose 0 or more")
        if (np.diff(self.epochs) < 0).any():
            raise HandsegInputError(name, "the epochs are not in order", "sort the points by their epochs")

    def __call__(self, epoch: float) -> float:
        """Return the weight in an epoch; the first of a training is 1."""
        return float(np.interp(epoch, self.epochs, self.weights))
