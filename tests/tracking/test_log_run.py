"""Runs put into MLflow from their folders: as if they had been tracked, once only, and never by halves."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import mlflow
import numpy as np
import pytest

from handseg_bundle_common.anatomy import BONE_NAMES, NUM_BONES
from handseg_bundle_common.engine.run_folder import RunFolder
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.metrics import ImageScores, write_scores
from handseg_bundle_common.tracking import log_run

METRICS = "epoch,train_loss,learning_rate,mean_dice,dice/Pisiform\n1,0.5,0.1,,\n2,0.25,0.1,0.5,0.25\n"


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"


@pytest.fixture(scope="module")
def client(uri):
    return mlflow.MlflowClient(uri)


def _write_run(folder, metrics=METRICS, **settings):
    """Write what a training without tracking leaves behind; it began at 1000 s and ended at 1100 s."""
    (folder / "overlays" / "jane").mkdir(parents=True)
    (folder / "overlays" / "jane" / "left.png").write_bytes(b"picture")
    config = {"recipe": ["effisegnet", "swa"], "max_epochs": 2, "swa_start": "$@max_epochs // 2", "seed": 7}
    config |= {"data_dir": "/home/jane/hands", "_meta_": {"name": "effisegnet"}, **settings}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "environment.json").write_text(json.dumps({"git_revision": "0123", "data_fingerprint": "sha256:00"}))
    (folder / "metrics.csv").write_text(metrics)
    write_scores(folder / "scores.csv", ImageScores(["jane/left.png"], np.full((1, NUM_BONES), 0.5)))
    for path in folder.rglob("*"):
        os.utime(path, (1000, 1100 if path.name in {"metrics.csv", "scores.csv"} else 1000))
    return folder


@pytest.fixture
def training(tmp_path, repository):
    """A training whose weights lie beside its folder."""
    (tmp_path / "run" / "models").mkdir(parents=True)
    for name in ("model.pt", "swa.pt"):
        shutil.copy(repository / "bundles" / "effisegnet" / "models" / "model.pt", tmp_path / "run" / "models" / name)
    return _write_run(tmp_path / "run" / "training")


def test_a_training_stands_there_as_if_it_had_been_tracked(training, uri, client):
    done = log_run(training, tracking_uri=uri)
    run = client.get_run(done.run_id)
    assert (done.kind, done.is_new, run.info.status) == ("training", True, "FINISHED")
    assert run.info.run_name.startswith("effisegnet+swa-")
    assert run.data.tags["handseg.kind"] == "training"
    assert run.data.params.items() >= {"seed": "7", "swa_start": "1", "git_revision": "0123"}.items()
    assert run.data.metrics == {
        "train_loss": 0.25,
        "learning_rate": 0.1,
        "val_mean_dice": 0.5,
        "val_dice/Pisiform": 0.25,
        "mean_dice": 0.5,
        "small_bone_dice": 0.5,
    }
    assert "jane" not in str(run.data.params | run.data.tags) + run.info.run_name


def test_it_has_the_times_of_its_files(training, uri, client):
    run = client.get_run(log_run(training, tracking_uri=uri).run_id)
    assert (run.info.start_time, run.info.end_time) == (1_000_000, 1_100_000)
    history = client.get_metric_history(run.info.run_id, "train_loss")
    assert [(point.step, point.timestamp) for point in history] == [(1, 1_050_000), (2, 1_100_000)]


def test_its_files_are_artifacts(training, uri, client):
    run_id = log_run(training, tracking_uri=uri).run_id
    found = {file.path for folder in ("", "figures", "models", "overlays") for file in _listed(client, run_id, folder)}
    assert {
        *("config.json", "environment.json", "metrics.csv", "scores.csv", "configs"),
        *("figures/learning.png", "figures/per_bone.png", "models/model.pt", "models/swa.pt", "overlays/1.png"),
    } <= found


def _listed(client, run_id, folder):
    return client.list_artifacts(run_id, folder)


def test_called_again_it_makes_no_second_run(training, uri, client):
    first = log_run(training, tracking_uri=uri, experiment="once", name="trial")
    again = log_run(training, tracking_uri=uri, experiment="once")
    assert (again.run_id, again.name, again.is_new) == (first.run_id, "trial", False)
    experiment = client.get_experiment_by_name("once")
    assert len(client.search_runs([experiment.experiment_id])) == 1


def test_another_store_gets_a_run_of_its_own(training, uri, tmp_path):
    first = log_run(training, tracking_uri=uri)
    shutil.copy(uri.removeprefix("sqlite:///"), tmp_path / "other.db")
    (training / "mlflow_run.json").write_text('{"run_id": "0123"}')
    assert log_run(training, tracking_uri=f"sqlite:///{tmp_path}/other.db").run_id != first.run_id


def test_a_training_that_stopped_early_is_killed(tmp_path, uri, client):
    folder = _write_run(tmp_path / "training", max_epochs=3)
    assert client.get_run(log_run(folder, tracking_uri=uri).run_id).info.status == "KILLED"


def test_an_evaluation_is_one(tmp_path, uri, client):
    folder = _write_run(tmp_path / "evaluation", metrics="mean_dice,overlap_dice\n0.5,0.25\n")
    done = log_run(folder, tracking_uri=uri)
    run = client.get_run(done.run_id)
    assert (done.kind, run.info.status) == ("evaluation", "FINISHED")
    assert run.data.metrics["val_overlap_dice"] == 0.25


def test_a_report_that_is_made_later_is_added_to_its_run(tmp_path, uri, client):
    folder = _write_run(tmp_path / "evaluation", metrics="mean_dice,overlap_dice\n0.5,0.25\n")
    run_id = log_run(folder, tracking_uri=uri).run_id
    (folder / "report").mkdir()
    (folder / "report" / "report.html").write_text("<html>")
    done = log_run(folder, tracking_uri=uri)
    assert (done.run_id, done.is_new) == (run_id, False)
    assert [file.path for file in _listed(client, run_id, "report")] == ["report/report.html"]


def test_an_analysis_is_logged_with_its_report(tmp_path, uri, client):
    dice = np.arange(NUM_BONES)[None] / 28
    write_scores(tmp_path / "scores.csv", ImageScores(["jane/left.png"], dice))
    (tmp_path / "analysis.json").write_text('{"labels": "/home/jane"}')
    (tmp_path / "report.html").write_text("<html>")
    run = client.get_run((done := log_run(tmp_path, tracking_uri=uri)).run_id)
    assert (done.kind, run.info.status) == ("analysis", "FINISHED")
    assert run.data.metrics["mean_dice"] == pytest.approx(0.5)
    paths = {file.path for folder in ("", "report") for file in _listed(client, run.info.run_id, folder)}
    assert paths == {"scores.csv", "report", "report/report.html", "report/scores.csv"}
    kept = Path(client.download_artifacts(run.info.run_id, "scores.csv", str(tmp_path)))
    (tmp_path / "kept").mkdir()
    shutil.move(kept, tmp_path / "kept" / "scores.csv")
    scores = RunFolder(tmp_path / "kept").scores()
    assert scores.image_names == ["jane/left.png"]
    assert scores.dice[0] == pytest.approx(dice[0])


def test_a_cross_validation_stands_above_its_folds(tmp_path, uri, client):
    for fold in range(2):
        _write_run(tmp_path / f"fold{fold}" / "training")
    record = {"bundle": "/home/jane/effisegnet", "folds": [["jane"], ["john"]], "data": "sha256:00"}
    record |= {"configs": ["/home/jane/swa.json"], "settings": {"image_size": 64}, "weights": "swa.pt"}
    (tmp_path / "cross_validation.json").write_text(json.dumps(record))
    summary = {"num_folds": 2, "fold_dice": {"0": 0.5, "1": 0.5}, "out_of_fold_dice": 0.5}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    # A fold that stands in MLflow on its own already comes below the others' parent.
    log_run(tmp_path / "fold0" / "training", tracking_uri=uri, experiment="folds", name="effisegnet+swa-fold0")
    done = log_run(tmp_path, tracking_uri=uri, experiment="folds", name="all")
    runs = client.search_runs([client.get_experiment_by_name("folds").experiment_id])
    below = {run.info.run_name for run in runs if run.data.tags.get("mlflow.parentRunId") == done.run_id}
    assert below == {"effisegnet+swa-fold0", "effisegnet+swa-fold1"}
    parent = client.get_run(done.run_id)
    assert (parent.info.status, parent.data.tags["handseg.kind"]) == ("FINISHED", "cross-validation")
    assert parent.data.metrics["out_of_fold_dice"] == 0.5
    assert parent.data.params == {
        "bundle": "effisegnet",
        "recipe": "swa",
        "data_fingerprint": "sha256:00",
        "num_folds": "2",
        "scored_weights": "swa.pt",
        "image_size": "64",
    }


def test_a_model_is_registered_with_the_weights_of_the_run(training, uri, client):
    done = log_run(training, tracking_uri=uri, log_model=True)
    name, version = done.model.removeprefix("models:/").split("/")
    assert name == "handseg-effisegnet"
    assert client.get_model_version(name, version).run_id == done.run_id


def test_weights_can_be_named(tmp_path, uri, client, training):
    lonely = _write_run(tmp_path / "alone")
    elsewhere = shutil.copytree(training.parent / "models", tmp_path / "elsewhere")
    run_id = log_run(lonely, tracking_uri=uri, weights=elsewhere / "model.pt").run_id
    assert [file.path for file in _listed(client, run_id, "models")] == ["models/model.pt", "models/swa.pt"]


def test_weights_of_any_name_are_the_best_ones(tmp_path, uri, client, training):
    lonely = _write_run(tmp_path / "alone")
    named = shutil.copyfile(training.parent / "models" / "model.pt", tmp_path / "jane.pt")
    run_id = log_run(lonely, tracking_uri=uri, weights=named).run_id
    assert [file.path for file in _listed(client, run_id, "models")] == ["models/model.pt"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no finished run: config.json and metrics.csv missing; name the folder"),
        ({"config.json": "{}"}, r"metrics\.csv missing"),
        ({"training/config.json": "{}"}, "name .*training"),
        ({"config.json": "{", "metrics.csv": METRICS}, r"config\.json: is not JSON"),
        ({"config.json": "{}", "metrics.csv": "epoch\nx\n"}, r"metrics\.csv: cannot be read as metrics"),
        ({"analysis.json": "{}", "scores.csv": ",".join(("image_name", *BONE_NAMES))}, r"scores\.csv: holds no scores"),
        ({"analysis.json": "{}", "scores.csv": "image_name,bone\na,b\n"}, r"scores\.csv: cannot be read as scores"),
        ({"cross_validation.json": "[]"}, r"cross_validation\.json: holds no settings"),
    ],
)
def test_other_folders_are_refused_and_leave_no_run(tmp_path, uri, client, files, message):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    with pytest.raises(HandsegInputError, match=message):
        log_run(tmp_path, tracking_uri=uri, experiment="refused")
    experiment = client.get_experiment_by_name("refused")
    assert experiment is None or not client.search_runs([experiment.experiment_id])
    assert not (tmp_path / "mlflow_run.json").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"weights": "nowhere.pt"}, "nowhere.pt: is not there"), ({"log_model": True}, "which has no model")],
)
def test_impossible_wishes_are_named(tmp_path, uri, options, message):
    (tmp_path / "cross_validation.json").write_text("{}")
    with pytest.raises(HandsegInputError, match=message):
        log_run(tmp_path, tracking_uri=uri, **options)


def test_no_folder_at_all(tmp_path, uri):
    with pytest.raises(HandsegInputError, match="is no folder"):
        log_run(tmp_path / "nowhere", tracking_uri=uri)


def test_a_server_that_does_not_answer_is_named(training):
    with pytest.raises(HandsegInputError, match="no MLflow server answers"):
        log_run(training, tracking_uri="http://127.0.0.1:9")
