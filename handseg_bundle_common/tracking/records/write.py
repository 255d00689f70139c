"""Records made and filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.tracking.records.content import DATE, EXPERIMENT, PARENT_ID, RUN_ID, Subject, contents
from handseg_bundle_common.tracking.records.document import (
    CONCLUSION,
    EXPECTED,
    HYPOTHESIS,
    NEXT_STEP,
    Record,
    check_text,
    read_record,
    template,
    write_record,
)
from handseg_bundle_common.tracking.records.index import INDEX, check_index, write_index
from handseg_bundle_common.tracking.records.note import check_note, write_note
from handseg_bundle_common.tracking.runs import TrackedRun, find_run, metric_history
from handseg_bundle_common.tracking.store import open_store

WRITTEN = {"hypothesis": HYPOTHESIS, "expected": EXPECTED, "conclusion": CONCLUSION, "next_step": NEXT_STEP}

_VALIDATION = "val_mean_dice"
# File systems allow 255 bytes; a letter may have four.
_LONGEST = 60


@dataclass(frozen=True)
class Source:
    """Where the runs of a record are.

    Attributes:
        tracking_uri: SQLite database or server of MLflow.
        experiment: experiment that names are looked for in.
        run: name or identifier of the run; None if there is none yet, or for the one that the record names.
        parent: name or identifier of the run to compare with, likewise.
    """

    tracking_uri: str
    experiment: str = "handseg"
    run: str | None = None
    parent: str | None = None


def new_record(
    folder: Path, source: Source, *, name: str | None = None, texts: Mapping[str, str] | None = None
) -> Path:
    """Write the record of a run, or of one that is planned, and the index of all records.

    Args:
        folder: folder of the records.
        source: the runs; the record is filled in and becomes the run's note if there is one.
        name: name of the record, by default that of its run.
        texts: what a person writes, by `hypothesis`, `expected`, `conclusion` and `next_step`.

    Returns:
        The record's file.

    Raises:
        HandsegInputError: neither a run nor a name is given, there is such a record already, a text or run cannot be
            used, or a file cannot be written.
    """
    if name is None and source.run is None:
        raise HandsegInputError("--run", "is missing", "name the run, or the record with --name if it is yet to come")
    _check_texts(texts or {})
    client, subject = _subject(source)
    title = name if name is not None else _run(subject).name
    path = Path(folder, f"{_file_name(title, is_chosen=name is not None)}.md")
    if path.exists():
        raise HandsegInputError(path, "is there already", "fill it in with handseg record fill, or choose a --name")
    return _finish(template(path, title), _Filling(client, subject, source.experiment, texts or {}))


def fill_record(path: Path, source: Source, *, texts: Mapping[str, str] | None = None) -> Path:
    """Fill in a record anew, and write the index of all records; what a person wrote stays as it is.

    Args:
        path: the record.
        source: the runs; those that the record names by default.
        texts: as in `new_record`, for parts that nobody has written yet.

    Returns:
        The record's file.

    Raises:
        HandsegInputError: the record is damaged, a part is written already, a text or run cannot be used, or a file
            cannot be written.
    """
    _check_texts(texts or {})
    record = read_record(path)
    record.with_parts({})  # refuses damaged markers before MLflow is asked
    named = replace(source, run=source.run or record.fact(RUN_ID), parent=source.parent or record.fact(PARENT_ID))
    if named.run is None and not texts:
        raise HandsegInputError("--run", "is missing, and the record names no run", "name the run to fill in")
    client, subject = _subject(named)
    experiment = record.fact(EXPERIMENT) or source.experiment
    return _finish(record, _Filling(client, subject, experiment, texts or {}))


def subject_of(client: Any, source: Source) -> Subject:
    """Read the runs of a record from MLflow.

    Raises:
        HandsegInputError: a run cannot be found or read, or is its own parent.
    """
    run, parent = (
        None if name is None else find_run(client, source.experiment, name) for name in (source.run, source.parent)
    )
    if run is None:
        return Subject(None, parent)
    if parent is not None and parent.run_id == run.run_id:
        raise HandsegInputError("--parent", f"{run.name!r} is the run itself", "name the run to compare it with")
    return Subject(run, parent, tuple(metric_history(client, run.run_id, _VALIDATION)))


@dataclass(frozen=True)
class _Filling:
    """What goes into a record: from MLflow, and from a person."""

    client: Any
    subject: Subject
    experiment: str
    texts: Mapping[str, str] = field(default_factory=dict)


def _finish(record: Record, filling: _Filling) -> Path:
    """Write a record, the note of its run and the index; nothing before all of it is known to be possible."""
    date = record.fact(DATE) or f"{datetime.now(UTC):%Y-%m-%d}"
    record = record.with_parts(contents(filling.subject, date, filling.experiment))
    for option, text in filling.texts.items():
        record = record.with_written(WRITTEN[option], text)
    check_index(record.path.parent)
    run = filling.subject.run
    if run is not None:
        check_note(filling.client, run, record.text)
    write_record(record)
    if run is not None:
        write_note(filling.client, run, record.text)
    write_index(record.path.parent)
    return record.path


def _subject(source: Source) -> tuple[Any, Subject]:
    """Return MLflow's client and the runs; no client where no run is named."""
    if source.run is None and source.parent is None:
        return None, Subject()
    client = open_store(source.tracking_uri)
    return client, subject_of(client, source)


def _run(subject: Subject) -> TrackedRun:
    assert subject.run is not None  # noqa: S101  a record without a name has a run
    return subject.run


def _check_texts(texts: Mapping[str, str]) -> None:
    for option, text in texts.items():
        check_text(f"--{option.replace('_', '-')}", text)


def _file_name(title: str, *, is_chosen: bool) -> str:
    """Return what a record's file is called; a run may be called what no file can be.

    Raises:
        HandsegInputError: a chosen name is no name of a file, or that of the index.
    """
    name = title if is_chosen else re.sub(r"[^\w.+]+", "-", title)[:_LONGEST].strip("-.")
    if len(name) > _LONGEST:
        raise HandsegInputError("--name", f"has {len(name)} characters", f"choose one of at most {_LONGEST}")
    if not re.fullmatch(r"[\w+][\w.+-]*", name) or name.casefold() == Path(INDEX).stem.casefold():
        raise HandsegInputError(
            "--name", f"{title!r} cannot name a record", "choose --name of letters, digits, - and _"
        )
    return name
