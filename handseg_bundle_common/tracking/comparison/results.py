"""Comparisons from start to end: runs read, files written, and the comparison logged as a run of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from handseg_bundle_common.charts import save_chart
from handseg_bundle_common.engine.mlflow_log import KIND
from handseg_bundle_common.engine.tracking import unique_run_name
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import make_folder, write_atomically
from handseg_bundle_common.tracking.comparison.figures import CHARTS, comparison_charts
from handseg_bundle_common.tracking.comparison.page import comparison_page
from handseg_bundle_common.tracking.comparison.runs import COMPARISON, finished_runs, named_runs
from handseg_bundle_common.tracking.comparison.scores import Comparison, compare
from handseg_bundle_common.tracking.comparison.text import comparison_markdown, write_differences, write_runs
from handseg_bundle_common.tracking.store import find_experiment, store_errors

PAGE, MARKDOWN, TABLE, DIFFERENCES, FIGURES = (
    "comparison.html",
    "comparison.md",
    "comparison.csv",
    "differences.csv",
    # A folder of its own: handseg analyze has a figure of the same name in `figures`.
    "comparison_figures",
)

_MOST_RUNS = 100


def compare_runs(
    client: Any, experiment: str, names: Sequence[str] | None = None, baseline: str | None = None
) -> Comparison:
    """Read runs from MLflow and compare them.

    Args:
        client: MLflow client, see `tracking.store.open_store`.
        experiment: name of the experiment.
        names: names or identifiers of runs; by default all finished ones with scores.
        baseline: name or identifier of the run that the others are measured against, see `scores.compare`; it takes
            part in any case.

    Raises:
        HandsegInputError: experiment or runs cannot be found or read, or there are too many for one page.
    """
    find_experiment(client, experiment)
    if names is None:
        runs, left_out = finished_runs(client, experiment)
    else:
        runs, left_out = named_runs(client, experiment, names), []
    if len(runs) > _MOST_RUNS:
        problem = f"{experiment!r} has {len(runs)} runs, more than {_MOST_RUNS} that fit on a page"
        raise HandsegInputError("--experiment", problem, "name those to compare with --runs")
    base = None if baseline is None else named_runs(client, experiment, [baseline])[0]
    if base is not None and base.run_id not in {run.run_id for run in runs}:
        runs = [base, *runs]
    return compare(
        experiment, runs, baseline=None if base is None else base.run_id, is_named=names is not None, left_out=left_out
    )


def write_comparison(comparison: Comparison, output: str | PathLike[str]) -> Path:
    """Write tables, figures and the page of a comparison, over an earlier one in the same folder.

    Returns:
        The path of the page.

    Raises:
        HandsegInputError: a file cannot be written.
    """
    folder = make_folder(output)
    figures = make_folder(folder / FIGURES)
    charts = comparison_charts(comparison)
    drawn = [(chart, save_chart(figures, chart)) for chart in charts]
    for path in _charts(folder):
        # An earlier comparison of more runs has left more of them.
        if path not in {written for _, written in drawn}:
            path.unlink()
    write_runs(folder / TABLE, comparison)
    write_differences(folder / DIFFERENCES, comparison)
    texts = {
        MARKDOWN: comparison_markdown(comparison, charts, FIGURES),
        PAGE: comparison_page(comparison, drawn),
    }
    for name, text in texts.items():
        with write_atomically(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return folder / PAGE


def log_comparison(client: Any, comparison: Comparison, output: str | PathLike[str]) -> str:
    """Log the files of a comparison as artifacts of a run of its own, which is never compared itself.

    Args:
        client: MLflow client.
        comparison: what was compared.
        output: folder that `write_comparison` has written.

    Returns:
        The name of the run.

    Raises:
        HandsegInputError: the store cannot be written.
    """
    experiment = find_experiment(client, comparison.experiment)
    name = unique_run_name(COMPARISON)
    folder = Path(output)
    base = comparison.baseline
    with store_errors(client.tracking_uri):
        run_id = client.create_run(experiment.experiment_id, run_name=name, tags={KIND: COMPARISON}).info.run_id
        try:
            client.log_param(run_id, "compared_runs", ",".join(run.run_id for run in comparison.runs))
            client.log_param(run_id, "baseline", "" if base is None else base.run.run_id)
            for file in (PAGE, MARKDOWN, TABLE, DIFFERENCES):
                client.log_artifact(run_id, str(folder / file))
            for path in _charts(folder):
                client.log_artifact(run_id, str(path), FIGURES)
        except BaseException:
            client.set_terminated(run_id, "FAILED")
            raise
        client.set_terminated(run_id)
    return name


def _charts(folder: Path) -> list[Path]:
    """Return the figures that comparisons have drawn in a folder, and no others."""
    name = re.compile(rf"({'|'.join(CHARTS)})(_\d+)?\.png")
    return sorted(path for path in (folder / FIGURES).iterdir() if name.fullmatch(path.name))
