"""A record as the note and the artifact of its run in MLflow."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import printable
from handseg_bundle_common.tracking.runs import TrackedRun
from handseg_bundle_common.tracking.store import store_errors

NOTE_TAG, ARTIFACT = "mlflow.note.content", "record.md"

# MLflow cuts longer values off without a word.
_LIMIT = 8000
_CUT = f"\n\n*It goes on in the artifact {ARTIFACT}.*\n"


def note_of(text: str) -> str:
    """Return a record's text as far as MLflow can hold it in a note."""
    return text if len(text) <= _LIMIT else text[: _LIMIT - len(_CUT)] + _CUT


def check_note(client: Any, run: TrackedRun, text: str) -> None:
    """Refuse to write over another record of the run, and over a note that a person wrote or changed in MLflow.

    Args:
        client: MLflow client.
        run: the run.
        text: the record that is to become its note.

    Raises:
        HandsegInputError: the run has a record of another title, or its note is not that of its record.
    """
    note, stored = run.tags.get(NOTE_TAG, ""), _artifact(client, run.run_id)
    title = _title(stored)
    if stored and title != _title(text):
        remedy = "go on with that record, or remove record.md and the note of the run"
        raise HandsegInputError(f"run {run.name}", f"has the record {printable(title)!r} already", remedy)
    if note.strip() and note != note_of(stored):
        remedy = "copy what you want to keep of it into the record, empty the note and try again"
        raise HandsegInputError(f"run {run.name}", "its note in MLflow was not written by this command", remedy)


def write_note(client: Any, run: TrackedRun, text: str) -> None:
    """Set a record as the run's note and log it as `record.md`.

    Raises:
        HandsegInputError: the store cannot be written.
    """
    with store_errors(client.tracking_uri):
        client.log_text(run.run_id, text, ARTIFACT)
        client.set_tag(run.run_id, NOTE_TAG, note_of(text))


def _title(text: str) -> str:
    """Return the first heading of a record."""
    return next((line.removeprefix("# ").strip() for line in text.splitlines() if line.startswith("# ")), "")


def _artifact(client: Any, run_id: str) -> str:
    """Return the record that the run holds, nothing if there is none."""
    with store_errors(client.tracking_uri), tempfile.TemporaryDirectory() as folder:
        if ARTIFACT not in {file.path for file in client.list_artifacts(run_id)}:
            return ""
        return Path(client.download_artifacts(run_id, ARTIFACT, folder)).read_bytes().decode("utf-8", "replace")
