"""ignite asks for an epoch's windows after the epoch is set, and dropout follows the iteration."""

from __future__ import annotations

import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import DataLoader

from handseg_bundle_common.datasets.seeded import SeededBatchSampler, SeededDataset
from handseg_bundle_common.engine import SeededEpochs


def _run(num_workers, start_epoch=0, max_epochs=3, seed=5):
    """Return the windows and a random number of every iteration by iteration."""
    dataset = SeededDataset(list(range(4)), None, seed)
    sampler = SeededBatchSampler(dataset, 2, seed)
    loader = DataLoader(dataset, batch_sampler=sampler, num_workers=num_workers, persistent_workers=num_workers > 0)
    seen = {}

    def iteration(engine, batch):
        seen[engine.state.iteration] = (batch.tolist(), torch.rand(1).item())

    def resume(engine):
        engine.state.epoch, engine.state.iteration = start_epoch, 2 * start_epoch

    trainer = Engine(iteration)
    SeededEpochs(sampler).attach(trainer)
    trainer.add_event_handler(Events.STARTED, resume)
    trainer.run(loader, max_epochs=max_epochs)
    return seen


@pytest.mark.parametrize("num_workers", [0, 1])
def test_every_epoch_has_its_own_order_from_the_first_on(num_workers):
    expected = []
    for epoch in (1, 2, 3):
        sampler = SeededBatchSampler(range(4), 2, 5)
        sampler.set_epoch(epoch)
        expected += [[draw.index for draw in batch] for batch in sampler]
    assert [windows for windows, _ in _run(num_workers).values()] == expected


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_resumed_engine_goes_on_in_the_same_order(num_workers):
    whole, rest = _run(num_workers), _run(num_workers, start_epoch=2)
    assert rest == {iteration: whole[iteration] for iteration in (5, 6)}


def test_random_numbers_differ_between_iterations_and_seeds():
    numbers = [number for seed in (1, 2) for _, number in _run(0, seed=seed).values()]
    assert len(set(numbers)) == len(numbers) == 12
