"""MLflow: one run with parameters, metrics and artifacts for a trainer and its evaluator."""

from __future__ import annotations

import getpass
import json
import shutil
import sqlite3

import mlflow
import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events
from monai.engines import SupervisedEvaluator

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.engine import MLflowTracker, unique_run_name
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.metrics import ImageScores, write_scores


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory):
    """MLflow takes seconds to create its tables; the tests copy them."""
    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(autouse=True)
def database(empty_database, tmp_path):
    return shutil.copy(empty_database, tmp_path / "mlflow.db")


@pytest.fixture
def tracker(tmp_path):
    output = tmp_path / "output"
    (output / "overlays").mkdir(parents=True)
    (output / "overlays" / "hand.png").write_bytes(b"picture")
    return MLflowTracker(f"sqlite:///{tmp_path}/mlflow.db", "trial", str(output))


def _runs(tmp_path):
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("handseg")
    return client, client.search_runs([experiment.experiment_id])


def _evaluator(tracker):
    return SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=[{"image": torch.zeros(1, 1), "label": torch.zeros(1, 1)}],
        network=torch.nn.Identity(),
        val_handlers=[tracker],
    )


def test_a_training_and_its_validations_are_one_finished_run(tracker, tmp_path):
    evaluator = _evaluator(tracker)
    trainer = Engine(lambda engine, _: engine.state.metrics.update(train_loss=0.5 / engine.state.epoch))
    tracker.attach(trainer)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: evaluator.run(engine.state.epoch))
    trainer.run([0], max_epochs=2)
    client, (run,) = _runs(tmp_path)
    assert run.info.run_name == "trial"
    assert run.info.status == "FINISHED"
    history = client.get_metric_history(run.info.run_id, "train_loss")
    assert [(point.step, point.value) for point in history] == [(1, 0.5), (2, 0.25)]
    assert [file.path for file in client.list_artifacts(run.info.run_id, "overlays")] == ["overlays/1.png"]


def test_a_crashed_training_is_marked_as_failed(tracker, tmp_path):
    def crash(*_):
        raise RuntimeError("out of memory")

    trainer = Engine(crash)
    tracker.attach(trainer)
    with pytest.raises(RuntimeError, match="out of memory"):
        trainer.run([0])
    _, (run,) = _runs(tmp_path)
    assert run.info.status == "FAILED"


def test_a_run_whose_files_cannot_be_logged_does_not_run_for_ever(tracker, tmp_path):
    trainer = Engine(lambda *_: None)
    tracker.attach(trainer)
    (tmp_path / "output" / "scores.csv").write_text("image_name\n\0")
    with pytest.raises(HandsegInputError, match=r"scores\.csv"):
        trainer.run([0])
    _, (run,) = _runs(tmp_path)
    assert run.info.status == "FAILED"


def test_what_stopped_a_training_is_told_even_if_its_files_cannot_be_logged(tracker, tmp_path):
    def crash(*_):
        raise RuntimeError("out of memory")

    trainer = Engine(crash)
    tracker.attach(trainer)
    (tmp_path / "output" / "scores.csv").write_text("image_name\n\0")
    with pytest.raises(RuntimeError, match="out of memory"):
        trainer.run([0])
    _, (run,) = _runs(tmp_path)
    assert run.info.status == "FAILED"


def test_a_name_that_comes_again_is_a_run_of_its_own(tracker, tmp_path):
    _evaluator(tracker).run()
    MLflowTracker(f"sqlite:///{tmp_path}/mlflow.db", "trial", str(tmp_path)).attach(engine := Engine(lambda *_: None))
    engine.run([0])
    _, runs = _runs(tmp_path)
    assert [run.info.run_name for run in runs] == ["trial", "trial"]


def test_a_run_can_stand_below_another(tmp_path):
    tracker = MLflowTracker(f"sqlite:///{tmp_path}/mlflow.db", "fold", str(tmp_path), parent_run="0123")
    _evaluator(tracker).run()
    _, (run,) = _runs(tmp_path)
    assert run.data.tags["mlflow.parentRunId"] == "0123"


def _train(tmp_path, epochs, output="output", **options):
    """Log the epochs of a training with its parameters, as a bundle does."""
    tracker = MLflowTracker(f"sqlite:///{tmp_path}/mlflow.db", "trial", str(tmp_path / output), **options)
    tracker.experiment_param = {"batch_size": 4, "num_workers": epochs[-1], "seed": 0}
    trainer = Engine(lambda engine, _: engine.state.metrics.update(train_loss=1 / engine.state.epoch))
    tracker.attach(trainer)
    trainer.add_event_handler(Events.STARTED, lambda engine: setattr(engine.state, "epoch", epochs[0] - 1))
    trainer.run([0], max_epochs=epochs[-1])


def test_a_resumed_training_continues_its_run(tmp_path, caplog):
    _train(tmp_path, [1, 2])
    with caplog.at_level("INFO"):
        _train(tmp_path, [3], resume=True)
    client, (run,) = _runs(tmp_path)
    assert run.info.status == "FINISHED"
    assert [point.step for point in client.get_metric_history(run.info.run_id, "train_loss")] == [1, 2, 3]
    assert run.data.params["num_workers"] == "2"
    assert "MLflow keeps num_workers 2 of the run's start; it is 3 now" in caplog.text
    assert "batch_size" not in caplog.text


def test_without_resume_or_in_another_folder_a_training_has_a_run_of_its_own(tmp_path):
    _train(tmp_path, [1])
    _train(tmp_path, [1], resume=False)
    _train(tmp_path, [1], output="other", resume=True)
    _, runs = _runs(tmp_path)
    assert len(runs) == 3


def test_a_run_that_mlflow_does_not_have_is_replaced_by_a_new_one(tmp_path, caplog):
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "mlflow_run.json").write_text('{"run_id": "0123"}')
    _train(tmp_path, [1], resume=True)
    _, (run,) = _runs(tmp_path)
    assert "MLflow has no run 0123" in caplog.text
    assert json.loads((tmp_path / "output" / "mlflow_run.json").read_text()) == {"run_id": run.info.run_id}


def test_an_evaluation_does_not_take_the_place_of_the_training(tracker, tmp_path):
    _train(tmp_path, [1])
    remembered = (tmp_path / "output" / "mlflow_run.json").read_text()
    _evaluator(tracker).run()
    assert (tmp_path / "output" / "mlflow_run.json").read_text() == remembered


def test_a_training_does_not_continue_an_evaluation(tracker, tmp_path):
    _evaluator(tracker).run()
    _train(tmp_path, [1], resume=True)
    _, runs = _runs(tmp_path)
    assert {run.data.tags["handseg.kind"] for run in runs} == {"training", "evaluation"}


def test_parameters_and_files_of_a_run(tmp_path):
    output = tmp_path / "output"
    (output / "overlays").mkdir(parents=True)
    (output / "environment.json").write_text(json.dumps({"git_revision": "0123", "packages": {"torch": "2"}}))
    dice = np.linspace(0, 1, 2 * NUM_BONES).reshape(2, NUM_BONES)
    write_scores(output / "scores.csv", ImageScores(["p1/a.png", "p2/b.png"], dice))
    (tmp_path / "models").mkdir()
    for name in ("model.pt", "swa.pt", "checkpoint.pt"):
        (tmp_path / "models" / name).write_bytes(b"weights")
    _train(tmp_path, [1], ckpt_dir=str(tmp_path / "models"))
    client, (run,) = _runs(tmp_path)
    assert run.data.params.items() >= {"git_revision": "0123", "version_torch": "2", "seed": "0"}.items()
    assert run.data.metrics["mean_dice"] == pytest.approx(dice.mean())
    assert run.data.metrics["mean_dice_low"] < dice.mean() < run.data.metrics["mean_dice_high"]
    models = [file.path for file in client.list_artifacts(run.info.run_id, "models")]
    assert models == ["models/model.pt", "models/swa.pt"]


def test_an_evaluation_keeps_no_weights(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "model.pt").write_bytes(b"weights")
    uri, folder = f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path / "output")
    _evaluator(MLflowTracker(uri, "trial", folder, ckpt_dir=str(tmp_path / "models"))).run()
    client, (run,) = _runs(tmp_path)
    assert "models" not in {file.path for file in client.list_artifacts(run.info.run_id)}


def test_nobody_is_named(tmp_path, monkeypatch):
    """MLflow's module functions would note the login name and the path of the script."""
    monkeypatch.setenv("LOGNAME", "jane.doe")
    monkeypatch.setenv("USER", "jane.doe")
    _train(tmp_path, [1])
    _, (run,) = _runs(tmp_path)
    assert set(run.data.tags) == {"handseg.kind", "mlflow.runName"}
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        text = "\n".join(database.iterdump())
    assert "jane" not in text
    assert getpass.getuser() not in str(run.info.user_id)


def test_a_database_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(HandsegInputError, match="choose a folder"):
        MLflowTracker(f"sqlite:///{tmp_path}/file/mlflow.db", "trial", str(tmp_path))


def test_an_evaluation_alone_has_a_run_of_its_own(tracker, tmp_path):
    _evaluator(tracker).run()
    _, (run,) = _runs(tmp_path)
    assert run.info.status == "FINISHED"


def test_run_names_do_not_come_twice():
    assert len({unique_run_name("effisegnet") for _ in range(50)}) == 50
