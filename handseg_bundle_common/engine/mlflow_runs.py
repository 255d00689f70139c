"""Runs of MLflow that are found again when a training continues."""

from __future__ import annotations

import json
import logging
import os
import re
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from handseg_bundle_common.engine.short_paths import without_login
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import make_folder, read_json, write_atomically

logger = logging.getLogger(__name__)

RUN_FILE = "mlflow_run.json"

_SQLITE = "sqlite:///"
_PATIENCE_S = 20


def wanted_uri(tracking_uri: str) -> str:
    """Return where MLflow stores runs, `MLFLOW_TRACKING_URI` before all else."""
    return os.environ.get("MLFLOW_TRACKING_URI", tracking_uri)


def database_file(uri: str) -> Path | None:
    """Return the file of a SQLite database; None for any other store."""
    return Path(uri.removeprefix(_SQLITE)) if uri.startswith(_SQLITE) else None


def chosen_uri(tracking_uri: str) -> str:
    """Return what `wanted_uri` returns, after making the folder of a database or asking a server for a sign of life.

    Raises:
        HandsegInputError: the folder cannot be written, or the server does not answer.
    """
    uri = wanted_uri(tracking_uri)
    database = database_file(uri)
    if database is not None:
        make_folder(database.parent)
    elif uri.startswith(("http://", "https://")):
        _ask(uri)
    return uri


def _ask(server: str) -> None:
    """Make sure that a server answers, whatever it says; MLflow itself tries for minutes before it gives up."""
    # Names and passwords stay out of messages, and urllib does not take them.
    address = without_login(server)
    try:
        urllib.request.urlopen(f"{address.rstrip('/')}/health", timeout=_PATIENCE_S).close()  # noqa: S310
    except HTTPError:
        return
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        remedy = "start the server or check tracking_uri and MLFLOW_TRACKING_URI"
        raise HandsegInputError(address, f"no MLflow server answers ({reason})", remedy) from error


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
    run = remembered_run(client, folder)
    if run is not None:
        client.update_run(run.info.run_id, status="RUNNING")
    return run


def remembered_run(client: Any, folder: Path) -> Any | None:
    """Return the run that a folder remembers; None if there is none or MLflow does not know it.

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
    return runs[0]
