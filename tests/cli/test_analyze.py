"""The verb `analyze`: how it is written, what it leaves behind, and what it says."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from handseg_bundle_common.anatomy import CHANNEL
from handseg_bundle_common.cli.analyze import analyze
from handseg_bundle_common.cli.arguments import Job
from handseg_bundle_common.cli.command import read_command
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.boostcamp import rasterise_packed, read_annotations
from handseg_bundle_common.formats.rle import SubmissionWriter

NAMES = ("sim29-0001_L.png", "sim29-0002_R.png")


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, sample_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with two submissions, `good.csv` and `bad.csv`, which lacks the pisiform."""
    monkeypatch.chdir(tmp_path)
    for file, bone in (("good.csv", None), ("bad.csv", "Pisiform")):
        with SubmissionWriter(file) as submission:
            for name in NAMES:
                stem = Path(name).stem
                label = sample_data / "outputs_json" / stem[:-2] / f"{stem}.json"
                masks = rasterise_packed(read_annotations(label), 512, 512)
                submission.write(name, masks & ~np.uint32(1 << CHANNEL[bone]) if bone else masks)


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What the report, which takes long to draw, would be made of."""
    calls: list[tuple[object, ...]] = []

    def write_report(*arguments: object, worst: int) -> Path:
        calls.append((*arguments, worst))
        return Path("out/report.html")

    report = SimpleNamespace(write_report=write_report)
    monkeypatch.setitem(sys.modules, "handseg_bundle_common.analysis.report", report)
    return calls


def run(*words: str) -> str:
    job = read_command(["analyze", *words])
    assert isinstance(job, Job)
    text = job.start()
    assert isinstance(text, str)
    return text


def test_tables_and_the_report_are_written_and_a_summary_said(sample_data: Path, reported: list[object]) -> None:
    text = run("--predictions", "bad.csv", "--labels", str(sample_data), "--output", "out")
    assert text.startswith("2 images of 2 patients; Dice with 95 % intervals over patients:\n  all bones     0.9655")
    assert "2 x pisiform missing" in text
    assert text.endswith("report: out/report.html\ntables: out")
    assert {path.name for path in Path("out").glob("*.csv")} == {
        f"{name}.csv" for name in ("scores", "bone_scores", "cases", "bones", "confusion", "top_confusions", "faults")
    }
    ((analysis, output, comparison, worst),) = reported  # type: ignore[misc]
    assert [case.image_name for case in analysis.cases] == list(NAMES)
    assert (output, comparison, worst) == (Path("out"), None, 20)


@pytest.mark.parametrize("kind", ["predictions", "analysis"])
def test_another_model_is_compared(sample_data: Path, reported: list[object], kind: str) -> None:
    other = "bad.csv"
    if kind == "analysis":
        run(f"--predictions={other}", f"--labels={sample_data}", "--output=other")
        other = "other"
    text = run("--predictions=good.csv", f"--labels={sample_data}", "--output=out", f"--compare={other}")
    assert "against the other predictions, on 2 images of both:\n  all bones     +0.0345" in text
    assert Path("out", "differences.parquet").exists()
    assert Path("out", "other").exists() == (kind == "predictions")
    assert [case.mean_dice < 1 for _, case in reported[-1][2].pairs] == [True, True]  # type: ignore[index]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"compare": True}, "--compare: has no value"),
        ({"images": True}, "--images: has no value"),
        ({"worst": -1}, "--worst: -1 images cannot be drawn; choose 0 or more"),
        ({"workers": "many"}, "--workers: 'many' is not a whole number"),
    ],
)
def test_mistakes_are_found_before_anything_starts(options: dict[str, object], message: str) -> None:
    with pytest.raises(HandsegInputError, match=message):
        analyze("good.csv", "data", "out", **options)  # type: ignore[arg-type]


def test_labels_that_are_not_there_are_one_sentence() -> None:
    with pytest.raises(HandsegInputError, match="nowhere: is not a folder"):
        run("--predictions=good.csv", "--labels=nowhere", "--output=out")


def test_a_model_is_not_compared_with_the_folder_that_is_overwritten(sample_data: Path, reported: list[object]) -> None:
    with pytest.raises(
        HandsegInputError, match=r"--compare: \./out is the folder of --output; choose another --output"
    ):
        run("--predictions=good.csv", f"--labels={sample_data}", "--output=out", "--compare=./out")


def test_nothing_is_analysed_if_the_other_predictions_cannot_be_used(sample_data: Path, reported: list[object]) -> None:
    Path("foreign.csv").write_text(Path("good.csv").read_text().replace("sim29-0001_L", "sim29-0003_L"))
    lines = Path("foreign.csv").read_text().splitlines(keepends=True)
    Path("foreign.csv").write_text("".join(line for line in lines if "sim29-0002" not in line))
    for other, message in (("typo.csv", "typo.csv: "), ("foreign.csv", "has no image in common with good.csv")):
        with pytest.raises(HandsegInputError, match=message):
            run("--predictions=good.csv", f"--labels={sample_data}", "--output=out", f"--compare={other}")
        assert not Path("out").exists()


def test_results_of_an_earlier_comparison_do_not_stay(sample_data: Path, reported: list[object]) -> None:
    words = ("--predictions=good.csv", f"--labels={sample_data}", "--output=out")
    run(*words, "--compare=bad.csv")
    old = [Path("out/figures/difference_per_bone.png"), Path("out/figures/overlap_zones.png"), Path("out/report.html")]
    old[0].parent.mkdir()
    for path in old:
        path.touch()
    run(*words)
    assert not any(path.exists() for path in (*old, Path("out/differences.csv"), Path("out/differences.parquet")))
