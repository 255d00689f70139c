"""The folder of a run as MLflow takes it: metrics by epoch, final scores with intervals, files under other names."""

from __future__ import annotations

import json

import numpy as np
import pytest

from handseg_bundle_common.anatomy import BONE_NAMES, NUM_BONES, SMALL_BONES
from handseg_bundle_common.engine.run_folder import RunFolder, final_scores, report_files
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.metrics import ImageScores, bootstrap_interval, write_scores


@pytest.fixture
def folder(tmp_path):
    """What a training leaves behind, with weights beside it."""
    training = tmp_path / "training"
    for place in ("overlays/jane", "overlays/john", "figures", "report/figures", "report/cases/jane", "../models"):
        (training / place).mkdir(parents=True)
    for name in ("overlays/jane/2.png", "overlays/john/1.png", "figures/learning.png", "report/figures/zones.png"):
        (training / name).write_bytes(name.encode())
    for name in ("report/report.html", "report/bones.csv", "report/cases/jane/2.npz", "report/analysis.json"):
        (training / name).write_bytes(b"content")
    config = {"bundle_root": {"name": "effisegnet"}, "data_dir": "/home/jane/hands", "swa_start": "$2 * 3"}
    (training / "config.json").write_text(json.dumps(config))
    (training / "environment.json").write_text('{"git_revision": "0123"}')
    (training / "metrics.csv").write_text(
        "epoch,train_loss,learning_rate,swa_mean_dice,mean_dice,dice/Pisiform\n1,0.5,0.1,,,\n2,0.25,0.1,0.75,0.5,0.125\n"
    )
    (training / "predictions.csv").write_text("image_name,class,rle\n")
    for name in ("model.pt", "checkpoint.pt"):
        (tmp_path / "models" / name).write_bytes(b"weights")
    return RunFolder(training, tmp_path / "models")


def test_the_history_names_metrics_of_validations(folder):
    assert folder.history() == [
        (1, {"train_loss": 0.5, "learning_rate": 0.1}),
        (2, {"train_loss": 0.25, "learning_rate": 0.1, "swa_mean_dice": 0.75, "val_mean_dice": 0.5}
         | {"val_dice/Pisiform": 0.125}),
    ]  # fmt: skip


def test_an_evaluation_has_one_step(tmp_path):
    (tmp_path / "metrics.csv").write_text("mean_dice,overlap_dice\n0.5,0.25\n")
    assert RunFolder(tmp_path).history() == [(1, {"val_mean_dice": 0.5, "val_overlap_dice": 0.25})]


@pytest.mark.parametrize("content", ["epoch,mean_dice\nx,1\n", "epoch,mean_dice\n1,x\n", "epoch,a\n1,2,3\n"])
def test_damaged_metrics_are_named(tmp_path, content):
    (tmp_path / "metrics.csv").write_text(content)
    with pytest.raises(HandsegInputError, match=r"metrics\.csv: cannot be read as metrics"):
        RunFolder(tmp_path).history()


def test_artifacts_have_places_and_no_names_of_images(folder, tmp_path):
    found = [(path.name, place) for path, place in folder.artifacts(tmp_path / "staging")]
    assert [pair for pair in found if pair[1] != "configs"] == [
        ("config.json", None),
        ("environment.json", None),
        ("metrics.csv", None),
        ("learning.png", "figures"),
        ("1.png", "overlays"),
        ("2.png", "overlays"),
        ("report.html", "report"),
        ("bones.csv", "report"),
        ("zones.png", "report/figures"),
        ("model.pt", "models"),
    ]
    assert {"train.json", "inference.json", "metadata.json"} <= {name for name, place in found if place == "configs"}
    assert (tmp_path / "staging" / "overlays" / "1.png").read_bytes() == b"overlays/jane/2.png"
    assert "jane" not in (tmp_path / "staging" / "config.json").read_text()


def test_numbers_of_overlays_sort_as_they_count(tmp_path):
    (tmp_path / "overlays").mkdir()
    for number in range(12):
        (tmp_path / "overlays" / f"{number:02d}.png").touch()
    names = [path.name for path, _ in RunFolder(tmp_path).artifacts(tmp_path / "staging")]
    assert names[:2] == ["01.png", "02.png"]
    assert names == sorted(names)


def test_only_static_names_of_a_report_are_kept(folder):
    places = {path.name: place for path, place in report_files(folder.path / "report")}
    assert places == {"report.html": "report", "bones.csv": "report", "zones.png": "report/figures"}


def test_parameters_come_from_configuration_and_environment(folder):
    assert folder.parameters() == {"swa_start": 6, "git_revision": "0123"}


def test_an_empty_folder_has_nothing(tmp_path):
    folder = RunFolder(tmp_path)
    assert (folder.config(), folder.parameters(), folder.scores()) == ({}, {}, None)
    assert list(folder.artifacts(tmp_path / "staging")) == []


def test_a_damaged_configuration_is_named(tmp_path):
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(HandsegInputError, match=r"config\.json: holds no settings"):
        RunFolder(tmp_path).parameters()


def test_final_scores_are_means_with_intervals_over_patients(tmp_path):
    dice = np.random.default_rng(0).random((6, NUM_BONES))
    scores = ImageScores([f"p{number // 2}/{number}.png" for number in range(6)], dice)
    write_scores(tmp_path / "scores.csv", scores)
    found = final_scores(RunFolder(tmp_path).scores())
    small = [BONE_NAMES.index(name) for name in SMALL_BONES]
    assert found["mean_dice"] == pytest.approx(dice.mean(axis=0).mean())
    assert found["small_bone_dice"] == pytest.approx(dice[:, small].mean(axis=0).mean())
    interval = bootstrap_interval(dice, ["p0", "p0", "p1", "p1", "p2", "p2"])
    assert (found["mean_dice_low"], found["mean_dice_high"]) == (interval.low, interval.high)
    assert set(found) == {f"{name}{end}" for name in ("mean_dice", "small_bone_dice") for end in ("", "_low", "_high")}


def test_one_patient_has_no_interval():
    scores = ImageScores(["p/1.png", "p/2.png"], np.full((2, NUM_BONES), 0.5))
    assert final_scores(scores) == {"mean_dice": 0.5, "small_bone_dice": 0.5}
