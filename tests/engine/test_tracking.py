"""MLflow: one run with parameters, metrics and artifacts for a trainer and its evaluator."""

from __future__ import annotations

import mlflow
import pytest
import torch
from ignite.engine import Engine, Events
from monai.engines import SupervisedEvaluator

from handseg_bundle_common.engine import MLflowTracker, unique_run_name
from handseg_bundle_common.engine.tracking import top_level_parameters
from handseg_bundle_common.errors import HandsegInputError


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
    assert [file.path for file in client.list_artifacts(run.info.run_id, "overlays")] == ["overlays/hand.png"]


def test_a_crashed_training_is_marked_as_failed(tracker, tmp_path):
    def crash(*_):
        raise RuntimeError("out of memory")

    trainer = Engine(crash)
    tracker.attach(trainer)
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


def test_a_database_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(HandsegInputError, match="choose a folder"):
        MLflowTracker(f"sqlite:///{tmp_path}/file/mlflow.db", "trial", str(tmp_path))


def test_an_evaluation_alone_has_a_run_of_its_own(tracker, tmp_path):
    _evaluator(tracker).run()
    _, (run,) = _runs(tmp_path)
    assert run.info.status == "FINISHED"


def test_parameters_are_the_plain_values_at_the_top_of_a_configuration():
    config = {
        "learning_rate": 0.1,
        "model_name": "efficientnet-b0",
        "resume": False,
        "device": "$torch.device('cpu')",
        "dataset_dir": "@data_dir",
        "network": {"_target_": "torch.nn.Identity"},
        "_meta_": {"version": "1.2.3"},
    }
    assert top_level_parameters(config) == {
        "learning_rate": 0.1,
        "model_name": "efficientnet-b0",
        "resume": False,
        "bundle_version": "1.2.3",
    }


def test_run_names_do_not_come_twice():
    assert len({unique_run_name("effisegnet") for _ in range(50)}) == 50
