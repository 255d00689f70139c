"""Forward selection: members are added one after the other, each time the one that helps most.

Source: R. Caruana, A. Niculescu-Mizil, G. Crew, A. Ksikes, Ensemble selection from libraries of models, ICML 2004;
here every model is chosen once at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, combinations

from handseg_bundle_common.ensemble.network import Combine
from handseg_bundle_common.ensemble.selection.evidence import Evidence, Fusions
from handseg_bundle_common.ensemble.selection.objective import Floats, Objective
from handseg_bundle_common.metrics import Interval, bootstrap_interval


@dataclass(frozen=True, eq=False)
class Step:
    """One step of the selection.

    Attributes:
        added: models that are new, by their places.
        members: all models chosen so far, in the order of their choice.
        dice: (N, 29), Dice of their fusion.
        gain: in the objective over the step before; None in the first step. It is measured on the images that made the
            choice, and so somewhat too good.
    """

    added: tuple[int, ...]
    members: tuple[int, ...]
    dice: Floats
    gain: Interval | None


def select_greedily(
    evidence: Evidence,
    *,
    combine: Combine = Combine.PROBABILITIES,
    objective: Objective = Objective.BOTH,
    size: int | None = None,
    seed: int = 0,
) -> list[Step]:
    """Choose members, starting with the best model alone.

    Members count alike. With votes, where the second of two could only object to the first, pairs are tried too.

    Args:
        evidence: what the models predict.
        combine: whether the evidence holds probabilities or votes.
        objective: what is to be gained.
        size: number of members; None stops before the first step that gains nothing.
        seed: of the intervals.
    """
    steps: list[Step] = []
    members: tuple[int, ...] = ()
    limit = evidence.models if size is None else size
    while True:
        together = 2 if combine is Combine.VOTES and members else 1
        subsets = _larger_subsets(members, evidence.models, together, limit)
        if not subsets:
            return steps
        dice = evidence.scores(Fusions.means(subsets, evidence.models)).dice
        best = int(objective.of_images(dice).mean(axis=0).argmax())
        gain = None
        if steps:
            gains = objective.of_images(dice[:, best] - steps[-1].dice)
            gain = bootstrap_interval(gains, evidence.patients, seed=seed)
            if size is None and gain.estimate <= 0:
                return steps
        steps.append(Step(subsets[best][len(members) :], subsets[best], dice[:, best], gain))
        members = subsets[best]


def _larger_subsets(members: tuple[int, ...], models: int, together: int, size: int) -> list[tuple[int, ...]]:
    """Return the members with one other model more, or with up to `together`."""
    others = [model for model in range(models) if model not in members]
    counts = range(1, min(together, size - len(members)) + 1)
    return [(*members, *new) for new in chain.from_iterable(combinations(others, count) for count in counts)]
