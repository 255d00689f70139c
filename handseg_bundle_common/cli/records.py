"""The verbs of record: new, fill, check, index."""

from __future__ import annotations

from pathlib import Path

from handseg_bundle_common.cli.arguments import Job, Result, check_values

_FOLDER, _EXPERIMENT, _STORE = "records", "handseg", "sqlite:///mlflow.db"
_FAULTY = 1


def new(
    *,
    run: str | None = None,
    name: str | None = None,
    parent: str | None = None,
    experiment: str = _EXPERIMENT,
    tracking_uri: str = _STORE,
    records: str = _FOLDER,
    hypothesis: str | None = None,
    expected: str | None = None,
    conclusion: str | None = None,
    next_step: str | None = None,
) -> Job:
    """Write the record of a run, or of one to come: hypothesis, what changed, data, result, conclusion, next step.

    Settings and results come from MLflow, where the record becomes the run's note. What a person writes can be
    written into the file as well.

    Args:
        run: name or identifier of the run; leave it out to write the hypothesis before the training.
        name: name of the record, by default that of the run.
        parent: name or identifier of the run to compare with.
        experiment: MLflow experiment that names are looked for in.
        tracking_uri: database or server that keeps the runs; MLFLOW_TRACKING_URI wins over it.
        records: folder of all records.
        hypothesis: what is expected to be true, and why.
        expected: which number changes, in which direction, by how much at least.
        conclusion: whether the hypothesis was right.
        next_step: what is tried next.
    """
    check_values(run=run, name=name, parent=parent, experiment=experiment, tracking_uri=tracking_uri, records=records)
    texts = _texts(hypothesis=hypothesis, expected=expected, conclusion=conclusion, next_step=next_step)

    def start() -> str:
        from handseg_bundle_common.tracking.records import Source, new_record  # noqa: PLC0415

        source = Source(tracking_uri, experiment, run, parent)
        return f"record: {new_record(Path(records), source, name=name, texts=texts)}"

    return Job(start)


def fill(
    record: str,
    *,
    run: str | None = None,
    parent: str | None = None,
    experiment: str = _EXPERIMENT,
    tracking_uri: str = _STORE,
    hypothesis: str | None = None,
    expected: str | None = None,
    conclusion: str | None = None,
    next_step: str | None = None,
) -> Job:
    """Fill settings and results into a record, for the first time or anew; what a person wrote stays as it is.

    Args:
        record: the record's file.
        run: name or identifier of the run, by default the one that the record names.
        parent: name or identifier of the run to compare with, likewise.
        experiment: MLflow experiment that names are looked for in.
        tracking_uri: database or server that keeps the runs; MLFLOW_TRACKING_URI wins over it.
        hypothesis: as in record new, where nobody has written one yet.
        expected: likewise.
        conclusion: likewise.
        next_step: likewise.
    """
    check_values(record=record, run=run, parent=parent, experiment=experiment, tracking_uri=tracking_uri)
    texts = _texts(hypothesis=hypothesis, expected=expected, conclusion=conclusion, next_step=next_step)

    def start() -> str:
        from handseg_bundle_common.tracking.records import Source, fill_record  # noqa: PLC0415

        return f"filled in: {fill_record(Path(record), Source(tracking_uri, experiment, run, parent), texts=texts)}"

    return Job(start)


def check(*files: str, records: str = _FOLDER, tracking_uri: str | None = None) -> Job:
    """Tell what records lack: a hypothesis, a conclusion, a heading, a result, or one as new as the run.

    The exit code is 0 if nothing is missing and 1 otherwise.

    Args:
        files: records to check, by default all of the folder.
        records: folder of all records.
        tracking_uri: database or server that keeps the runs, by default mlflow.db if it is there;
            MLFLOW_TRACKING_URI wins over it.
    """
    check_values(records=records, tracking_uri=tracking_uri)
    for file in files:
        check_values(file=file)

    def start() -> Result:
        from handseg_bundle_common.tracking.records import check_records  # noqa: PLC0415

        store = tracking_uri or _store_that_is_there()
        count, problems = check_records([Path(file) for file in files], Path(records), store)
        faulty = len({problem.path for problem in problems})
        what = f"{count} record{'s' * (count != 1)}"
        lines = [*map(str, problems), f"{faulty} of {what} incomplete" if problems else f"{what} complete"]
        if store is None:
            lines.append("Not compared with MLflow: there is no mlflow.db here, and no --tracking-uri is given.")
        return Result("\n".join(lines), _FAULTY if problems else 0)

    return Job(start)


def index(*, records: str = _FOLDER) -> Job:
    """Write the index of all records, as README.md and as index.html.

    Args:
        records: folder of all records.
    """
    check_values(records=records)

    def start() -> str:
        from handseg_bundle_common.tracking.records import write_index  # noqa: PLC0415

        page, count = write_index(Path(records))
        return f"{count} record{'s' * (count != 1)}: {page}"

    return Job(start)


RECORD = {"new": new, "fill": fill, "check": check, "index": index}


def _texts(**options: str | None) -> dict[str, str]:
    check_values(**options)
    return {name: text for name, text in options.items() if text is not None}


def _store_that_is_there() -> str | None:
    """Return where runs are kept by default; None if there is no database."""
    from handseg_bundle_common.engine.mlflow_runs import database_file, wanted_uri  # noqa: PLC0415

    uri = wanted_uri(_STORE)
    database = database_file(uri)
    return None if uri == _STORE and database is not None and not database.is_file() else uri
