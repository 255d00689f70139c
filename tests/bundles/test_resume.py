"""An interrupted training of the bundle, continued with `--resume`, equals an uninterrupted one."""

from __future__ import annotations

import hashlib

import pytest
import torch
from ignite.engine import Events

from handseg_bundle_common.datasets import read_folds, sample_folds, write_folds
from handseg_bundle_common.errors import input_error_message

# Three batches an epoch and two to a step of the optimiser; connections dropped at random.
SETTINGS = {
    "image_size": 64,
    "batch_size": 2,
    "accumulation_steps": 2,
    "drop_connect_rate": 0.3,
    "max_epochs": 2,
}


class PowerCut(BaseException):
    """What no handler expects."""


@pytest.fixture(scope="module")
def train(repository, run_bundle, folders):
    """A function that trains a bundle under overlays, until a power cut if one is asked for."""

    def run(folder, *, cut_at=None, overlays=(), bundle="effisegnet", **overrides):
        def cut():
            raise PowerCut

        def prepare(workflow):
            if cut_at is not None:
                trainer = workflow.parser.get_parsed_content("train#trainer")
                trainer.add_event_handler(Events.ITERATION_STARTED(once=cut_at), cut)

        files = ["train.json", *overlays, "no_tracking.json"]
        settings = SETTINGS | folders(folder) | overrides
        return run_bundle(repository / "bundles" / bundle, files, prepare=prepare, **settings)

    return run


def _checkpoint(folder):
    return torch.load(folder / "models" / "checkpoint.pt", weights_only=True)


@pytest.fixture(scope="module")
def uninterrupted(train, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    train(folder)
    return folder


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_resumed_training_equals_an_uninterrupted_one(train, metrics_of, tmp_path, uninterrupted, num_workers):
    with pytest.raises(PowerCut):
        train(tmp_path, cut_at=5, num_workers=num_workers)
    assert [row["epoch"] for row in metrics_of(tmp_path)] == ["1"]
    train(tmp_path, resume=True, num_workers=num_workers)
    found, expected = _checkpoint(tmp_path), _checkpoint(uninterrupted)
    for name in ("network", "optimizer", "best_weights", "trainer"):
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=0)
    for name in ("lr_scheduler", "sampler", "settings"):
        assert found[name] == expected[name]
    assert metrics_of(tmp_path) == metrics_of(uninterrupted)
    assert [row["epoch"] for row in metrics_of(tmp_path)] == ["1", "2"]


@pytest.mark.parametrize("bundle", ["effisegnet", "swin_unetr"])
def test_averages_of_a_resumed_training_too(train, metrics_of, tmp_path, bundle):
    """Cut in the second of two epochs that are averaged; a network with batch normalisation, and one without."""
    recipe = {"bundle": bundle, "overlays": ["swa.json", "ema.json", "loss_schedule.json"]}
    recipe |= {"max_epochs": 3, "swa_start": 1, "swa_anneal_epochs": 1}
    with pytest.raises(PowerCut):
        train(tmp_path / "cut", cut_at=8, **recipe)
    train(tmp_path / "cut", resume=True, **recipe)
    train(tmp_path / "whole", **recipe)
    found, expected = _checkpoint(tmp_path / "cut"), _checkpoint(tmp_path / "whole")
    for name in ("network", "swa", "ema", "optimizer", "trainer"):
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=0)
    assert found["lr_scheduler"] == expected["lr_scheduler"]
    assert metrics_of(tmp_path / "cut") == metrics_of(tmp_path / "whole")
    assert "swa_mean_dice" in metrics_of(tmp_path / "whole")[-1]
    averaged, last = (
        torch.load(tmp_path / f"cut/models/{name}", weights_only=True) for name in ("swa.pt", "checkpoint.pt")
    )
    first = next(iter(averaged["model"]))
    assert not torch.equal(averaged["model"][first], last["network"][first])


def test_a_training_that_becomes_longer_takes_the_longer_schedule(train, metrics_of, tmp_path):
    train(tmp_path / "longer", max_epochs=2, val_interval=9)
    train(tmp_path / "longer", max_epochs=4, val_interval=9, resume=True)
    train(tmp_path / "long", max_epochs=4, val_interval=9)
    resumed, expected = (
        [float(row["learning_rate"]) for row in metrics_of(tmp_path / name)] for name in ("longer", "long")
    )
    assert resumed[2:] == expected[2:]
    assert expected[-1] == 0


def test_training_on_simulated_hands_goes_on_as_if_never_stopped(train, metrics_of, tmp_path):
    """With and without workers and a folder that keeps the hands, which change nothing."""
    hands = {"hands_per_epoch": 4, "validation_hands": 2, "simulation_size": 96, "hand_pool": 50}
    recipe = {"overlays": ["pretrain_simulated.json"], "data_dir": None, "folds": None, **hands}
    with pytest.raises(PowerCut):
        train(tmp_path / "cut", cut_at=4, num_workers=2, hand_cache=str(tmp_path / "kept"), **recipe)
    train(tmp_path / "cut", resume=True, num_workers=2, hand_cache=str(tmp_path / "kept"), **recipe)
    train(tmp_path / "whole", **recipe)
    found, expected = _checkpoint(tmp_path / "cut"), _checkpoint(tmp_path / "whole")
    for name in ("network", "optimizer", "best_weights"):
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=0)
    assert metrics_of(tmp_path / "cut") == metrics_of(tmp_path / "whole")
    changed = {"simulation_seed": 8000, "validation_seed": 8001, "validation_hands": 3, "hand_pool": 49}
    for name, value in changed.items():
        assert f"{name} " in _refusal(train, tmp_path / "whole", tmp_path / "output", **(recipe | {name: value}))


def _refusal(train, started, output, **overrides):
    """Return the sentence with which a training does not continue, having left its checkpoint alone."""
    checkpoint = started / "models" / "checkpoint.pt"
    before = hashlib.sha256(checkpoint.read_bytes()).digest()
    with pytest.raises(Exception) as caught:
        train(output, resume=True, ckpt_dir=str(started / "models"), **overrides)
    assert hashlib.sha256(checkpoint.read_bytes()).digest() == before
    return input_error_message(caught.value)


def test_another_fold_and_other_settings_are_refused(train, tmp_path, uninterrupted):
    other = {"fold": 1, "image_size": 96, "window_size": 64, "accumulation_steps": 3, "max_epochs": 3}
    assert _refusal(train, uninterrupted, tmp_path, **other) == (
        "resume: the training was started with fold 0 instead of 1, image_size 64 instead of 96, "
        "window_size None instead of 64, accumulation_steps 2 instead of 3; "
        "give data and settings as at the start, or start anew."
    )


def test_as_many_patients_of_another_file_of_folds_are_refused(train, tmp_path, uninterrupted):
    first, second, *others = read_folds(sample_folds())
    write_folds(tmp_path / "folds.json", [second, first, *others])
    message = _refusal(train, uninterrupted, tmp_path, folds=str(tmp_path / "folds.json"), max_epochs=3)
    assert message.startswith("resume: the training was started with data_digest ")
    assert "images" not in message


def test_another_loss_is_refused(train, tmp_path, uninterrupted):
    message = _refusal(train, uninterrupted, tmp_path, overlays=["dice_focal.json"], max_epochs=3)
    assert "focal_weight None instead of 1.0, focal_gamma None instead of 2.0" in message
