"""Scores of images and bones: a file that keeps every number, and whose images they are."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from handseg_bundle_common.anatomy import BONE_NAMES, NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.metrics import ImageScores, read_scores, write_scores


@pytest.fixture
def scores():
    dice = np.random.default_rng(0).random((3, NUM_BONES))
    dice[1, 4] = np.nan
    return ImageScores(["a/1.png", "a/2.png", 'b/"x", y.png'], dice)


def test_scores_survive_the_file(scores, tmp_path):
    write_scores(tmp_path / "scores.csv", scores)
    again = read_scores(tmp_path / "scores.csv")
    assert again.image_names == scores.image_names
    np.testing.assert_array_equal(again.dice, scores.dice)


def test_a_bone_without_a_score_is_an_empty_cell(scores, tmp_path):
    write_scores(tmp_path / "scores.csv", scores)
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row[BONE_NAMES[4]] == "" for row in rows] == [False, True, False]


def test_patients_stand_before_the_last_slash(scores):
    assert scores.patients == ["a", "a", "b"]
    assert ImageScores(["ward/7/left.png", "alone.png"], scores.dice[:2]).patients == ["ward/7", "alone.png"]


def test_the_mean_is_that_of_images_and_then_of_bones(scores):
    of_bones = [[value for value in column if not np.isnan(value)] for column in scores.dice.T]
    means = [sum(values) / len(values) for values in of_bones]
    assert scores.per_bone() == pytest.approx(means)
    assert scores.mean() == pytest.approx(sum(means) / NUM_BONES)


def test_joined_scores_stand_below_each_other(scores):
    other = ImageScores(["c/1.png"], np.zeros((1, NUM_BONES)))
    joined = ImageScores.joined([scores, other])
    assert joined.image_names == [*scores.image_names, "c/1.png"]
    np.testing.assert_array_equal(joined.dice, np.concatenate([scores.dice, other.dice]))
    assert ImageScores.joined([]).dice.shape == (0, NUM_BONES)


@pytest.mark.parametrize(
    "content",
    ["", "image_name,finger-1\na,0.5\n", f"image_name,{','.join(BONE_NAMES)}\na,0.5\n", "\x00"],
    ids=["empty", "other columns", "short row", "no text"],
)
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "scores.csv").write_text(content)
    with pytest.raises(HandsegInputError, match=r"scores\.csv: .*run what wrote it again"):
        read_scores(tmp_path / "scores.csv")
