"""Charts of a run: every curve and bone is drawn at its value, averaging is marked, nothing is drawn without data."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.engines import SupervisedEvaluator

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.engine import RunFigures
from handseg_bundle_common.engine.run_figures import learning_chart, per_bone_chart
from handseg_bundle_common.metrics import ImageScores, write_scores

HISTORY = [
    (1, {"train_loss": 0.5}),
    (2, {"train_loss": 0.25, "val_mean_dice": 0.5, "val_overlap_dice": 0.25, "swa_mean_dice": 0.75}),
]


def test_curves_stand_at_the_epochs_that_have_them():
    figure = learning_chart(HISTORY).figure
    upper, lower = figure.axes
    drawn = {line.get_label(): line.get_xydata().tolist() for line in upper.lines}
    assert drawn == {
        "mean of all bones": [[2, 0.5]],
        "overlap zones": [[2, 0.25]],
        "averaged weights": [[2, 0.75]],
    }
    assert lower.lines[0].get_xydata().tolist() == [[1, 0.5], [2, 0.25]]


def test_the_start_of_averaging_is_marked_before_its_first_epoch():
    chart = learning_chart(HISTORY, swa_start=1)
    for axes in chart.figure.axes:
        assert axes.lines[-1].get_xdata() == [1.5, 1.5]
    assert "From epoch 2 on" in chart.caption
    assert [text.get_text() for text in chart.figure.axes[1].texts] == ["weights averaged from epoch 2"]
    assert not learning_chart(HISTORY).figure.axes[1].texts


def test_every_bone_has_its_mean_and_its_images():
    dice = np.random.default_rng(0).random((4, NUM_BONES))
    dice[2, 5] = np.nan
    dice[:, 7] = 0
    chart = per_bone_chart(ImageScores([f"p{n}/1.png" for n in range(4)], dice))
    (axes,) = chart.figure.axes
    means = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
    assert means == pytest.approx(np.nanmean(dice, axis=0).tolist())
    assert [len(dots.get_offsets().compressed()) // 2 for dots in axes.collections][5] == 3
    assert "Lowest: the distal phalanx of the middle finger" in chart.caption


def _figures(folder):
    return sorted(path.name for path in (folder / "figures").glob("*"))


def test_a_training_draws_both_at_its_end(tmp_path):
    (tmp_path / "metrics.csv").write_text("epoch,train_loss,mean_dice\n1,0.5,0.25\n")
    write_scores(tmp_path / "scores.csv", ImageScores(["p/1.png"], np.full((1, NUM_BONES), 0.25)))
    handler = RunFigures(str(tmp_path))
    validation = _evaluator(handler)
    trainer = Engine(lambda *_: None)
    handler.attach(trainer)
    validation.run()
    assert _figures(tmp_path) == [], "a validation within a training draws nothing"
    trainer.run([0])
    assert _figures(tmp_path) == ["learning.png", "per_bone.png"]


def test_an_evaluation_has_no_learning_curve(tmp_path):
    (tmp_path / "metrics.csv").write_text("mean_dice\n0.25\n")
    write_scores(tmp_path / "scores.csv", ImageScores(["p/1.png"], np.full((1, NUM_BONES), 0.25)))
    _evaluator(RunFigures(str(tmp_path))).run()
    assert _figures(tmp_path) == ["per_bone.png"]


def test_without_files_nothing_is_drawn(tmp_path):
    _evaluator(RunFigures(str(tmp_path))).run()
    assert _figures(tmp_path) == []


def _evaluator(handler):
    return SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=[{"image": torch.zeros(1, 1), "label": torch.zeros(1, 1)}],
        network=torch.nn.Identity(),
        val_handlers=[handler],
    )
