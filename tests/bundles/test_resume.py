"""An interrupted training of the bundle, continued with `--resume`, equals an uninterrupted one."""

from __future__ import annotations

import csv
import hashlib

import pytest
import torch
from ignite.engine import Events
from monai.bundle import ConfigWorkflow

from handseg_bundle_common.datasets import read_folds, sample_folds, write_folds
from handseg_bundle_common.errors import input_error_message

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


def _train(repository, folder, *, interrupt=False, recipe="no_tracking.json", **overrides):
    configs = repository / "bundles" / "effisegnet" / "configs"
    workflow = ConfigWorkflow(
        config_file=[str(configs / name) for name in ("train.json", recipe, "no_tracking.json")],
        logging_file=False,
        workflow_type="train",
        **({"ckpt_dir": str(folder / "models"), "output_dir": str(folder / "output")} | SETTINGS | overrides),
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
    for name in ("network", "optimizer", "best_weights", "trainer"):
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=0)
    for name in ("lr_scheduler", "sampler", "settings"):
        assert found[name] == expected[name]
    assert _metrics(tmp_path) == _metrics(uninterrupted)
    assert [row["epoch"] for row in _metrics(tmp_path)] == ["1", "2"]


def _refusal(repository, started, output, **overrides):
    """Return the sentence with which a training does not continue, having left its checkpoint alone."""
    checkpoint = started / "models" / "checkpoint.pt"
    before = hashlib.sha256(checkpoint.read_bytes()).digest()
    with pytest.raises(Exception) as caught:
        _train(repository, output, resume=True, ckpt_dir=str(started / "models"), **overrides)
    assert hashlib.sha256(checkpoint.read_bytes()).digest() == before
    return input_error_message(caught.value)


def test_another_fold_and_other_settings_are_refused(repository, tmp_path, uninterrupted):
    other = {"fold": 1, "image_size": 96, "window_size": 64, "accumulation_steps": 3, "max_epochs": 3}
    assert _refusal(repository, uninterrupted, tmp_path, **other) == (
        "resume: the training was started with fold 0 instead of 1, image_size 64 instead of 96, "
        "window_size None instead of 64, accumulation_steps 2 instead of 3; "
        "give data and settings as at the start, or start anew."
    )


def test_as_many_patients_of_another_file_of_folds_are_refused(repository, tmp_path, uninterrupted):
    first, second, *others = read_folds(sample_folds())
    write_folds(tmp_path / "folds.json", [second, first, *others])
    message = _refusal(repository, uninterrupted, tmp_path, folds=str(tmp_path / "folds.json"), max_epochs=3)
    assert message.startswith("resume: the training was started with data_digest ")
    assert "images" not in message


def test_another_loss_is_refused(repository, tmp_path, uninterrupted):
    message = _refusal(repository, uninterrupted, tmp_path, recipe="dice_focal.json", max_epochs=3)
    assert "focal_weight None instead of 1.0, focal_gamma None instead of 2.0" in message
