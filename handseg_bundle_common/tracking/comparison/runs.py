"""Runs to compare: those that are named, or all of an experiment that have scores, with their curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from handseg_bundle_common.engine.mlflow_log import KIND, PARENT
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.tracking.runs import TrackedRun, experiment_runs, find_run, metric_history, read_run

COMPARISON = "comparison"
VALIDATION, AVERAGED, LOSS = "val_mean_dice", "swa_mean_dice", "train_loss"
FINAL = "mean_dice"

_OPTION = "--runs"
_STATUS = {"RUNNING": "still running", "SCHEDULED": "not started yet", "FAILED": "failed", "KILLED": "was stopped"}

Curve = list[tuple[int, float]]


@dataclass(frozen=True, eq=False)
class Run(TrackedRun):
    """A run with its curves; name and parameters are without characters that cannot be printed.

    Attributes:
        curves: validation, averaged weights and loss, as (epoch, value) in the order of epochs.
    """

    curves: dict[str, Curve]

    @property
    def kind(self) -> str:
        """Training, evaluation, cross-validation or analysis; empty for runs that do not tell."""
        return printable(self.tags.get(KIND, ""))

    @property
    def minutes(self) -> float | None:
        """How long the run took; None as long as it has no end."""
        return None if self.ended is None else (self.ended - self.started).total_seconds() / 60

    @property
    def has_scores(self) -> bool:
        """Tell whether there is any number to compare."""
        return bool(self.scores is not None or FINAL in self.metrics or self.curves[VALIDATION])


@dataclass(frozen=True)
class LeftOut:
    """A run that is not compared, and why."""

    name: str
    reason: str


def named_runs(client: Any, experiment: str, names: Sequence[str]) -> list[Run]:
    """Return runs by name or identifier, each once, in the order of the names.

    Args:
        client: MLflow client.
        experiment: name of the experiment that names are looked for in.
        names: names or identifiers of runs.

    Raises:
        HandsegInputError: a run is not there, has no scores or scores that cannot be read, or is a comparison itself.
    """
    found: dict[str, Run] = {}
    for name in tqdm(names, desc="read", unit="run", leave=False, disable=None):
        tracked = find_run(client, experiment, name)
        if tracked.tags.get(KIND) == COMPARISON:
            raise HandsegInputError(_OPTION, f"{printable(name)!r} is a comparison itself", "name the runs it compares")
        run = _with_curves(client, tracked)
        if not run.has_scores:
            remedy = "evaluate it with tracking, or leave it out"
            raise HandsegInputError(_OPTION, f"{run.name!r} has no scores", remedy)
        found.setdefault(run.run_id, run)
    return list(found.values())


def finished_runs(client: Any, experiment: str) -> tuple[list[Run], list[LeftOut]]:
    """Return the finished runs of an experiment that have scores, oldest first, and those that are left out.

    Runs within another one, such as the folds of a cross-validation, stand back behind that one. Comparisons are
    none of either.

    Raises:
        HandsegInputError: there is no such experiment, or no run in it that can be compared.
    """
    runs: list[Run] = []
    left_out: list[LeftOut] = []
    entries = [run for run in experiment_runs(client, experiment) if run.data.tags.get(KIND) != COMPARISON]
    entries.sort(key=lambda entry: int(entry.info.start_time))
    for entry in tqdm(entries, desc="read", unit="run", leave=False, disable=None):
        run, reason = _comparable(client, entry)
        if run is None:
            left_out.append(LeftOut(printable(entry.info.run_name), reason))
        else:
            runs.append(run)
    names = {run.run_id: run.name for run in runs}
    parts = [run for run in runs if run.tags.get(PARENT) in names]
    left_out += [LeftOut(run.name, f"part of {names[run.tags[PARENT]]}") for run in parts]
    kept = [run for run in runs if run not in parts]
    if not kept:
        why = "; ".join(f"{one.name}: {one.reason}" for one in left_out[:5]) or "it is empty"
        remedy = "train or evaluate with tracking, or name runs with --runs"
        raise HandsegInputError("--experiment", f"{experiment!r} has no finished run with scores ({why})", remedy)
    return kept, left_out


def printable(text: str) -> str:
    """Return a text without control characters, which could steer a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _comparable(client: Any, entry: Any) -> tuple[Run | None, str]:
    """Return a run, or None and why it is not compared."""
    if entry.info.status in _STATUS:
        return None, _STATUS[entry.info.status]
    try:
        run = _with_curves(client, read_run(client, entry))
    except HandsegInputError as error:
        return None, error.problem
    return (run, "") if run.has_scores else (None, "no scores")


def _with_curves(client: Any, tracked: TrackedRun) -> Run:
    names = (VALIDATION, AVERAGED, LOSS)
    curves = {name: metric_history(client, tracked.run_id, name) if name in tracked.metrics else [] for name in names}
    parameters = {name: printable(value) for name, value in tracked.parameters.items()}
    clean = {"name": printable(tracked.name), "parameters": parameters}
    scores = tracked.scores if tracked.scores is not None and tracked.scores.image_names else None
    return Run(**{**vars(tracked), **clean, "scores": scores}, curves=curves)
