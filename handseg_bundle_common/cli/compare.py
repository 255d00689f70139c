"""The verb compare."""

from __future__ import annotations

from handseg_bundle_common.cli.arguments import Job, check_values, yes_or_no
from handseg_bundle_common.errors import HandsegInputError


def compare(
    *,
    experiment: str = "handseg",
    runs: str | None = None,
    baseline: str | None = None,
    tracking_uri: str = "sqlite:///mlflow.db",
    output: str = "comparison",
    log: bool | str = True,
) -> Job:
    """Compare runs: scores with intervals, settings that differ, learning curves, differences per bone.

    Writes tables, figures and a page that opens in any browser, and logs them to MLflow as a run of their own.

    Args:
        experiment: name of the MLflow experiment.
        runs: names or identifiers of runs, separated by commas, which a name with a comma in it cannot be given by;
            by default all that are finished and have scores.
        baseline: name or identifier of the run that the others are measured against. By default the first of --runs,
            or the earliest of those that share their images with most others.
        tracking_uri: database or server that keeps the runs; MLFLOW_TRACKING_URI wins over it.
        output: folder for tables, figures and the page.
        log: False keeps the comparison out of MLflow.
    """
    check_values(experiment=experiment, runs=runs, baseline=baseline, tracking_uri=tracking_uri, output=output)
    names = None if runs is None else [name.strip() for name in runs.split(",") if name.strip()]
    if names is not None and not names:
        raise HandsegInputError("--runs", "names no run", "write names or identifiers, separated by commas")
    is_logged = yes_or_no("log", log)

    def start() -> str:
        from handseg_bundle_common.tracking import comparison  # noqa: PLC0415
        from handseg_bundle_common.tracking.store import open_store  # noqa: PLC0415

        client = open_store(tracking_uri)
        found = comparison.compare_runs(client, experiment, names, baseline)
        page = comparison.write_comparison(found, output)
        lines = [comparison.comparison_text(found), "", f"page: {page}", f"tables: {output}"]
        if is_logged:
            try:
                lines.append(f"logged as run: {comparison.log_comparison(client, found, output)}")
            except HandsegInputError as error:
                lines.append(f"not logged: {error}")
        return "\n".join(lines)

    return Job(start)
