"""Values of every bone that are kept only if they help patients that they were not fitted on.

Fitted values are shrunk half way to those that favour nothing. Whether they help is measured with nested folds: the
values for the patients of each fold are fitted on the other folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.datasets import Item, make_folds
from handseg_bundle_common.ensemble.selection.objective import Floats
from handseg_bundle_common.metrics import Interval

# Share of the way from the fitted value to the neutral one. Optimised weights and thresholds overfit, and half of
# their effect is most of their gain where they are right.
SHRINKAGE = 0.5

# A fold without patients: what is fitted on the others is fitted on all images.
NO_FOLD = -1

FoldOf = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Tuned:
    """Values of every bone, and what they are worth.

    Attributes:
        of_fold: shrunk values by the fold that had no part in them, bones on the last axis; those of `NO_FOLD` are
            fitted on all images.
        neutral: values that favour nothing, of the same shape.
        gain: gain of the fitted values over the neutral ones on patients that had no part in them.
    """

    of_fold: dict[int, Floats]
    neutral: Floats
    gain: Interval

    @property
    def is_kept(self) -> bool:
        """Whether the interval of the gain lies above 0."""
        return self.gain.low > 0

    def values(self, fold: int = NO_FOLD) -> Floats:
        """Return the values to use for the patients of a fold: fitted ones if they are kept, or else neutral ones."""
        return self.of_fold[fold] if self.is_kept else self.neutral


def shrink(fitted: Floats, neutral: Floats) -> Floats:
    """Return fitted values moved towards the neutral ones by `SHRINKAGE`."""
    return (1 - SHRINKAGE) * fitted + SHRINKAGE * neutral


def folds_and_all(fold_of: FoldOf) -> list[int]:
    """Return the folds that occur, and `NO_FOLD`."""
    return [*np.unique(fold_of).tolist(), NO_FOLD]


def deal_folds(items: Sequence[Item], folds: int, seed: int = 0) -> FoldOf:
    """Return the fold of every item, both hands of a patient in one; there are no more folds than patients.

    Raises:
        HandsegInputError: fewer than two folds or patients, or polygons that cannot be read.
    """
    patients = {item["patient"] for item in items}
    dealt = make_folds(items, min(folds, max(len(patients), 2)), seed)
    fold_of = {patient: number for number, fold in enumerate(dealt) for patient in fold}
    return np.array([fold_of[item["patient"]] for item in items], np.int64)
