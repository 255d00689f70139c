"""Runs of MLflow that are found again when a training continues."""

from __future__ import annotations

import json
import logging
import os
import re
from pathlib import Path
from typing import Any

from handseg_bundle_common.files import make_folder, read_json, write_atomically

logger = logging.getLogger(__name__)

RUN_FILE = "mlflow_run.json"

_SQLITE = "sqlite:///"


def chosen_uri(tracking_uri: str) -> str:
    """Return where MLflow stores runs, `MLFLOW_TRACKING_URI` before all else, and make the folder of a database.

    Raises:
        HandsegInputError: the folder cannot be written.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI", tracking_uri)
    if uri.startswith(_SQLITE):
        make_folder(Path(uri.removeprefix(_SQLITE)).parent)
    return uri


def remember_run(folder: Path, run_id: str) -> None:
    """Write the identifier of a run into the folder of its results."""
    with write_atomically(folder / RUN_FILE) as temporary:
        temporary.write_text(json.dumps({"run_id": run_id}) + "\n", encoding="utf-8")


def reopened_run(client: Any, folder: Path) -> Any | None:
    """Return the run that a folder remembers, running again; None if there is none or MLflow does not know it.

    Args:
        client: MLflow client.
        folder: folder of the run's results.

    Raises:
        HandsegInputError: the file that remembers the run is damaged.
    """
    path = folder / RUN_FILE
    if not path.exists():
        return None
    document = read_json(path, "remove it to log to a new MLflow run")
    run_id = document.get("run_id") if isinstance(document, dict) else None
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    is_identifier = isinstance(run_id, str) and re.fullmatch(r"\w+", run_id)
    runs = client.search_runs(experiments, f"attributes.run_id = '{run_id}'") if is_identifier else []
    if not runs:
        logger.warning("MLflow has no run %s of %s, logging to a new one", run_id, path)
        return None
    client.update_run(run_id, status="RUNNING")
    return runs[0]
