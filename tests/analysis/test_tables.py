"""Tables: what stands in them, and that CSV and Parquet say the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from handseg_bundle_common.analysis import (
    Analysis,
    CaseSources,
    Fault,
    FaultKind,
    analyse,
    summary_text,
    tables,
    write_tables,
)
from handseg_bundle_common.anatomy import BONES, CHANNEL, SMALL_BONES
from handseg_bundle_common.formats.rle import SubmissionWriter
from handseg_bundle_common.metrics import bootstrap_interval, read_scores

Masks = NDArray[np.bool_]
FIRST = "sim29-0001_L.png"
NAMES = ("bone_scores", "cases", "bones", "confusion", "top_confusions", "faults")


def spoil(name: str, masks: Masks) -> Masks:
    if name == FIRST:
        masks[[CHANNEL["Lunate"], CHANNEL["Scaphoid"]]] = masks[[CHANNEL["Scaphoid"], CHANNEL["Lunate"]]]
        masks[CHANNEL["Pisiform"]] = False
    return masks


@pytest.fixture
def analysis(tmp_path: Path, submission: Callable[..., Path], sample_data: Path) -> Analysis:
    """Perfect predictions but for one image, in which carpals are swapped and the pisiform is missing."""
    return analyse(submission(spoil=spoil), sample_data, tmp_path / "out")


def test_scores_have_a_row_for_every_image_and_bone(analysis: Analysis) -> None:
    table = tables.bone_scores_table(analysis)
    assert len(table) == 4 * 29
    assert not [column for column in table if "mm" in column], "without a spacing these would be empty"
    row = table[(table["image_name"] == FIRST) & (table["bone"] == "Pisiform")].iloc[0]
    assert row["dice"] < 1e-5
    assert row["predicted_px"] == 0
    assert row["false_negative_px"] == row["reference_px"] > 0
    assert row["patient"] == "sim29-0001"


def test_scores_are_those_that_every_tool_reads(tmp_path: Path, analysis: Analysis) -> None:
    write_tables(analysis, tmp_path)
    scores = read_scores(tmp_path / "scores.csv")
    assert scores.image_names[:2] == ["sim29-0001/sim29-0001_L.png", "sim29-0001/sim29-0001_R.png"]
    assert scores.patients == analysis.patients
    np.testing.assert_array_equal(scores.dice, analysis.scores("dice"))


def test_images_in_deeper_folders_keep_names_of_their_own_and_their_patient(
    tmp_path: Path, hands: dict[str, Masks], sample_data: Path
) -> None:
    label = sample_data / "outputs_json" / "sim29-0001" / "sim29-0001_L.json"
    rows = ["image_name,height,width"]
    with SubmissionWriter(tmp_path / "predictions.csv") as writer:
        for side in ("L", "R"):
            target = tmp_path / "data" / "outputs_json" / "p1" / side / "1.json"
            target.parent.mkdir(parents=True)
            target.write_bytes(label.read_bytes())
            writer.write(f"p1/{side}/1.png", hands[FIRST])
            rows.append(f"p1/{side}/1.png,512,512")
    (tmp_path / "images.csv").write_text("\n".join(rows) + "\n")
    scores = tables.image_scores(analyse(tmp_path / "predictions.csv", tmp_path / "data", tmp_path / "out", workers=1))
    assert scores.image_names == ["p1/L_1.png", "p1/R_1.png"]
    assert scores.patients == ["p1", "p1"]


def test_cases_have_means_and_faults(analysis: Analysis) -> None:
    table = tables.cases_table(analysis).set_index("image_name")
    dice = tables.bone_scores_table(analysis).pivot_table("dice", "image_name", "bone")
    np.testing.assert_allclose(table["mean_dice"], dice.mean(axis=1)[table.index])
    np.testing.assert_allclose(table["small_dice"], dice[list(SMALL_BONES)].mean(axis=1)[table.index])
    assert table.loc[FIRST, "worst_bone"] in {"Pisiform", "Lunate", "Scaphoid"}
    assert table.loc[FIRST, "faults_text"] == "The scaphoid and the lunate are swapped. The pisiform is missing."
    assert table["faults"].tolist() == [2, 0, 0, 0]


def test_bones_have_means_intervals_and_misses(analysis: Analysis) -> None:
    table = tables.bones_table(analysis).set_index("bone")
    assert len(table) == 29 + 4 + 1
    dice = analysis.scores("dice")[:, CHANNEL["Pisiform"]]
    interval = bootstrap_interval(dice, analysis.patients)
    row = table.loc["Pisiform"]
    assert row[["dice", "dice_low", "dice_high"]].tolist() == pytest.approx([dice.mean(), interval.low, interval.high])
    assert row["missed"] == 1
    whole = bootstrap_interval(analysis.scores("dice"), analysis.patients)
    assert table.loc["all", ["dice_low", "dice_high"]].tolist() == pytest.approx([whole.low, whole.high])
    assert not table["dice_low"].isna().any()
    assert table.loc["Radius", "missed"] == 0
    assert table.loc["all", "dice"] == pytest.approx(analysis.scores("dice").mean())
    assert set(table.index[table["is_small"]]) == set(SMALL_BONES)


def test_confusions_name_the_bones_that_were_taken_for_each_other(analysis: Analysis) -> None:
    table = tables.confusion_table(analysis)
    assert len(table) == 30 * 30
    diagonal = table[(table["label"] == "Radius") & (table["predicted"] == "Radius")].iloc[0]
    assert diagonal["rate"] == 1
    top = tables.top_confusions(analysis)
    assert {tuple(sorted(pair)) for pair in top[["label", "predicted"]].to_numpy()[:2]} == {("Lunate", "Scaphoid")}
    assert top["rate"].is_monotonic_decreasing


def test_every_table_is_written_twice_and_says_the_same(tmp_path: Path, analysis: Analysis) -> None:
    write_tables(analysis, tmp_path / "tables")
    assert {path.name for path in (tmp_path / "tables").iterdir()} == {
        "scores.csv",
        *(f"{name}.{suffix}" for name in NAMES for suffix in ("csv", "parquet")),
    }
    for name in NAMES:
        parquet = pd.read_parquet(tmp_path / "tables" / f"{name}.parquet")
        csv = pd.read_csv(tmp_path / "tables" / f"{name}.csv", keep_default_na=False, na_values=[""])
        assert list(csv.columns) == list(parquet.columns)
        for column in parquet.select_dtypes("number"):
            values = parquet[column].astype(float).to_numpy(), csv[column].astype(float).to_numpy()
            np.testing.assert_allclose(*values, atol=1e-6)
        texts = parquet.select_dtypes(["object", "string"]).fillna("")
        assert (texts == csv[texts.columns].fillna("")).all(axis=None)


def test_without_a_fault_the_tables_are_whole(
    tmp_path: Path, submission: Callable[..., Path], sample_data: Path
) -> None:
    analysis = analyse(submission(), sample_data, tmp_path / "out")
    write_tables(analysis, tmp_path / "out")
    table = pd.read_parquet(tmp_path / "out" / "faults.parquet")
    assert table.empty
    assert list(table.columns) == [
        "image_name",
        "patient",
        "kind",
        "bone",
        "anatomical_name",
        "other",
        "severity",
        "text",
    ]


def test_names_that_are_no_text_are_spelled_out(tmp_path: Path, analysis: Analysis) -> None:
    case = dataclasses.replace(analysis.cases[0], image_name="h\udcffnd.png")
    images = {case.image_name: analysis.sources.images[FIRST]}
    analysis = dataclasses.replace(analysis, cases=(case,), sources=CaseSources(Path("predictions.csv"), images))
    write_tables(analysis, tmp_path)
    for name in ("bone_scores", "cases", "faults"):
        assert set(pd.read_parquet(tmp_path / f"{name}.parquet")["image_name"]) == {"h\\udcffnd.png"}
    assert "h\\udcffnd.png" in summary_text(analysis)


def test_the_summary_names_the_worst(analysis: Analysis) -> None:
    text = summary_text(analysis)
    lines = text.splitlines()
    bone = BONES[CHANNEL[analysis.cases[0].worst_bone]].anatomical_name
    worst = f"{bone} {analysis.cases[0].scores.dice.min():.3f}."
    assert lines[0] == "4 images of 2 patients; Dice with 95 % intervals over patients:"
    assert f"all bones     {analysis.scores('dice').mean():.4f} (" in lines[1]
    assert f"mean distance of outlines: {np.nanmean(analysis.scores('mean_surface_distance_px')):.1f} px" in text
    assert "worst bones: pisiform 0.750, scaphoid 0.75" in text
    assert (
        f"{FIRST} {analysis.cases[0].mean_dice:.3f}  Lowest Dice: {worst} The scaphoid and the lunate are swapped."
        in text
    )
    assert "faults: 2 in 1 of 4 images, most often:" in text
    assert "1 x scaphoid and lunate swapped" in text
    assert "4 images without a prediction, not scored: sim29-0003/sim29-0003_L" in text


def test_one_is_one_and_a_perfect_prediction_has_no_worst(
    tmp_path: Path, submission: Callable[..., Path], sample_data: Path
) -> None:
    analysis = analyse(submission(), sample_data, tmp_path / "out")
    text = summary_text(dataclasses.replace(analysis, cases=analysis.cases[:1]))
    assert text.startswith("1 image of 1 patient; Dice")
    assert "worst" not in text
    assert "faults: 0 in 0 of 1 image\n" in text


def test_a_fault_that_costs_next_to_nothing_is_not_the_reason_of_a_bad_image(analysis: Analysis) -> None:
    case = analysis.cases[0]
    speck = Fault(FaultKind.HOLE, "Radius", severity=0.001, pixels=9)
    assert "hole" not in dataclasses.replace(case, faults=(speck,)).reason
    assert dataclasses.replace(case, faults=(speck,)).reason.startswith("Lowest Dice: ")
    assert (
        dataclasses.replace(case, faults=(dataclasses.replace(speck, severity=0.01), speck)).reason.count("hole") == 1
    )
    assert analysis.cases[1].reason == ""
