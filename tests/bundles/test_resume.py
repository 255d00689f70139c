"""An interrupted training of the bundle, continued with `--resume`, equals an uninterrupted one."""

from __future__ import annotations

import csv

import pytest
import torch
from ignite.engine import Events
from monai.bundle import ConfigWorkflow

# Three batches an epoch and two to a step of the optimiser; connections dropped at random.
SETTINGS = {
    "image_size": 64,
    "batch_size": 2,
    "accumulation_steps": 2,
    "drop_connect_rate": 0.3,
    "num_workers": 0,
    "max_epochs": 2,
    "device": "cpu",
}


class PowerCut(BaseException):
    """What no handler expects."""


def _train(repository, folder, *, interrupt=False, **overrides):
    configs = repository / "bundles" / "effisegnet" / "configs"
    workflow = ConfigWorkflow(
        config_file=[str(configs / "train.json"), str(configs / "no_tracking.json")],
        logging_file=False,
        workflow_type="train",
        ckpt_dir=str(folder / "models"),
        output_dir=str(folder / "output"),
        **(SETTINGS | overrides),
    )
    workflow.initialize()
    if interrupt:

        def cut():
            raise PowerCut

        trainer = workflow.parser.get_parsed_content("train#trainer")
        trainer.add_event_handler(Events.ITERATION_STARTED(once=5), cut)
    workflow.run()


def _metrics(folder):
    with (folder / "output" / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def uninterrupted(repository, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    _train(repository, folder)
    return folder


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_resumed_training_equals_an_uninterrupted_one(repository, tmp_path, uninterrupted, num_workers):
    with pytest.raises(PowerCut):
        _train(repository, tmp_path, interrupt=True, num_workers=num_workers)
    assert [row["epoch"] for row in _metrics(tmp_path)] == ["1"]
    _train(repository, tmp_path, resume=True, num_workers=num_workers)
    found, expected = (
        torch.load(folder / "models" / "checkpoint.pt", weights_only=True) for folder in (tmp_path, uninterrupted)
    )
    for name in ("network", "optimizer", "sampler", "best_weights", "trainer"):
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=0)
    assert found["lr_scheduler"] == expected["lr_scheduler"]
    assert _metrics(tmp_path) == _metrics(uninterrupted)
    assert [row["epoch"] for row in _metrics(tmp_path)] == ["1", "2"]
