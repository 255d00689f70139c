"""Clipping happens once per optimiser step, on what the optimiser sees."""

from __future__ import annotations

import pytest
import torch
from monai.engines import SupervisedTrainer

from handseg_bundle_common.engine import GradientClipping

MAX_NORM = 0.05


def _network():
    torch.manual_seed(0)
    return torch.nn.Linear(3, 2)


@pytest.fixture
def batches():
    torch.manual_seed(1)
    return [{"image": torch.randn(4, 3), "label": torch.randn(4, 2)} for _ in range(6)]


def _plain_loop(batches, accumulation):
    network = _network()
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    for start in range(0, len(batches), accumulation):
        optimizer.zero_grad()
        for batch in batches[start : start + accumulation]:
            loss = torch.nn.functional.mse_loss(network(batch["image"]), batch["label"])
            (loss / accumulation).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), MAX_NORM)
        optimizer.step()
    return network.state_dict()


@pytest.mark.parametrize("accumulation", [1, 2, 3])
def test_trainer_with_clipping_equals_a_plain_loop(batches, accumulation):
    network = _network()
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=1,
        train_data_loader=batches,
        network=network,
        optimizer=optimizer,
        loss_function=torch.nn.MSELoss(),
        accumulation_steps=accumulation,
        train_handlers=[GradientClipping(optimizer, MAX_NORM)],
        decollate=False,
    )
    trainer.run()
    torch.testing.assert_close(network.state_dict(), _plain_loop(batches, accumulation))


def test_a_gradient_scaler_has_divided_by_its_scale_before_clipping(batches):
    network = _network()
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    GradientClipping(optimizer, MAX_NORM).attach(None)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    for batch in batches:
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(network(batch["image"]), batch["label"])
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    torch.testing.assert_close(network.state_dict(), _plain_loop(batches, 1))


def test_attaching_twice_registers_one_hook():
    optimizer = torch.optim.SGD(_network().parameters(), lr=1.0)
    clipping = GradientClipping(optimizer, MAX_NORM)
    clipping.attach(None)
    clipping.attach(None)
    assert len(optimizer._optimizer_step_pre_hooks) == 1
