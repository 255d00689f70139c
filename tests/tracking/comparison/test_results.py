"""What a comparison leaves behind: tables, figures, Markdown, and a run of its own."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handseg_bundle_common.anatomy import BONES, Group
from handseg_bundle_common.cli.arguments import Job
from handseg_bundle_common.cli.command import read_command
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.tracking.comparison import compare_runs, comparison_text, log_comparison, write_comparison
from handseg_bundle_common.tracking.comparison.figures import comparison_charts, shortened
from handseg_bundle_common.tracking.comparison.text import interval_text, number_ranges

FILES = {"comparison.csv", "comparison.html", "comparison.md", "differences.csv", "comparison_figures"}


@pytest.fixture(scope="module")
def comparison(store):
    return compare_runs(store.client, store.experiment)


@pytest.fixture(scope="module")
def folder(comparison, tmp_path_factory):
    return write_comparison(comparison, tmp_path_factory.mktemp("written")).parent


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_holds_scores_and_settings_of_every_run(comparison, folder, store):
    rows = {row["run_name"]: row for row in rows_of(folder / "comparison.csv")}
    assert list(rows) == [run.name for run in comparison.runs]
    assert rows["averaged"]["run_id"] == store.ids["averaged"]
    assert float(rows["averaged"]["mean_dice"]) == comparison.entries[0].mean.estimate
    assert rows["averaged"]["params.image_size"] == "256"
    assert rows["plain"]["params.image_size"] == ""
    assert rows["plain"]["remark"] == "baseline"
    assert rows["elsewhere"]["params.data_fingerprint"] == "bbbb"
    assert rows["curve only"]["mean_dice_low"] == rows["curve only"]["difference"] == ""


def test_differences_are_written_for_every_bone_and_group(comparison, folder):
    rows = [row for row in rows_of(folder / "differences.csv") if row["run_name"] == "averaged"]
    assert [row["bone"] for row in rows] == [*(bone.name for bone in BONES), *Group, "small", "all"]
    radius = next(row for row in rows if row["bone"] == "Radius")
    assert radius["baseline"] == "plain"
    assert float(radius["difference"]) == pytest.approx(float(radius["dice"]) - float(radius["baseline_dice"]))
    assert radius["is_certain"] == "True"


def test_the_text_fits_a_terminal_and_says_all_that_matters(comparison):
    text = comparison_text(comparison)
    assert max(map(len, text.splitlines())) <= 100
    assert re.search(r"^1 +averaged +0\.8\d\d \(0\.7\d\d-0\.8\d\d\) .* \+0\.0\d\d \(\+", text, re.MULTILINE)
    assert "Baseline: run 4, plain" in text
    assert "Left out, failed: broken off." in text
    assert re.search(r"loss +dice-focal: 1   -: 2, 5-7   <b>bce</b>: 3   bce: 4", text)


def test_markdown_shows_tables_and_figures_and_takes_names_as_text(folder):
    text = (folder / "comparison.md").read_text()
    assert r"\<script\>" in text
    assert "<script>" not in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    widths = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
    assert widths == {9, 3}
    for picture in re.findall(r"!\[.*\]\((.+)\)", text):
        assert (folder / picture).exists()


def test_figures_are_drawn_with_one_line_a_run_and_one_row_a_bone(comparison):
    scores, curves, difference = comparison_charts(comparison)
    assert [label.get_text().split()[0] for label in scores.figure.axes[0].get_yticklabels()] == list("1234567")
    validation, loss = curves.figure.axes
    drawn = {tuple(line.get_ydata()) for line in validation.lines}
    assert {(0.3, 0.6, 0.7), (0.4, 0.65, 0.75), (0.5, 0.72, 0.71), (0.5, 0.7, 0.77)} <= drawn
    stars = [tuple(line.get_ydata()) for line in validation.lines if line.get_marker() == "*" and len(line.get_ydata())]
    assert stars == [(0.5, 0.7, 0.77)]
    assert (2.0, 1.0, 0.5) in {tuple(line.get_ydata()) for line in loss.lines}
    panels = difference.figure.axes
    assert [panel.get_title().split()[0] for panel in panels] == ["1", "3", "5"]
    labels = [label.get_text() for label in panels[0].get_yticklabels()]
    assert labels == [bone.abbreviation for group in Group for bone in BONES if bone.group is group]


def test_names_that_look_like_formulas_are_drawn_as_they_are(comparison, folder):
    chart = comparison_charts(comparison)[0]
    assert r"\$a_b\$" in chart.figure.axes[0].get_yticklabels()[2].get_text()
    for path in (folder / "comparison_figures").iterdir():
        assert np.asarray(Image.open(path).convert("L")).std() > 5


def test_an_earlier_comparison_in_the_same_folder_leaves_nothing(store, tmp_path):
    stale, other = (tmp_path / "comparison_figures" / name for name in ("difference_per_bone_7.png", "scores_mine.png"))
    of_analysis = tmp_path / "figures/difference_per_bone.png"
    for path in (stale, other, of_analysis):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    write_comparison(compare_runs(store.client, store.experiment, ["curve only"]), tmp_path)
    assert {path.name for path in stale.parent.iterdir()} == {"scores_mine.png", "scores.png", "learning_curves.png"}
    assert of_analysis.exists()


def test_a_comparison_is_a_run_of_its_own_that_is_never_compared(store, comparison, folder):
    name = log_comparison(store.client, comparison, folder)
    experiment = store.client.get_experiment_by_name(store.experiment)
    (run,) = store.client.search_runs([experiment.experiment_id], f"attributes.run_name = '{name}'")
    assert run.info.status == "FINISHED"
    assert run.data.tags["handseg.kind"] == "comparison"
    assert run.data.params["compared_runs"].split(",") == [compared.run_id for compared in comparison.runs]
    assert {file.path for file in store.client.list_artifacts(run.info.run_id)} == FILES
    again = compare_runs(store.client, store.experiment)
    assert name not in {run.name for run in again.runs} | {one.name for one in again.left_out}


def command(store, output, *words):
    job = read_command(["compare", "--tracking-uri", store.uri, "--output", str(output), *words])
    assert isinstance(job, Job)
    return job.start()


def test_the_verb_writes_logs_and_says_where(store, tmp_path):
    text = command(store, tmp_path, "--experiment", "trials", "--runs", "plain, averaged", "--baseline", "averaged")
    assert re.search(r"page: .*comparison\.html\ntables: .*\nlogged as run: comparison-\d{8}-", text)
    assert {path.name for path in tmp_path.iterdir()} == FILES


def test_a_comparison_is_kept_out_of_mlflow_on_request(store, tmp_path):
    text = command(store, tmp_path, "--experiment", "trials", "--runs", "plain", "--log", "False")
    assert text.endswith(f"tables: {tmp_path}")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--log", "perhaps"], "--log: 'perhaps' is neither True nor False"),
        (["--runs"], "--runs: has no value"),
        (["--runs", " , "], "--runs: names no run"),
    ],
)
def test_mistakes_are_found_before_anything_starts(words, message):
    with pytest.raises(HandsegInputError, match=message):
        read_command(["compare", *words])


def test_numbers_are_written_as_short_as_they_can_be_read(comparison):
    assert number_ranges([1, 2, 3, 7, 9, 10]) == "1-3, 7, 9-10"
    assert shortened("effisegnet-20261123-230000-ab12", 13) == "effise…0-ab12"
    assert shortened("short", 13) == "short"
    assert interval_text(comparison.entries[-1].small) == "-"


def test_the_wheel_carries_template_style_and_script(repository):
    listed = re.search(r"^handseg_bundle_common = (.+)$", (repository / "setup.cfg").read_text(), re.MULTILINE)[1]
    package = repository / "handseg_bundle_common"
    carried = {path for pattern in listed.split(",") for path in package.glob(pattern.strip())}
    own = Path(package, "tracking/comparison")
    assert {own / "template.html", own / "compare.css", own / "compare.js", package / "pages/page.css"} <= carried
