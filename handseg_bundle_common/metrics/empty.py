"""What a score is where there is nothing to compare: declared as data, one table a metric."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

NOT_SCORED = math.nan


@dataclass(frozen=True)
class EmptyMasks:
    """Scores that replace the formula's own when a mask has no pixel; None keeps what the formula gives.

    Attributes:
        both: neither mask has a pixel.
        reference: only the reference is empty (a false alarm).
        prediction: only the prediction is empty (a bone was missed).
    """

    both: float | None = None
    reference: float | None = None
    prediction: float | None = None

    def apply(self, scores: torch.Tensor, predicted: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
        """Return the scores with those of empty masks replaced.

        Args:
            scores: what the formula gives, of any shape.
            predicted: pixels of the prediction, same shape.
            expected: pixels of the reference, same shape.
        """
        no_prediction, no_reference = predicted == 0, expected == 0
        cases = (
            (self.both, no_prediction & no_reference),
            (self.reference, no_reference & ~no_prediction),
            (self.prediction, no_prediction & ~no_reference),
        )
        for value, where in cases:
            if value is not None:
                scores = scores.masked_fill(where, value)
        return scores


# The competition's formula decides by its smoothing term: 1 where both are empty, nearly 0 where one is.
COMPETITION = EmptyMasks()

# A bone that does not reach into the overlap zone has no part in it.
OVERLAP_ZONE = EmptyMasks(both=NOT_SCORED, reference=NOT_SCORED)

# Without a reference there is no band; a missed bone is scored by the formula, as wrong on the band's inner half.
BOUNDARY_BAND = EmptyMasks(both=NOT_SCORED, reference=NOT_SCORED)

# Where only one mask has a surface, no pixel of it has a counterpart at any distance.
SURFACE_DICE = EmptyMasks(both=NOT_SCORED, reference=0.0, prediction=0.0)

# There is no distance to a mask without pixels.
SURFACE_DISTANCE = EmptyMasks(both=NOT_SCORED, reference=NOT_SCORED, prediction=NOT_SCORED)
