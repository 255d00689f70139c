"""The per-bone table against plain NumPy."""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from handseg_bundle_common.anatomy import BONES, CHANNEL, Group
from handseg_bundle_common.metrics import per_bone_table, write_table


@pytest.fixture
def scores() -> np.ndarray:
    """Five images; the pisiform is never scored, the thumb's tip only twice."""
    values = np.random.default_rng(0).uniform(0.8, 1, (5, len(BONES)))
    values[:, CHANNEL["Pisiform"]] = math.nan
    values[2:, CHANNEL["finger-1"]] = math.nan
    return values


def test_bones_come_in_channel_order_then_groups_then_all(scores: np.ndarray) -> None:
    names = [row["name"] for row in per_bone_table(scores)]
    assert names == [*(bone.name for bone in BONES), "phalanges", "metacarpals", "carpals", "forearm", "all"]


def test_a_bone_is_summarised_over_the_images_that_have_a_score(scores: np.ndarray) -> None:
    rows = {row["name"]: row for row in per_bone_table(scores, ["a", "b", "c", "d", "e"])}
    two = scores[:2, CHANNEL["finger-1"]]
    row = rows["finger-1"]
    assert (row["anatomical_name"], row["group"], row["images"]) == ("distal phalanx of the thumb", "phalanges", 2)
    assert row["mean"] == pytest.approx(np.mean(two))
    assert row["sd"] == pytest.approx(abs(two[0] - two[1]) / math.sqrt(2))
    assert row["min"] == two.min()
    assert row["worst_image"] == "ab"[int(np.argmin(two))]


def test_a_bone_without_scores_is_an_empty_row(scores: np.ndarray) -> None:
    row = per_bone_table(scores)[CHANNEL["Pisiform"]]
    assert row["images"] == 0
    assert row["worst_image"] == ""
    assert all(math.isnan(row[column]) for column in ("mean", "sd", "min"))


def test_a_group_averages_the_means_of_its_bones(scores: np.ndarray) -> None:
    rows = {row["name"]: row for row in per_bone_table(torch.from_numpy(scores))}
    members = [k for k, bone in enumerate(BONES) if bone.group is Group.PHALANGES]
    assert rows["phalanges"]["mean"] == pytest.approx(np.mean(np.nanmean(scores[:, members], axis=0)))
    assert rows["phalanges"]["min"] == pytest.approx(np.nanmean(scores[:, members], axis=1).min())
    assert rows["all"]["mean"] == pytest.approx(
        np.nanmean(
            [np.nanmean(c) for c in scores.T[: CHANNEL["Pisiform"]]]
            + [np.mean(scores[:, CHANNEL[n]]) for n in ("Radius", "Ulna")]
        )
    )


def test_one_image_has_no_standard_deviation() -> None:
    row = per_bone_table(np.full((1, len(BONES)), 0.5))[0]
    assert (row["mean"], row["min"]) == (0.5, 0.5)
    assert math.isnan(row["sd"])


def test_wrong_shapes_are_refused(scores: np.ndarray) -> None:
    with pytest.raises(ValueError, match="shape"):
        per_bone_table(scores[:, 1:])
    with pytest.raises(ValueError, match="names"):
        per_bone_table(scores, ["a"])


def test_image_names_that_are_not_unicode_keep_their_bytes(scores: np.ndarray, tmp_path: Path) -> None:
    write_table(tmp_path / "dice.csv", per_bone_table(scores, [os.fsdecode(b"h\xff.png")] * 5))
    assert b",h\xff.png\n" in (tmp_path / "dice.csv").read_bytes()


def test_csv_reads_back(scores: np.ndarray, tmp_path: Path) -> None:
    rows = per_bone_table(scores, ["a,1", "b", "c", "d", "e"])
    write_table(tmp_path / "tables" / "dice.csv", rows)
    with (tmp_path / "tables" / "dice.csv").open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert [row["name"] for row in read] == [row["name"] for row in rows]
    assert [row["worst_image"] for row in read] == [row["worst_image"] for row in rows]
    assert read[CHANNEL["Pisiform"]]["mean"] == ""
    assert float(read[-1]["mean"]) == pytest.approx(rows[-1]["mean"], abs=5e-7)
