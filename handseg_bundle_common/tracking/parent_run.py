"""The MLflow run above the runs of several trainings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any

from handseg_bundle_common.engine.mlflow_runs import chosen_uri, remember_run, reopened_run
from handseg_bundle_common.errors import HandsegInputError


class ParentRun:
    """A run that stays open while its children run, and is found again when the work continues later.

    A context manager: the run ends FINISHED, or FAILED after an exception. Without a client nothing is recorded.

    Args:
        client: MLflow client, or None.
        run_id: the run.
    """

    def __init__(self, client: Any = None, run_id: str | None = None) -> None:
        self._client = client
        self.run_id = run_id

    @classmethod
    def of(
        cls, output: str | PathLike[str], tracking: Mapping[str, str] | None, parameters: Mapping[str, Any]
    ) -> ParentRun:
        """Open the run that an output folder names, or a new one.

        Args:
            output: folder that remembers the run.
            tracking: `tracking_uri` and `experiment_name`; None records nothing and does not import MLflow.
            parameters: what a new run is described by.

        Raises:
            HandsegInputError: the folder of the database cannot be written to.
        """
        if tracking is None:
            return cls()
        from mlflow import MlflowClient  # noqa: PLC0415  trainings without tracking do without MLflow

        client = MlflowClient(chosen_uri(tracking["tracking_uri"]))
        folder = Path(output)
        run = reopened_run(client, folder)
        if run is None:
            name = f"cross-validation-{folder.absolute().name}"
            run = _create_run(client, tracking["experiment_name"], name, parameters)
            remember_run(folder, run.info.run_id)
        return cls(client, run.info.run_id)

    def __enter__(self) -> ParentRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            self._client.set_terminated(self.run_id, "FINISHED" if error is None else "FAILED")

    def log(self, summary: Mapping[str, Any], files: Iterable[Path]) -> None:
        """Log the numbers of a summary as metrics, those of bones as `dice/finger-1`, and files as artifacts."""
        if self._client is None:
            return
        numbers = {name: value for name, value in summary.items() if isinstance(value, (int, float))}
        numbers |= {f"dice/{bone}": value for bone, value in summary.get("per_bone", {}).items()}
        for name, value in numbers.items():
            self._client.log_metric(self.run_id, name, float(value))
        for path in files:
            self._client.log_artifact(self.run_id, str(path))


def _create_run(client: Any, experiment_name: str, run_name: str, parameters: Mapping[str, Any]) -> Any:
    experiment = client.get_experiment_by_name(experiment_name)
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(experiment_name)
    if experiment and experiment.lifecycle_stage == "deleted":
        remedy = "restore it, or choose another --experiment_name"
        raise HandsegInputError("experiment_name", f"{experiment_name!r} was deleted in MLflow", remedy)
    run = client.create_run(experiment_id, run_name=run_name)
    for name, value in _plain(parameters).items():
        client.log_param(run.info.run_id, name, value)
    return run


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that fit into MLflow's table: nested settings by their own names, lists by their length."""
    nested = {key: value for part in parameters.values() if isinstance(part, Mapping) for key, value in part.items()}
    plain = {
        key: len(value) if isinstance(value, list) else value
        for key, value in parameters.items()
        if not isinstance(value, Mapping)
    }
    return {**plain, **nested}
