"""Scores of several folds: joined files, and numbers that a plain computation confirms."""

from __future__ import annotations

import numpy as np
import pytest

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.rle import SubmissionWriter, read_submission
from handseg_bundle_common.metrics import ImageScores
from handseg_bundle_common.tracking.out_of_fold import draw_scores, join_submissions, summarise


@pytest.fixture
def folds():
    rng = np.random.default_rng(0)
    first = ImageScores(["a/1.png", "a/2.png", 'b/"x", y.png'], rng.random((3, NUM_BONES)))
    second = ImageScores(["c/1.png"], rng.random((1, NUM_BONES)))
    first.dice[1, 4] = np.nan
    return {0: first, 2: second}


def test_the_summary_averages_images_then_bones_then_folds(folds):
    summary = summarise(folds)
    of_bones = [[v for v in column if not np.isnan(v)] for column in folds[0].dice.T]
    first = sum(sum(values) / len(values) for values in of_bones) / NUM_BONES
    second = folds[2].dice.mean()
    assert summary["fold_dice"] == pytest.approx({"0": first, "2": second})
    assert summary["mean_of_folds"] == pytest.approx((first + second) / 2)
    assert summary["sd_of_folds"] == pytest.approx(abs(first - second) / np.sqrt(2))
    joined = np.concatenate([folds[0].dice, folds[2].dice])
    assert summary["per_bone"]["finger-1"] == pytest.approx(joined[:, 0].mean())
    assert summary["per_bone"]["finger-5"] == pytest.approx(joined[[0, 2, 3], 4].mean())
    assert summary["images"] == 4


def test_one_fold_has_no_deviation(folds):
    summary = summarise({2: folds[2]})
    assert summary["sd_of_folds"] is None
    assert summary["out_of_fold_dice"] == pytest.approx(summary["mean_of_folds"])


def test_submissions_are_joined_row_by_row(tmp_path):
    for number in range(2):
        with SubmissionWriter(tmp_path / f"{number}.csv") as writer:
            masks = np.zeros((NUM_BONES, 6, 5), bool)
            masks[number, 1:3] = True
            writer.write(f"image{number}.png", masks)
    join_submissions([tmp_path / "0.csv", tmp_path / "1.csv"], tmp_path / "joined.csv")
    parts = read_submission(tmp_path / "0.csv") | read_submission(tmp_path / "1.csv")
    assert read_submission(tmp_path / "joined.csv") == parts


def test_a_missing_submission_leaves_nothing_half_written(tmp_path):
    with pytest.raises(HandsegInputError, match=r"lost\.csv"):
        join_submissions([tmp_path / "lost.csv"], tmp_path / "joined.csv")
    assert not (tmp_path / "joined.csv").exists()


def test_the_figure_is_a_picture(folds, tmp_path):
    draw_scores(tmp_path / "per_bone.png", folds)
    assert (tmp_path / "per_bone.png").read_bytes().startswith(b"\x89PNG")
