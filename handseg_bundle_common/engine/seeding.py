"""Random numbers of a training that continue where they stopped."""

from __future__ import annotations

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events

from handseg_bundle_common.datasets.seeded import SeededBatchSampler, derive_seed


class SeededEpochs:
    """Tie the order of the windows to the epoch, and dropout to the iteration; attach it to the trainer.

    A training that continues after a whole epoch then draws what an uninterrupted one draws.

    Args:
        sampler: deals the batches, and brings the seed.
    """

    def __init__(self, sampler: SeededBatchSampler) -> None:
        self.sampler = sampler

    def attach(self, trainer: Engine) -> None:
        """Seed every epoch and every iteration; ignite makes an epoch's iterator after EPOCH_STARTED."""
        trainer.add_event_handler(Events.EPOCH_STARTED, self._start_epoch)
        trainer.add_event_handler(Events.ITERATION_STARTED, self._start_iteration)

    def _start_epoch(self, trainer: Engine) -> None:
        self.sampler.set_epoch(trainer.state.epoch)

    def _start_iteration(self, trainer: Engine) -> None:
        stream = (trainer.state.epoch, trainer.state.iteration, idist.get_rank())
        torch.manual_seed(derive_seed(self.sampler.seed, *stream))
