"""Checkpoints: the best weights are kept, and a continued training ends where an uninterrupted one does."""

from __future__ import annotations

import pytest
import torch
from ignite.engine import Engine
from monai.engines import SupervisedTrainer
from monai.handlers import LrScheduleHandler

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.engine import BestWeights, TrainingCheckpoint
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.weights import load_weights, save_checkpoint, save_weights


def _network(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Conv2d(1, NUM_BONES, 1)


def _train(path, max_epochs, *, resume):
    torch.manual_seed(1)
    batches = [{"image": torch.randn(2, 1, 4, 4), "label": torch.randn(2, NUM_BONES, 4, 4)} for _ in range(3)]
    network = _network()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    objects = {"network": network, "optimizer": optimizer, "lr_scheduler": scheduler}
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=max_epochs,
        train_data_loader=batches,
        network=network,
        optimizer=optimizer,
        loss_function=torch.nn.MSELoss(),
        train_handlers=[
            LrScheduleHandler(scheduler, print_lr=False),
            TrainingCheckpoint(str(path), objects, resume=resume),
        ],
        decollate=False,
    )
    trainer.run()
    return network.state_dict(), trainer.state


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path):
    expected, _ = _train(tmp_path / "whole.pt", 4, resume=False)
    _train(tmp_path / "parts.pt", 2, resume=False)
    resumed, state = _train(tmp_path / "parts.pt", 4, resume=True)
    torch.testing.assert_close(resumed, expected, rtol=0, atol=0)
    assert (state.epoch, state.iteration) == (4, 12)


def test_without_resume_a_training_starts_from_the_beginning(tmp_path):
    expected, _ = _train(tmp_path / "a.pt", 2, resume=False)
    again, state = _train(tmp_path / "a.pt", 2, resume=False)
    torch.testing.assert_close(again, expected, rtol=0, atol=0)
    assert state.epoch == 2


def test_resume_without_a_checkpoint_starts_from_the_beginning(tmp_path):
    _, state = _train(tmp_path / "absent.pt", 1, resume=True)
    assert state.epoch == 1


def test_only_a_new_maximum_replaces_the_best_weights(tmp_path):
    network, path = _network(), tmp_path / "model.pt"
    best = BestWeights(network, str(path))
    engine = Engine(lambda engine, value: engine.state.metrics.update(mean_dice=value))
    best.attach(engine)
    for value, bias in [(0.3, 1.0), (0.7, 2.0), (0.5, 3.0)]:
        torch.nn.init.constant_(network.bias, bias)
        engine.run([value])
    assert load_weights(_network(1), str(path)).bias[0] == 2.0
    assert best.best == 0.7


def test_a_resumed_best_is_not_replaced_by_worse_weights(tmp_path):
    network, path = _network(), tmp_path / "model.pt"
    best = BestWeights(network, str(path))
    best.load_state_dict({"best": 0.9})
    engine = Engine(lambda engine, value: engine.state.metrics.update(mean_dice=value))
    best.attach(engine)
    engine.run([0.8])
    assert not path.exists()


def test_a_checkpoint_of_other_classes_is_refused(tmp_path):
    network = torch.nn.Conv2d(1, 3, 1)
    optimizer = torch.optim.AdamW(network.parameters())
    state = {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "lr_scheduler": {}}
    save_checkpoint(tmp_path / "other.pt", {**state, "trainer": {"epoch": 1, "iteration": 3}})
    with pytest.raises(HandsegInputError, match="another network than this training has"):
        _train(tmp_path / "other.pt", 2, resume=True)


def test_weights_alone_are_no_checkpoint(tmp_path):
    save_weights(_network(), tmp_path / "model.pt")
    with pytest.raises(HandsegInputError, match="holds no network to continue from"):
        _train(tmp_path / "model.pt", 2, resume=True)
