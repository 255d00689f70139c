"""Checkpoints: the best weights by a validation metric, and everything needed to continue a training."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from ignite.engine import Engine, Events
from torch.optim.lr_scheduler import LRScheduler

from handseg_bundle_common.datasets.seeded import require_same
from handseg_bundle_common.engine.distributed import is_main_process, on_main_process
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.weights import free_path, load_checkpoint, save_checkpoint, save_weights

logger = logging.getLogger(__name__)


class Stateful(Protocol):
    """Anything with PyTorch's pair of state methods: networks, optimisers, schedulers, scalers, samplers."""

    def state_dict(self) -> Any:
        """Return the state as tensors and plain containers."""
        ...

    def load_state_dict(self, state_dict: Any) -> Any:
        """Take a state over."""
        ...


class BestWeights:
    """Save the network's weights whenever a metric of the evaluator reaches a new maximum.

    Args:
        network: the network that is validated.
        path: file to write, usually `models/trained/model.pt`.
        metric: name of the metric in `evaluator.state.metrics`.
        settings: plain values to store with the weights, such as the image size; `load_weights` compares them.

    Raises:
        HandsegInputError: at `path` lie the weights that came with the bundle.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        path: str,
        metric: str = "mean_dice",
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.network = network
        self.path = free_path(path)
        self.metric = metric
        self.settings = dict(settings or {})
        self.best = float("-inf")
        self.has_improved = False
        """Whether the last validation was the best so far."""

    def attach(self, evaluator: Engine) -> None:
        """Watch the evaluator."""
        evaluator.add_event_handler(Events.EPOCH_COMPLETED, self._save_if_better)

    def _save_if_better(self, evaluator: Engine) -> None:
        value = float(evaluator.state.metrics[self.metric])
        self.has_improved = value > self.best
        if self.has_improved:
            self.best = value
            if is_main_process():
                info: dict[str, Any] = {"epoch": int(evaluator.state.epoch), self.metric: value}
                save_weights(self.network, self.path, settings=self.settings, **info)
                logger.info("best %s so far: %.4f, saved to %s", self.metric, value, self.path)

    def state_dict(self) -> dict[str, float]:
        """Return the best value, so that a resumed training does not overwrite better weights."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: Mapping[str, float]) -> None:
        """Take the best value over."""
        self.best = state_dict["best"]


class TrainingCheckpoint:
    """Save all training state after every epoch, and continue from it on request.

    Attach it last: an epoch that is in the checkpoint is then in all records too. On the CPU, a training that was
    interrupted and continued equals an uninterrupted one bit for bit, given a `SeededDataset` and `SeededEpochs`.

    Args:
        path: file to write, usually `models/trained/checkpoint.pt`.
        objects: what to save by name: network, optimizer, lr_scheduler, sampler and so on. The trainer's GradScaler
            and its epoch and iteration counters are added.
        resume: continue from `path` if it exists; otherwise training starts from the beginning.
        settings: plain values that change what is learned, such as the image size; a training that was started with
            others is not continued.
    """

    def __init__(
        self,
        path: str,
        objects: Mapping[str, Stateful],
        *,
        resume: bool = False,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = Path(path)
        self.objects = dict(objects)
        self.settings = dict(settings or {})
        self.resume = resume

    def attach(self, trainer: Engine) -> None:
        """Load on the start of the training, save on the end of every epoch.

        Raises:
            HandsegInputError: the checkpoint to go on from is of another training. Told here, before the training
                starts and other handlers write over the records of the one that is there.
        """
        if self.resume and self.path.exists():
            self._checked()
        trainer.add_event_handler(Events.STARTED, self._load)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self._save)

    def _stateful(self, trainer: Engine) -> dict[str, Stateful]:
        scaler = getattr(trainer, "scaler", None)
        return self.objects if scaler is None else {**self.objects, "scaler": scaler}

    @on_main_process
    def _save(self, trainer: Engine) -> None:
        counters = {"epoch": trainer.state.epoch, "iteration": trainer.state.iteration}
        states = {name: thing.state_dict() for name, thing in self._stateful(trainer).items()}
        save_checkpoint(self.path, {**states, "settings": self.settings, "trainer": counters})

    def _load(self, trainer: Engine) -> None:
        if not self.resume:
            return
        if not self.path.exists():
            logger.info("nothing to resume at %s, starting from the beginning", self.path)
            return
        checkpoint = self._checked()
        for name, thing in self._stateful(trainer).items():
            # A GPU's GradScaler has no state in a checkpoint of the CPU, and starts anew.
            if name in checkpoint:
                self._restore(name, thing, checkpoint[name])
        trainer.state.epoch = checkpoint["trainer"]["epoch"]
        trainer.state.iteration = checkpoint["trainer"]["iteration"]
        logger.info("resumed from %s after epoch %d", self.path, trainer.state.epoch)

    def _checked(self) -> dict[str, Any]:
        """Return the checkpoint if it is one of this training."""
        checkpoint = load_checkpoint(self.path)
        missing = [name for name in (*self.objects, "settings", "trainer") if name not in checkpoint]
        if missing:
            remedy = "name the checkpoint.pt that a training of this version wrote"
            raise HandsegInputError(self.path, f"holds no {missing[0]} to continue from", remedy)
        require_same(self.settings, checkpoint["settings"])
        return checkpoint

    def _restore(self, name: str, thing: Stateful, state: Any) -> None:
        try:
            thing.load_state_dict(_progress(state, thing) if isinstance(thing, LRScheduler) else state)
        except HandsegInputError:
            raise
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise HandsegInputError(
                self.path,
                f"holds another {name} than this training has",
                "resume with the classes and settings that the training was started with",
            ) from error


def _progress(state: Mapping[str, Any], scheduler: LRScheduler) -> dict[str, Any]:
    """Return how far a schedule had come, without its arguments: the training may have become longer since."""
    arguments = set(inspect.signature(type(scheduler)).parameters) - {"last_epoch"}
    return {name: value for name, value in state.items() if name not in arguments}
