"""Scheduled weights follow the epochs of the trainer, also where a training continues."""

from __future__ import annotations

import pytest
import torch
from ignite.engine import Engine, Events

from handseg_bundle_common.engine.schedules import LossSchedule
from handseg_bundle_common.losses import DiceBCELoss, TverskyLoss


def _weights(start_epoch: int = 0) -> list[float]:
    """Return the Dice weight that each iteration of epochs 1 to 4 sees, two an epoch."""
    loss = DiceBCELoss([[1, 0.0], [4, 3.0]])
    seen: list[float] = []
    trainer = Engine(lambda *_: seen.append(loss.dice_weight))
    LossSchedule(loss).attach(trainer)

    @trainer.on(Events.STARTED)
    def resume(engine: Engine) -> None:
        engine.state.epoch, engine.state.iteration = start_epoch, 2 * start_epoch

    trainer.run([0, 1], max_epochs=4)
    return seen


def test_every_epoch_has_its_weight_from_the_first_iteration_on() -> None:
    assert _weights() == pytest.approx([0, 0, 1, 1, 2, 2, 3, 3])


def test_a_resumed_training_goes_on_with_its_weights() -> None:
    assert _weights(start_epoch=2) == pytest.approx([2, 2, 3, 3])


@pytest.mark.parametrize("loss", [TverskyLoss(), torch.nn.functional.mse_loss], ids=["Tversky", "function"])
def test_a_loss_without_schedule_may_stand_there_too(loss: object) -> None:
    trainer = Engine(lambda *_: None)
    LossSchedule(loss).attach(trainer)
    assert trainer.run([0], max_epochs=2).epoch == 2
