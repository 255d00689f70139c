"""Which models make an ensemble, and how they are weighed: from folders of predictions to a `Selection`."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from handseg_bundle_common.ensemble.members import Role
from handseg_bundle_common.ensemble.network import Combine
from handseg_bundle_common.ensemble.selection.calibration import calibrate
from handseg_bundle_common.ensemble.selection.evidence import Evidence, Fusions, FusionScores
from handseg_bundle_common.ensemble.selection.greedy import Step, select_greedily
from handseg_bundle_common.ensemble.selection.nested import Tuned, deal_folds
from handseg_bundle_common.ensemble.selection.objective import Floats, Objective
from handseg_bundle_common.ensemble.selection.per_bone import tune_thresholds, tune_weights
from handseg_bundle_common.ensemble.selection.predictions import (
    LevelReader,
    ModelPredictions,
    common_combination,
    match_images,
    read_models,
)
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.metrics import Interval, bootstrap_interval


@dataclass(frozen=True)
class ModelScores:
    """Scores of one model alone.

    Attributes:
        mean: Dice averaged over images and bones.
        small_bones: the same of the small bones.
        overlap_zone: the same of the pixels that belong to two bones or more.
    """

    mean: Interval
    small_bones: Interval
    overlap_zone: Interval


@dataclass(frozen=True, eq=False)
class Selection:
    """A choice of models, and everything that speaks for it.

    Attributes:
        models: all models, M of them.
        combine: "probabilities" or "votes".
        objective: what they were chosen for.
        images: number of images.
        patients: number of patients.
        scores: of every model alone.
        bone_dice: (M, 29), of every model alone.
        agreement: (M, M), Dice between the masks of every two models.
        steps: of the selection, at least one.
        weights: per-bone weights (M, 29) of the members.
        thresholds: (29,), or None for votes.
        calibration: scales and offsets (2, 29), or None for votes.
        final_dice: (29,), Dice of the members with the weights and thresholds that are used.
    """

    models: list[ModelPredictions]
    combine: Combine
    objective: Objective
    images: int
    patients: int
    scores: list[ModelScores]
    bone_dice: Floats
    agreement: Floats
    steps: list[Step]
    weights: Tuned
    thresholds: Tuned | None
    calibration: Tuned | None
    final_dice: Floats

    @property
    def members(self) -> tuple[int, ...]:
        """Places of the models that were chosen, in the order of their choice."""
        return self.steps[-1].members

    @property
    def tuned(self) -> dict[str, Tuned]:
        """What was fitted, by name."""
        parts = {"weights": self.weights, "thresholds": self.thresholds, "calibration": self.calibration}
        return {name: part for name, part in parts.items() if part is not None}

    def roles(self) -> dict[int, Role]:
        """Return what every member is there for: small bones if it ranks higher there than overall, among members."""
        means, small = (
            rankdata([-interval.estimate for interval in of_members], method="min")
            for of_members in zip(
                *((self.scores[m].mean, self.scores[m].small_bones) for m in self.members), strict=True
            )
        )
        return {
            member: Role.SMALL_BONES if of_small < overall else Role.GENERAL
            for member, overall, of_small in zip(self.members, means, small, strict=True)
        }


def select_members(
    predictions: Sequence[str | PathLike[str]],
    labels: str | PathLike[str],
    *,
    weights: Sequence[str | PathLike[str]] | None = None,
    objective: str = Objective.BOTH,
    size: int | None = None,
    folds: int = 5,
    seed: int = 0,
) -> Selection:
    """Choose the models that are best together, on images that none of them was trained on.

    Models with probabilities are fused by their mean, at the size at which the probabilities are stored; if one has
    none, all vote with their masks at the native size, and more than half of them decide.

    Args:
        predictions: results folders of `handseg predict` or `handseg cross-validate`, one a model.
        labels: data set with the polygons of the images.
        weights: files of weights that shall take part in the ensemble, one a folder of predictions, such as those
            trained on all data after a cross-validation; None takes those that made the predictions.
        objective: "mean" Dice of all bones, of the "small" ones, or the mean of "both".
        size: number of members; None stops when another one would gain nothing.
        folds: parts of the patients for the test whether weights, thresholds and calibration help.
        seed: of folds, intervals and sampled pixels.

    Raises:
        HandsegInputError: a prediction, the labels or an option cannot be used.
    """
    goal = _checked_objective(objective)
    models = read_models(predictions, weights)
    if size is not None and not 1 <= size <= len(models):
        raise HandsegInputError("size", f"{size} of {len(models)} models is not possible", f"choose 1 to {len(models)}")
    combine = common_combination(models)
    cases = match_images(models, labels)
    fold_of = deal_folds([case.item for case in cases], folds, seed)
    with tempfile.TemporaryDirectory(prefix="handseg-") as folder:
        evidence = Evidence(cases, LevelReader(models, combine), Path(folder), seed)
        alone = evidence.scores(Fusions.means([[place] for place in range(len(models))], len(models)))
        steps = select_greedily(evidence, combine=combine, objective=goal, size=size, seed=seed)
        bone_weights = tune_weights(evidence, steps[-1].members, fold_of, objective=goal, seed=seed)
        is_soft = combine is Combine.PROBABILITIES
        thresholds = tune_thresholds(evidence, bone_weights, fold_of, objective=goal, seed=seed) if is_soft else None
        calibration = calibrate(evidence, bone_weights, fold_of, seed=seed) if is_soft else None
        return Selection(
            models=models,
            combine=combine,
            objective=goal,
            images=len(cases),
            patients=len(set(evidence.patients)),
            scores=_model_scores(alone, evidence.patients, seed),
            bone_dice=alone.dice.mean(axis=0),
            agreement=evidence.agreement(),
            steps=steps,
            weights=bone_weights,
            thresholds=thresholds,
            calibration=calibration,
            final_dice=_final_dice(evidence, bone_weights, thresholds),
        )


def _checked_objective(objective: str) -> Objective:
    try:
        return Objective(objective)
    except ValueError as error:
        raise HandsegInputError("objective", f"{objective!r} is unknown", f"choose {', '.join(Objective)}") from error


def _model_scores(alone: FusionScores, patients: Sequence[str], seed: int) -> list[ModelScores]:
    return [
        ModelScores(
            bootstrap_interval(Objective.MEAN.of_images(dice), patients, seed=seed),
            bootstrap_interval(Objective.SMALL.of_images(dice), patients, seed=seed),
            bootstrap_interval(zone, patients, seed=seed),
        )
        for dice, zone in zip(np.moveaxis(alone.dice, 1, 0), np.moveaxis(alone.overlap_zone, 1, 0), strict=True)
    ]


def _final_dice(evidence: Evidence, weights: Tuned, thresholds: Tuned | None) -> Floats:
    values = weights.values()
    levels = np.full(values.shape[1], 0.5) if thresholds is None else thresholds.values()
    return np.asarray(evidence.scores(Fusions(values[None], levels[None])).dice[:, 0].mean(axis=0))
