"""Scores of runs with their intervals, and their differences to one of them on the same images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.metrics import Difference, Interval, dice_differences
from handseg_bundle_common.metrics.differences import ALL, ENOUGH_PATIENTS, SMALL, dice_with_intervals, patients_caution
from handseg_bundle_common.metrics.scores import paired
from handseg_bundle_common.tracking.comparison.runs import FINAL, VALIDATION, LeftOut, Run
from handseg_bundle_common.tracking.comparison.settings import (
    FINGERPRINT,
    Setting,
    differing_environment,
    differing_settings,
)

_SMALL = "small_bone_dice"
_NAN = float("nan")


@dataclass(frozen=True, eq=False)
class Entry:
    """A run in a comparison.

    Attributes:
        number: its number on all tables and figures, from 1.
        run: the run.
        mean: mean Dice of all bones with its interval, NaN where there is none.
        small: that of the small bones.
        source: what the scores are taken from.
        images: number of images that this run and the baseline both have.
        differences: what the run gains over the baseline on them, by part of the hand; empty if it cannot be told.
        remark: why it cannot be told: the baseline itself, other images, no scores of images.
    """

    number: int
    run: Run
    mean: Interval
    small: Interval
    source: str
    images: int = 0
    differences: dict[str, Difference] = field(default_factory=dict)
    remark: str = ""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Runs side by side.

    Attributes:
        experiment: where they come from.
        entries: the runs, in the order of their numbers.
        baseline: the run that the others are measured against; None if no run has scores of images.
        baseline_reason: why it is this one.
        left_out: runs that are not compared.
    """

    experiment: str
    entries: tuple[Entry, ...]
    baseline: Entry | None
    baseline_reason: str
    left_out: tuple[LeftOut, ...] = ()

    @property
    def runs(self) -> list[Run]:
        """The runs in the order of their numbers."""
        return [entry.run for entry in self.entries]

    @property
    def settings(self) -> list[Setting]:
        """Hyper-parameters in which the runs differ."""
        return differing_settings(self.runs)

    @property
    def environment(self) -> list[Setting]:
        """What else differs: versions, machine, data."""
        return differing_environment(self.runs)

    @property
    def warnings(self) -> list[str]:
        """What makes the numbers hard to compare, as sentences."""
        found = []
        fingerprints = {run.parameters[FINGERPRINT] for run in self.runs if FINGERPRINT in run.parameters}
        if len(fingerprints) > 1:
            found.append(f"The runs do not all have the same data: their fingerprints differ{self._other_data()}.")
        others = [entry.number for entry in self.entries if entry.remark == OTHER_IMAGES]
        if others:
            found.append(f"Scored on other images than the baseline: {_numbered(others)}.")
        partly = [entry.number for entry in self.entries if entry.differences and entry.images < _most(entry, self)]
        if partly:
            found.append(f"Compared on the images that both have, which are not all: {_numbered(partly)}.")
        unscored = [entry.number for entry in self.entries if entry.run.scores is None]
        if unscored:
            found.append(f"Without scores of images, so without difference: {_numbered(unscored)}.")
        patients = [len(set(entry.run.scores.patients)) for entry in self.entries if entry.run.scores is not None]
        patients += [entry.differences[ALL].patients for entry in self.entries if entry.differences]
        caution = patients_caution(min(patients, default=ENOUGH_PATIENTS))
        return [*found, caution] if caution else found

    def _other_data(self) -> str:
        """Return which runs have other data than the baseline, whose images are paired with theirs all the same."""
        if self.baseline is None:
            return ""
        own = self.baseline.run.parameters.get(FINGERPRINT)
        others = [entry.number for entry in self.entries if entry.run.parameters.get(FINGERPRINT, own) != own]
        return f" from the baseline's in {_numbered(others)}, and images are paired by name only" if others else ""


BASELINE, OTHER_IMAGES, NO_IMAGES = "baseline", "other images", "no scores of images"


def compare(
    experiment: str,
    runs: Sequence[Run],
    *,
    baseline: str | None = None,
    is_named: bool = False,
    left_out: Sequence[LeftOut] = (),
) -> Comparison:
    """Compare runs.

    Args:
        experiment: name of their experiment.
        runs: the runs, at least one.
        baseline: identifier of the run that the others are measured against. By default the first of runs that were
            named; else the earliest of those that share their images with most others.
        is_named: the user has named the runs, whose order stays; else the highest mean Dice comes first.
        left_out: runs that are not compared.

    Raises:
        HandsegInputError: the baseline has no scores of images.
    """
    base, reason = _choose_baseline(runs, baseline, is_named=is_named)
    entries = [_entry(run, base) for run in tqdm(runs, desc="runs", unit="run", leave=False, disable=None)]
    if not is_named:
        entries.sort(key=lambda found: np.nan_to_num(found["mean"].estimate, nan=-1), reverse=True)
    numbered = tuple(Entry(number=number, **found) for number, found in enumerate(entries, 1))
    chosen = next((entry for entry in numbered if entry.run is base), None)
    return Comparison(experiment, numbered, chosen, reason, tuple(left_out))


def _choose_baseline(runs: Sequence[Run], run_id: str | None, *, is_named: bool) -> tuple[Run | None, str]:
    scored = [run for run in runs if run.scores is not None]
    if run_id is not None:
        (chosen,) = (run for run in runs if run.run_id == run_id)
        if chosen.scores is None:
            remedy = "choose a run that has kept them, or evaluate this one with tracking"
            raise HandsegInputError("--baseline", f"{chosen.name!r} has no scores of images", remedy)
        return chosen, "as chosen"
    if not scored:
        return None, ""
    if is_named:
        return scored[0], "the first that was named"
    shared = Counter(_image_set(run) for run in scored)
    most = max(shared.values())
    first = min((run for run in scored if shared[_image_set(run)] == most), key=lambda run: run.started)
    return first, "the earliest of those with the most common images"


def _image_set(run: Run) -> frozenset[str]:
    return frozenset(run.scores.image_names) if run.scores is not None else frozenset()


def _entry(run: Run, base: Run | None) -> dict[str, Any]:
    """Return what an `Entry` is made of, but for its number."""
    mean, small, source = _scores(run)
    found: dict[str, Any] = {"run": run, "mean": mean, "small": small, "source": source}
    if run.scores is None:
        return {**found, "remark": NO_IMAGES}
    if base is None or base.scores is None or run is base:
        return {**found, "remark": BASELINE if run is base else NO_IMAGES, "images": len(run.scores.image_names)}
    pair = paired(run.scores, base.scores)
    if pair is None:
        return {**found, "remark": OTHER_IMAGES}
    own, other = pair
    differences = dice_differences(own.dice, other.dice, own.patients)
    return {**found, "images": len(own.image_names), "differences": {one.part: one for one in differences}}


def _scores(run: Run) -> tuple[Interval, Interval, str]:
    """Return mean and small-bone Dice, and where they are taken from: images, final numbers, or the best epoch."""
    if run.scores is not None:
        dice, patients = run.scores.dice, run.scores.patients
        source = f"{len(dice)} images of {len(set(patients))} patients"
        found = dice_with_intervals(run.scores)
        return found[ALL], found[SMALL], source
    small = _logged(run, _SMALL)
    if FINAL in run.metrics:
        return _logged(run, FINAL), small, "numbers of its end"
    epoch, value = max(run.curves[VALIDATION], key=lambda point: np.nan_to_num(point[1], nan=-1))
    return Interval(value, _NAN, _NAN), small, f"epoch {epoch}, its best"


def _logged(run: Run, name: str) -> Interval:
    return Interval(*(run.metrics.get(name + end, _NAN) for end in ("", "_low", "_high")))


def _most(entry: Entry, comparison: Comparison) -> int:
    """Return the larger number of images of a run and the baseline."""
    base = comparison.baseline
    scored = [one.run.scores for one in (entry, base) if one is not None]
    return max(len(scores.image_names) for scores in scored if scores is not None)


def _numbered(numbers: Sequence[int]) -> str:
    return ("run " if len(numbers) == 1 else "runs ") + ", ".join(map(str, numbers))
