"""Plain-file records: executed configuration, environment, metrics of every epoch."""

from __future__ import annotations

import csv
import json

import torch
from ignite.engine import Engine, Events
from monai.bundle import ConfigParser
from monai.engines import SupervisedEvaluator, SupervisedTrainer

from handseg_bundle_common.engine import ExecutedConfig, MetricsLog
from handseg_bundle_common.engine.records import executed_config


def test_the_executed_configuration_holds_overrides(tmp_path):
    parser = ConfigParser(
        {
            "max_epochs": 5,
            "writer": {"_target_": "handseg_bundle_common.engine.ExecutedConfig", "output_dir": str(tmp_path)},
        }
    )
    parser["max_epochs"] = 7
    engine = Engine(lambda *_: None)
    parser.get_parsed_content("writer").attach(engine)
    engine.run([0])
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["max_epochs"] == 7
    assert written["writer"]["_target_"].endswith("ExecutedConfig")


def test_the_environment_tells_the_data_of_the_run(tmp_path, sample_data):
    engine = Engine(lambda *_: None)
    ExecutedConfig(str(tmp_path / "with"), data_dir=str(sample_data)).attach(engine)
    ExecutedConfig(str(tmp_path / "without")).attach(engine)
    engine.run([0])
    written = [json.loads((tmp_path / name / "environment.json").read_text()) for name in ("with", "without")]
    assert [document.get("data_images") for document in written] == [8, None]
    assert written[0]["packages"] == written[1]["packages"]


def test_outside_a_parser_there_is_no_configuration(tmp_path):
    assert executed_config() == {}
    assert ExecutedConfig(str(tmp_path)).config == {}


def _trainer(log, max_epochs):
    return SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=max_epochs,
        train_data_loader=[{"image": torch.ones(1, 1), "label": torch.ones(1, 1)}],
        network=(network := torch.nn.Linear(1, 1)),
        optimizer=torch.optim.SGD(network.parameters(), lr=0.25),
        loss_function=torch.nn.MSELoss(),
        train_handlers=[log],
        decollate=False,
    )


def _rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_training_and_validation_share_a_row(tmp_path):
    log = MetricsLog(str(tmp_path / "metrics.csv"))
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"), val_data_loader=[], network=torch.nn.Identity(), val_handlers=[log]
    )
    evaluator.state.metrics = {"mean_dice": torch.tensor(0.5), "not_a_scalar": torch.ones(2)}
    log._collect(evaluator)
    _trainer(log, 1).run()
    (row,) = _rows(tmp_path / "metrics.csv")
    assert (row["epoch"], row["mean_dice"], row["learning_rate"]) == ("1", "0.5", "0.25")
    assert "not_a_scalar" not in row


def test_resuming_keeps_the_rows_of_earlier_epochs_only(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,mean_dice\n1,0.1\n2,0.2\n3,0.3\n")
    log = MetricsLog(str(path))
    trainer = _trainer(log, 3)
    trainer.add_event_handler(Events.STARTED, lambda engine: setattr(engine.state, "epoch", 2))
    trainer.run()
    assert [row["epoch"] for row in _rows(path)] == ["1", "2", "3"]
    assert [row["mean_dice"] for row in _rows(path)] == ["0.1", "0.2", ""]


def test_an_evaluation_alone_writes_its_metrics(tmp_path):
    log = MetricsLog(str(tmp_path / "metrics.csv"))
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=[{"image": torch.zeros(1, 1), "label": torch.zeros(1, 1)}],
        network=torch.nn.Identity(),
        val_handlers=[log],
    )
    evaluator.add_event_handler(Events.ITERATION_COMPLETED, lambda e: e.state.metrics.update(overlap_dice=0.75))
    evaluator.run()
    assert [row["overlap_dice"] for row in _rows(tmp_path / "metrics.csv")] == ["0.75"]
