"""A store of MLflow that is there already: opened within seconds, never created."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from handseg_bundle_common.engine.mlflow_runs import database_file, wanted_uri
from handseg_bundle_common.engine.short_paths import without_login
from handseg_bundle_common.errors import HandsegInputError

# A server that does not answer is no reason to wait for minutes, as MLflow does by default.
_IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
_SILENT = {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
_OPTION = "--tracking-uri"


def open_store(tracking_uri: str) -> Any:
    """Return the MLflow client of a store that exists.

    Args:
        tracking_uri: SQLite database or server; `MLFLOW_TRACKING_URI` wins over it.

    Raises:
        HandsegInputError: there is no such database, it is damaged, or the server does not answer.
    """
    from mlflow import MlflowClient  # noqa: PLC0415  seconds, which a missing file need not cost

    uri = wanted_uri(tracking_uri)
    database = database_file(uri)
    if database is not None and not database.is_file():
        problem = f"there is no MLflow database {database}"
        raise HandsegInputError(
            _OPTION, problem, "train with tracking first, or name the database or server of the runs"
        )
    if database is not None:
        _require_experiments(database)
    with store_errors(uri), _environment(_IMPATIENT):
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)
    return client


def _require_experiments(database: Path) -> None:
    """Refuse a database of something else, in which MLflow would make its own tables without asking."""
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchone()
    except sqlite3.Error as error:
        raise HandsegInputError(database, f"MLflow cannot use it ({error})", "name the database of the runs") from error
    if found is None:
        raise HandsegInputError(database, "is no database of MLflow", "name the one that the runs were logged to")


def find_experiment(client: Any, name: str) -> Any:
    """Return an experiment of a store.

    Raises:
        HandsegInputError: there is none of this name, or it was deleted.
    """
    with store_errors(client.tracking_uri):
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            known = ", ".join(repr(other.name) for other in client.search_experiments(max_results=20))
            raise HandsegInputError("--experiment", f"MLflow has no experiment {name!r}", f"choose one of {known}")
    if experiment.lifecycle_stage == "deleted":
        raise HandsegInputError("--experiment", f"{name!r} was deleted in MLflow", "restore it, or choose another")
    return experiment


@contextmanager
def store_errors(uri: str) -> Iterator[None]:
    """Turn what MLflow and its database raise into one sentence, and keep it from writing between other lines.

    Raises:
        HandsegInputError: the store cannot be read or written.
    """
    from mlflow.exceptions import MlflowException  # noqa: PLC0415
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    try:
        with _environment(_SILENT):
            yield
    # A database without its driver is an ImportError.
    except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        # A password has no place in a message.
        shown = without_login(uri)
        remedy = "see whether it is the right database or server, and whether it runs"
        raise HandsegInputError(shown, f"MLflow cannot use it ({_short(reason)})", remedy) from error


def _short(reason: str, length: int = 200) -> str:
    reason = without_login(reason)
    return reason if len(reason) <= length else f"{reason[:length]}..."


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables that MLflow reads, except those that the user has set."""
    own = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(own)
    try:
        yield
    finally:
        for name in own:
            os.environ.pop(name, None)
