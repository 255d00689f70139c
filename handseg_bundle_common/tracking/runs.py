"""Runs of an MLflow store, found by name or identifier and read for comparisons and records."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.metrics import ImageScores, read_scores
from handseg_bundle_common.tracking.store import find_experiment, store_errors

SCORES = "scores.csv"

_PAGE = 1000


@dataclass(frozen=True, eq=False)
class TrackedRun:
    """A run as MLflow knows it.

    Attributes:
        run_id: identifier, 32 hexadecimal digits.
        name: name of the run; several runs may share one.
        experiment: name of the experiment that it belongs to.
        status: `RUNNING`, `SCHEDULED`, `FINISHED`, `FAILED` or `KILLED`.
        started: when it began, UTC.
        ended: when it ended, UTC; None while it runs.
        parameters: settings as MLflow keeps them, as text.
        metrics: the last value of every metric.
        tags: all tags, those of MLflow included.
        scores: Dice of every image and bone, None if the run has no `scores.csv`.
    """

    run_id: str
    name: str
    experiment: str
    status: str
    started: datetime
    ended: datetime | None
    parameters: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    scores: ImageScores | None

    @property
    def is_over(self) -> bool:
        """Tell whether the run has ended, well or not."""
        return self.status not in {"RUNNING", "SCHEDULED"}


def find_run(client: Any, experiment: str, name_or_id: str) -> TrackedRun:
    """Return the run of a name or identifier.

    Args:
        client: MLflow client, as `store.open_store` returns it.
        experiment: name of the experiment that a name is looked for in.
        name_or_id: name of the run, or its identifier, which may belong to any experiment.

    Raises:
        HandsegInputError: experiment or run is unknown, several runs share the name, the run was deleted, or its
            scores cannot be read.
    """
    run = _run_of_id(client, name_or_id)
    return read_run(client, run or _run_of_name(client, experiment, name_or_id))


def read_run(client: Any, run: Any) -> TrackedRun:
    """Return what a comparison needs of one of MLflow's runs, its scores included.

    Raises:
        HandsegInputError: the store or the scores cannot be read.
    """
    info, data = run.info, run.data
    with store_errors(client.tracking_uri):
        experiment = client.get_experiment(info.experiment_id)
    return TrackedRun(
        run_id=info.run_id,
        name=info.run_name,
        experiment=experiment.name,
        status=info.status,
        started=_moment(info.start_time),
        ended=None if info.end_time is None else _moment(info.end_time),
        parameters=dict(data.params),
        metrics=dict(data.metrics),
        tags=dict(data.tags),
        scores=_scores(client, info),
    )


def experiment_runs(client: Any, experiment: str) -> Iterator[Any]:
    """Yield all runs of an experiment as MLflow has them, newest first, without those that were deleted.

    Raises:
        HandsegInputError: the experiment is unknown or the store cannot be read.
    """
    identifier = find_experiment(client, experiment).experiment_id
    token = None
    while True:
        with store_errors(client.tracking_uri):
            page = client.search_runs([identifier], max_results=_PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def metric_history(client: Any, run_id: str, name: str) -> list[tuple[int, float]]:
    """Return the (epoch, value) of a metric in the order of epochs, the last value of each; empty if there is none.

    A training that was resumed logs the epochs after its checkpoint again.

    Raises:
        HandsegInputError: the store cannot be read.
    """
    with store_errors(client.tracking_uri):
        points = client.get_metric_history(run_id, name)
    latest = {point.step: point.value for point in sorted(points, key=lambda point: point.timestamp)}
    return sorted(latest.items())


def _run_of_id(client: Any, name_or_id: str) -> Any | None:
    """Return the run with an identifier, None if the text is none of a run."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415  as late as the client

    if not re.fullmatch(r"[0-9a-f]{32}", name_or_id):
        return None
    with store_errors(client.tracking_uri):
        try:
            run = client.get_run(name_or_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
    if run.info.lifecycle_stage == "deleted":
        raise HandsegInputError(name_or_id, "this run was deleted in MLflow", "restore it, or choose another")
    return run


def _run_of_name(client: Any, experiment: str, name: str) -> Any:
    runs = list(experiment_runs(client, experiment))
    found = [run for run in runs if run.info.run_name == name]
    if len(found) > 1:
        identifiers = ", ".join(run.info.run_id for run in found)
        raise HandsegInputError(name, f"{len(found)} runs of {experiment!r} have this name", f"choose by {identifiers}")
    if not found:
        known = list(dict.fromkeys(run.info.run_name for run in runs))
        similar = get_close_matches(name, known) or known[:3]
        remedy = f"did you mean {' or '.join(map(repr, similar))}" if similar else "train with tracking first"
        raise HandsegInputError(name, f"no run of {experiment!r} has this name or identifier", remedy)
    return found[0]


def _scores(client: Any, info: Any) -> ImageScores | None:
    with store_errors(client.tracking_uri), tempfile.TemporaryDirectory() as folder:
        if SCORES not in {file.path for file in client.list_artifacts(info.run_id)}:
            return None
        path = client.download_artifacts(info.run_id, SCORES, folder)
        try:
            return read_scores(path)
        except HandsegInputError as error:
            raise HandsegInputError(f"{SCORES} of run {info.run_name}", error.problem, "log the run again") from error


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
