"""Weights and thresholds of every bone, chosen among a few options by the Dice of a fusion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import combinations_with_replacement

import numpy as np

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.ensemble.selection.evidence import (
    HIGHEST_THRESHOLD,
    LOWEST_THRESHOLD,
    Evidence,
    Fusions,
)
from handseg_bundle_common.ensemble.selection.nested import NO_FOLD, FoldOf, Tuned, folds_and_all, shrink
from handseg_bundle_common.ensemble.selection.objective import Floats, Objective
from handseg_bundle_common.metrics import bootstrap_interval

NEUTRAL_THRESHOLD = 0.5

_THRESHOLD_STEP = 0.02
# 126 weights in quarters, whose number grows with the fourth power.
_MEMBERS_FOR_QUARTERS = 6


def tune_weights(
    evidence: Evidence,
    members: Sequence[int],
    fold_of: FoldOf,
    *,
    objective: Objective = Objective.BOTH,
    seed: int = 0,
) -> Tuned:
    """Weigh the members bone by bone.

    The best weights are looked for among equal ones and those that are multiples of a quarter, or of a half for more
    than six members.

    Args:
        evidence: what the models predict.
        members: places of those that were selected.
        fold_of: fold of every image.
        objective: what is to be gained.
        seed: of the interval.

    Returns:
        Weights (models, 29), summing to 1, 0 for models that are no members.
    """
    parts = 4 if len(members) <= _MEMBERS_FOR_QUARTERS else 2
    options = Fusions.means([members, *combinations_with_replacement(members, parts)], evidence.models)
    shrunk = shrink(options.weights, options.weights[0])
    fusions = Fusions(np.concatenate([options.weights, shrunk]), np.tile(options.thresholds, (2, 1)))
    table = evidence.scores(fusions).dice
    return _choose(shrunk, lambda _: table, evidence.patients, fold_of, objective=objective, seed=seed)


def tune_thresholds(
    evidence: Evidence, weights: Tuned, fold_of: FoldOf, *, objective: Objective = Objective.BOTH, seed: int = 0
) -> Tuned:
    """Choose the threshold of every bone between 0.3 and 0.7, which shrinkage brings to between 0.4 and 0.6.

    Args:
        evidence: what the models predict.
        weights: those of `tune_weights`; each fold is scored with its own.
        fold_of: fold of every image.
        objective: what is to be gained.
        seed: of the interval.

    Returns:
        Thresholds (29,).
    """
    grid = np.arange(LOWEST_THRESHOLD, HIGHEST_THRESHOLD + _THRESHOLD_STEP / 2, _THRESHOLD_STEP).round(2).tolist()
    # The neutral one comes first, which wins a draw.
    in_turn = sorted(grid, key=lambda threshold: abs(threshold - NEUTRAL_THRESHOLD))
    options = np.repeat(np.array(in_turn)[:, None], NUM_BONES, axis=1)
    shrunk = shrink(options, options[0])
    thresholds = np.concatenate([options, shrunk])

    @cache
    def table(fold: int) -> Floats:
        same = np.broadcast_to(weights.values(fold), (len(thresholds), *weights.neutral.shape))
        return evidence.scores(Fusions(same, thresholds)).dice

    return _choose(
        shrunk,
        lambda fold: table(fold if weights.is_kept else NO_FOLD),
        evidence.patients,
        fold_of,
        objective=objective,
        seed=seed,
    )


def _choose(
    shrunk: Floats,
    table: Callable[[int], Floats],
    patients: Sequence[str],
    fold_of: FoldOf,
    *,
    objective: Objective,
    seed: int,
) -> Tuned:
    """Choose an option for every bone by the images of the other folds, and score it, shrunk, on those of the fold.

    Args:
        shrunk: the options after shrinkage (K, ..., 29), the neutral one first.
        table: returns, for a fold, the Dice (N, 2 K, 29) of all options before and after shrinkage.
        patients: patient of every image.
        fold_of: fold of every image.
        objective: what is to be gained.
        seed: of the interval.
    """
    gains = np.empty((len(fold_of), NUM_BONES))
    of_fold: dict[int, Floats] = {}
    for fold in folds_and_all(fold_of):
        is_held_out = fold_of == fold
        before, after = np.split(table(fold), 2, axis=1)
        chosen = before[~is_held_out].mean(axis=0).argmax(axis=0)
        of_fold[fold] = np.take_along_axis(shrunk, np.expand_dims(chosen, tuple(range(shrunk.ndim - 1))), axis=0)[0]
        own = after[is_held_out]
        gains[is_held_out] = np.take_along_axis(own, chosen[None, None], axis=1)[:, 0] - own[:, 0]
    gain = bootstrap_interval(objective.of_images(gains), patients, seed=seed)
    return Tuned(of_fold, shrunk[0], gain)
