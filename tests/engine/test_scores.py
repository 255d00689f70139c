"""Scores of a validation: by bone as metrics and table, by image as a file."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events

from handseg_bundle_common.anatomy import BONE_NAMES, NUM_BONES
from handseg_bundle_common.engine import BestWeights, PerBoneMetrics, PerBoneTable, ScoresFile
from handseg_bundle_common.metrics import read_scores


@pytest.fixture
def evaluator():
    """An evaluator after two images: every bone has Dice 0.2 and 0.6, the pisiform is missing in one."""
    engine = Engine(lambda engine, name: engine.state.__setattr__("batch", [{"image_name": name, "patient": "p1"}]))
    details = torch.tensor([[0.2], [0.6]]).repeat(1, NUM_BONES)
    details[0, BONE_NAMES.index("Pisiform")] = torch.nan

    def finish(engine):
        engine.state.metric_details = {"mean_dice": details}

    engine.add_event_handler(Events.EPOCH_COMPLETED, finish)
    return engine


def test_every_bone_becomes_a_metric(evaluator):
    PerBoneMetrics().attach(evaluator)
    metrics = evaluator.run(["first.png", "second.png"]).metrics
    assert metrics["dice/finger-1"] == pytest.approx(0.4)
    assert metrics["dice/Pisiform"] == pytest.approx(0.6)
    assert len(metrics) == NUM_BONES


def test_the_per_bone_table_is_written(evaluator, tmp_path):
    PerBoneTable(str(tmp_path / "per_bone.csv")).attach(evaluator)
    evaluator.run(["first.png", "second.png"])
    with (tmp_path / "per_bone.csv").open(newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert set(BONE_NAMES) <= set(rows)
    assert float(rows["Ulna"]["mean"]) == pytest.approx(0.4, abs=1e-4)
    assert rows["Ulna"]["worst_image"] == "p1/first.png"


def test_the_scores_of_every_image_are_written(evaluator, tmp_path):
    ScoresFile(str(tmp_path / "scores.csv")).attach(evaluator)
    evaluator.run(["first.png", "second.png"])
    scores = read_scores(tmp_path / "scores.csv")
    assert scores.image_names == ["p1/first.png", "p1/second.png"]
    expected = np.tile([[0.2], [0.6]], NUM_BONES)
    expected[0, BONE_NAMES.index("Pisiform")] = np.nan
    np.testing.assert_allclose(scores.dice, expected, rtol=1e-6)


def _validate(dice, best, path):
    """Run validations of one image, one after the other, whose bones all have the same Dice."""
    values = iter(dice)

    def score(engine, name):
        engine.state.batch = [{"image_name": name, "patient": "p1"}]

    def finish(engine):
        value = next(values)
        engine.state.metric_details = {"mean_dice": torch.full((1, NUM_BONES), value)}
        engine.state.metrics["mean_dice"] = value

    engine = Engine(score)
    engine.add_event_handler(Events.EPOCH_COMPLETED, finish)
    best.attach(engine)
    ScoresFile(str(path), best_weights=best).attach(engine)
    for number in range(len(dice)):
        engine.run([f"{number}.png"])
    return read_scores(path)


def test_a_training_keeps_the_scores_of_its_best_weights(tmp_path):
    best = BestWeights(torch.nn.Linear(1, 1), str(tmp_path / "model.pt"))
    scores = _validate([0.25, 0.75, 0.5], best, tmp_path / "scores.csv")
    assert scores.image_names == ["p1/1.png"]
    assert scores.mean() == 0.75


def test_a_training_that_goes_on_keeps_better_scores_of_before(tmp_path):
    first = BestWeights(torch.nn.Linear(1, 1), str(tmp_path / "model.pt"))
    _validate([0.75], first, tmp_path / "scores.csv")
    second = BestWeights(torch.nn.Linear(1, 1), str(tmp_path / "model.pt"))
    second.load_state_dict(first.state_dict())
    assert _validate([0.5], second, tmp_path / "scores.csv").mean() == 0.75


def _scores_of_a_share(path):
    rank = torch.distributed.get_rank()

    def score(engine, name):
        engine.state.batch = [{"image_name": name, "patient": "p1"}]

    engine = Engine(score)
    shared = torch.tensor([[0.0], [1.0]]).repeat(1, NUM_BONES)  # MONAI has gathered the scores
    engine.add_event_handler(
        Events.EPOCH_COMPLETED, lambda engine: setattr(engine.state, "metric_details", {"mean_dice": shared})
    )
    ScoresFile(path).attach(engine)
    engine.run([f"{rank}.png"])


def test_the_images_of_all_processes_are_in_one_file(on_two_processes, tmp_path):
    on_two_processes(_scores_of_a_share, str(tmp_path / "scores.csv"))
    scores = read_scores(tmp_path / "scores.csv")
    assert scores.image_names == ["p1/0.png", "p1/1.png"]
    assert scores.dice[:, 0].tolist() == [0, 1]
