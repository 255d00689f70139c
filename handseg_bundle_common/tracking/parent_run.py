"""The MLflow run above the runs of several trainings."""

from __future__ import annotations

import time
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any

from handseg_bundle_common.engine.environment import run_environment
from handseg_bundle_common.engine.mlflow_log import (
    CROSS_VALIDATION,
    experiment_id,
    log_final_scores,
    log_metrics,
    log_parameters,
    new_run,
)
from handseg_bundle_common.engine.mlflow_runs import chosen_uri, remember_run, reopened_run
from handseg_bundle_common.engine.run_folder import FIGURES, RunFolder
from handseg_bundle_common.engine.run_parameters import environment_parameters, top_level_parameters
from handseg_bundle_common.engine.tracking import unique_run_name

# Joined files of a cross-validation, and their place among MLflow's artifacts.
_ARTIFACTS = {
    "summary.json": None,
    "per_bone.csv": None,
    "per_bone.png": FIGURES,
    "scores.csv": None,
    "predictions.csv": None,
}


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
            # The folder's name may be that of a person.
            name = unique_run_name(CROSS_VALIDATION)
            run = new_run(client, experiment_id(client, tracking["experiment_name"]), name, CROSS_VALIDATION)
            log_parameters(
                client, run.info.run_id, parent_parameters(parameters) | environment_parameters(run_environment())
            )
            remember_run(folder, run.info.run_id)
        return cls(client, run.info.run_id)

    def __enter__(self) -> ParentRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            self._client.set_terminated(self.run_id, "FINISHED" if error is None else "FAILED")

    def log(self, summary: Mapping[str, Any], folder: Path) -> None:
        """Log what a cross-validation has reached, see `log_cross_validation`."""
        if self._client is not None and self.run_id is not None:
            log_cross_validation(self._client, self.run_id, summary, folder)


def log_cross_validation(client: Any, run_id: str, summary: Mapping[str, Any], folder: Path) -> None:
    """Log the numbers of a summary, those of bones as `dice/finger-1`, the final scores, and the joined files."""
    numbers = {name: float(value) for name, value in summary.items() if isinstance(value, (int, float))}
    numbers |= {f"dice/{bone}": float(value) for bone, value in summary.get("per_bone", {}).items()}
    log_metrics(client, run_id, [(int(time.time() * 1000), 0, numbers)])
    log_final_scores(client, run_id, RunFolder(folder).scores())
    for name, place in _ARTIFACTS.items():
        if (folder / name).is_file():
            client.log_artifact(run_id, str(folder / name), place)


def parent_parameters(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a cross-validation is described by, without paths and patients: bundle, data, recipe, settings.

    Args:
        record: what `cross_validation.json` holds.
    """
    described = {
        "bundle": Path(record.get("bundle", "")).name,
        "recipe": "+".join(Path(path).stem for path in record.get("configs", ())),
        "data_fingerprint": record.get("data"),
        "num_folds": len(record.get("folds", ())),
        "scored_weights": record.get("weights"),
    }
    known = {name: value for name, value in described.items() if value}
    return {**known, **top_level_parameters(record.get("settings", {}))}
