"""Averages of a network's weights over its training, which often generalise better than the last weights."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from ignite.handlers import EMAHandler
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from handseg_bundle_common.engine.distributed import on_main_process
from handseg_bundle_common.engine.records import epoch_metrics
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.weights import save_weights

logger = logging.getLogger(__name__)


class WeightAveraging:
    """Stochastic weight averaging: validate and save the equal average of the weights after each late epoch.

    The learning rate is the scheduler's business (`torch.optim.swa_utils.SWALR`). Statistics of batch normalisation do
    not follow from averaged weights, so they are computed anew: means over the first training batches of the epoch,
    and over all processes. The validation's metrics become metrics of the trainer, `swa_mean_dice` and so on. Attach
    it before the logs and the checkpoint; its state belongs to the latter.

    Source: P. Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization, UAI 2018.

    Args:
        network: the network that is trained, without a wrapper for parallel training.
        average: PyTorch's average of its weights.
        dataloader: the training's loader, whose items have an `image`.
        evaluator: validates the network of `average`; it shares no metrics with another evaluator.
        path: file to write, usually `models/swa.pt`.
        start: number of epochs before the first one whose weights count.
        batches: training batches of each process that the statistics come from; all if the epoch has fewer.
        interval: epochs from one validation to the next; the last epoch always ends with one.
        metric: name of the metric of the evaluator that is stored with the weights.
        settings: plain values to store with the weights, as `BestWeights` does.

    Raises:
        HandsegInputError: `batches` or `interval` is less than 1, or, as training starts, `start` leaves no epoch.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        average: AveragedModel,
        dataloader: DataLoader[Any],
        evaluator: SupervisedEvaluator,
        path: str,
        *,
        start: int,
        batches: int = 100,
        interval: int = 1,
        metric: str = "mean_dice",
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        for name, value in {"swa_batches": batches, "swa_interval": interval}.items():
            if value < 1:
                raise HandsegInputError(name, f"{value} is too few", "choose 1 or more")
        self.network = network
        self.start = start
        self.dataloader = dataloader
        self.evaluator = evaluator
        self.path = Path(path)
        self.batches = batches
        self.interval = interval
        self.metric = metric
        self.settings = dict(settings or {})
        self.average = average.eval()
        self._norms = [m for m in average.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]

    def attach(self, trainer: Engine) -> None:
        """Average on the end of every late epoch; attaching again changes nothing."""
        if trainer.has_event_handler(self._average):
            return
        trainer.add_event_handler(Events.STARTED, self._check)
        trainer.add_event_handler(Events.EPOCH_STARTED, self._forget)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self._average)

    def _check(self, trainer: Engine) -> None:
        epochs = trainer.state.max_epochs
        if not 0 <= self.start < epochs:
            problem = f"{self.start} leaves no epoch of {epochs} to average"
            raise HandsegInputError("swa_start", problem, "choose 0 or more, and less than max_epochs")
        if not self._norms:
            logger.info("the network has no batch normalisation, so its average needs no statistics")

    def _forget(self, trainer: Engine) -> None:
        """Take the metrics of the epoch before away, so that an epoch without a validation repeats none."""
        for name in [name for name in trainer.state.metrics if name.startswith("swa_")]:
            del trainer.state.metrics[name]

    def _average(self, trainer: SupervisedTrainer) -> None:
        epoch = trainer.state.epoch
        if epoch <= self.start:
            return
        self.average.update_parameters(self.network)
        if (epoch - self.start) % self.interval == 0 or epoch == trainer.state.max_epochs:
            # Loaders draw seeds for their workers.
            with torch.random.fork_rng(devices=[]):
                if self._norms:
                    self._compute_statistics(trainer)
                self.evaluator.run(epoch)
            values = epoch_metrics(self.evaluator)
            trainer.state.metrics.update({f"swa_{name}": value for name, value in values.items()})
            self._save(epoch, values[self.metric])

    @torch.no_grad()
    def _compute_statistics(self, trainer: SupervisedTrainer) -> None:
        """Average the statistics of batches over all batches, with nothing but the normalisation in training mode."""
        momenta = [norm.momentum for norm in self._norms]
        for norm in self._norms:
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
        with torch.autocast("cuda", **trainer.amp_kwargs) if trainer.amp else nullcontext():
            for batch in self._first_batches():
                self.average(batch["image"].to(trainer.state.device))
        for norm, momentum in zip(self._norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
            for statistic in (norm.get_buffer("running_mean"), norm.get_buffer("running_var")):
                statistic.copy_(idist.all_reduce(statistic) / idist.get_world_size())

    def _first_batches(self) -> Iterator[Mapping[str, torch.Tensor]]:
        """Load the first batches of the epoch apart from the training.

        The iterator of a loader with persistent workers is one object for all, from which the trainer would take what
        is left of it as the next epoch.
        """
        loader = self.dataloader
        batches = islice(loader.batch_sampler, self.batches)  # type: ignore[arg-type]  # None in loaders of single items
        return iter(
            DataLoader(
                loader.dataset,
                batch_sampler=list(batches),
                num_workers=loader.num_workers,
                collate_fn=loader.collate_fn,
                worker_init_fn=loader.worker_init_fn,
            )
        )

    @on_main_process
    def _save(self, epoch: int, value: float) -> None:
        info: dict[str, Any] = {"epoch": epoch, self.metric: value}
        save_weights(self.average, self.path, settings=self.settings, **info)
        first = self.start + 1
        logger.info("%s of the average from epoch %d on: %.4f, saved to %s", self.metric, first, value, self.path)

    def state_dict(self) -> dict[str, Any]:
        """Return the averaged weights, and of how many epochs they are."""
        return dict(self.average.state_dict())

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take the average over."""
        self.average.load_state_dict(state_dict)


class ExponentialMovingAverage(EMAHandler):
    """ignite's `EMAHandler`, with one update per step of the optimiser and a state for the checkpoint.

    Left alone, ignite's updates after every accumulated batch, and begins its warm-up anew in a resumed training.
    Arguments and `ema_model` are those of `EMAHandler`.
    """

    momentum_scheduler: Any = None

    def attach(self, engine: Engine, *args: Any, **kwargs: Any) -> None:
        """Update after the iterations of a `SupervisedTrainer` that end with a step."""
        event = Events.ITERATION_COMPLETED(event_filter=_ends_with_step)
        super().attach(engine, *args, **{"event": event, **kwargs})

    def state_dict(self) -> dict[str, Any]:
        """Return the averaged weights and, if the momentum has a warm-up, how many updates of it are done."""
        updates = self.momentum_scheduler.event_index if self.momentum_scheduler else 0
        return {"model": self.ema_model.state_dict(), "updates": updates}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take both over; the handler must have been attached."""
        self.ema_model.load_state_dict(state_dict["model"])
        if self.momentum_scheduler:
            self.momentum_scheduler.event_index = state_dict["updates"]


def _ends_with_step(trainer: SupervisedTrainer, iteration: int) -> bool:
    """Tell whether MONAI's trainer steps in an iteration: after so many batches, and after an epoch's last one."""
    batches = (iteration - 1) % trainer.state.epoch_length + 1
    return bool(batches % trainer.accumulation_steps == 0 or batches == trainer.state.epoch_length)
