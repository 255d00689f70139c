"""What goes into MLflow of a run, the same whether it is logged as it goes or afterwards from its folder."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from handseg_bundle_common.engine.mlflow_runs import database_file
from handseg_bundle_common.engine.run_folder import RunFolder, final_scores
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.metrics import ImageScores

KIND, PARENT = "handseg.kind", "mlflow.parentRunId"
TRAINING, EVALUATION, CROSS_VALIDATION, ANALYSIS = "training", "evaluation", "cross-validation", "analysis"

# What MLflow's interface takes in one request.
_PARAMETERS_AT_ONCE, _METRICS_AT_ONCE = 100, 1000
_LONGEST_PARAMETER = 6000


def experiment_id(client: Any, name: str) -> str:
    """Return the identifier of an experiment, which is made if there is none.

    The artifacts of a SQLite database lie beside it in `mlruns`, wherever the program is started.

    Raises:
        HandsegInputError: the experiment was deleted.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        database = database_file(client.tracking_uri)
        beside = None if database is None else (database.absolute().parent / "mlruns").as_uri()
        return str(client.create_experiment(name, artifact_location=beside))
    if experiment.lifecycle_stage == "deleted":
        remedy = "restore it, or choose another --experiment_name"
        raise HandsegInputError("experiment_name", f"{name!r} was deleted in MLflow", remedy)
    return str(experiment.experiment_id)


def new_run(
    client: Any, experiment: str, name: str, kind: str, *, parent: str | None = None, start_ms: int | None = None
) -> Any:
    """Create a run; MLflow's client, unlike its module functions, adds neither the login name nor the script's path.

    Args:
        client: MLflow client.
        experiment: identifier of the experiment.
        name: name of the run.
        kind: `training`, `evaluation`, `cross-validation` or `analysis`.
        parent: identifier of the run that MLflow shows this one below.
        start_ms: when it began, in milliseconds since 1970; now if None.
    """
    tags = {KIND: kind} | ({} if parent is None else {PARENT: parent})
    return client.create_run(experiment, start_time=start_ms, tags=tags, run_name=name)


def log_parameters(client: Any, run_id: str, parameters: Mapping[str, Any]) -> None:
    """Log parameters, as many at once as MLflow takes; values longer than it takes are cut."""
    from mlflow.entities import Param  # noqa: PLC0415  trainings without tracking do without MLflow

    entities = [Param(name, str(value)[:_LONGEST_PARAMETER]) for name, value in parameters.items()]
    for part in _parts(entities, _PARAMETERS_AT_ONCE):
        client.log_batch(run_id, params=part)


def log_metrics(client: Any, run_id: str, points: Iterable[tuple[int, int, Mapping[str, float]]]) -> None:
    """Log metrics, as many at once as MLflow takes.

    Args:
        client: MLflow client.
        run_id: the run.
        points: milliseconds since 1970, step, and the metrics by name.
    """
    from mlflow.entities import Metric  # noqa: PLC0415  as above

    entities = [Metric(name, value, when, step) for when, step, values in points for name, value in values.items()]
    for part in _parts(entities, _METRICS_AT_ONCE):
        client.log_batch(run_id, metrics=part)


def log_final_scores(client: Any, run_id: str, scores: ImageScores | None, when_ms: int | None = None) -> None:
    """Log mean and small-bone Dice with their intervals; a run without scores has none."""
    if scores is not None:
        when = int(time.time() * 1000) if when_ms is None else when_ms
        log_metrics(client, run_id, [(when, 0, final_scores(scores))])


def log_folder(client: Any, run_id: str, folder: RunFolder, end_ms: int | None = None) -> None:
    """Log the final scores of a run's folder and the files worth keeping.

    Raises:
        HandsegInputError: a file of the folder is damaged.
    """
    log_final_scores(client, run_id, folder.scores(), end_ms)
    with tempfile.TemporaryDirectory() as staging:
        for path, place in folder.artifacts(Path(staging)):
            client.log_artifact(run_id, str(path), place)


def _parts(entities: list[Any], size: int) -> Iterable[list[Any]]:
    return (entities[start : start + size] for start in range(0, len(entities), size))
