"""What keeps a record from being complete."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.tracking.records.content import DATE, EXPERIMENT, PARENT_ID, RUN_ID, contents
from handseg_bundle_common.tracking.records.document import CONCLUSION, HYPOTHESIS, Problem, Record, read_record
from handseg_bundle_common.tracking.records.index import record_files
from handseg_bundle_common.tracking.records.markers import FACTS, PARTS, RESULT, find_parts
from handseg_bundle_common.tracking.records.note import NOTE_TAG, note_of
from handseg_bundle_common.tracking.records.write import Source, subject_of
from handseg_bundle_common.tracking.store import open_store

_FILL = "run handseg record fill"


def check_records(paths: Sequence[Path], folder: Path, tracking_uri: str | None) -> tuple[int, list[Problem]]:
    """Look for what is missing, damaged or out of date in records.

    Args:
        paths: the records; none for all of the folder.
        folder: folder of the records.
        tracking_uri: where MLflow has their runs; None leaves out what only MLflow can tell.

    Returns:
        The number of records, and every problem, by file and line.

    Raises:
        HandsegInputError: there is no record, one that is named cannot be read, or MLflow cannot be asked.
    """
    found: list[Record | Problem] = [read_record(path) for path in paths]
    found = found or [_read(path) for path in record_files(folder)]
    if not found:
        raise HandsegInputError(folder, "holds no record", "write one with handseg record new")
    records = [record for record in found if isinstance(record, Record)]
    unread = [problem for problem in found if isinstance(problem, Problem)]
    is_asked = tracking_uri is not None and any(record.fact(RUN_ID) for record in records)
    client = open_store(tracking_uri) if is_asked and tracking_uri is not None else None
    return len(found), sorted(unread + [problem for record in records for problem in _problems(record, client)])


def _read(path: Path) -> Record | Problem:
    """Return a record, or what keeps it from being read, which is no reason to leave out the others."""
    try:
        return read_record(path)
    except HandsegInputError as error:
        return Problem(path, 1, error.problem, error.remedy)


def _problems(record: Record, client: Any | None) -> list[Problem]:
    found = record.problems()
    for heading in (HYPOTHESIS, CONCLUSION):
        lines = record.headings[heading]
        if lines and not record.written(heading):
            found.append(Problem(record.path, lines[0] + 1, f"the {heading.lower()} is empty", "write it"))
    # A damaged marker hides what is filled in, which is then no news.
    return found if find_parts(record.lines)[1] else found + _out_of_date(record, client)


def _out_of_date(record: Record, client: Any | None) -> list[Problem]:
    """Compare what is filled in with what MLflow has of the run now."""
    result = record.line_of(RESULT)
    run_id = record.fact(RUN_ID)
    if run_id is None or not record.part(RESULT).strip():
        return [Problem(record.path, result, "no result was ever filled in", f"{_FILL} with --run")]
    if client is None:
        return []
    source = Source("", record.fact(EXPERIMENT) or "", run_id, record.fact(PARENT_ID))
    try:
        subject = subject_of(client, source)
    except HandsegInputError as error:
        return [Problem(record.path, record.line_of(FACTS), f"{error.source}: {error.problem}", error.remedy)]
    assert subject.run is not None  # noqa: S101  it was asked for by its identifier
    if not subject.run.is_over:
        return [Problem(record.path, result, "the run has not ended", f"{_FILL} when it has")]
    now = contents(subject, record.fact(DATE) or "", source.experiment)
    old = [part for part in PARTS if record.part(part) != now[part]]
    problems = [
        Problem(record.path, record.line_of(part), f"the part {part!r} is older than its run", _FILL) for part in old
    ]
    if not old and subject.run.tags.get(NOTE_TAG, "") != note_of(record.text):
        problems.append(Problem(record.path, 1, "the run's note in MLflow is another text than this record", _FILL))
    return problems
