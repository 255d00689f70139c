"""Training on several processes: who writes, who reads, and what they must share. One process needs none of it."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from monai.data import DistributedSampler
from torch import distributed
from torch.utils.data import Dataset

from handseg_bundle_common.errors import HandsegInputError, input_error_message

P = ParamSpec("P")
T = TypeVar("T")

# torchrun ends the other processes about 0.1 s after the first one that failed.
_PATIENCE_S = 3.0


def is_main_process() -> bool:
    """Tell whether this is the process that writes files and prints progress."""
    return bool(idist.get_rank() == 0)


def on_main_process(function: Callable[P, T]) -> Callable[P, T | None]:
    """Decorate a function so that it does nothing, and returns None, on all processes but the first."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T | None:
        return function(*args, **kwargs) if is_main_process() else None

    return wrapper


def join_processes(backend: str | None = None) -> None:
    """Join the processes that torchrun has started; bundles call this after `explain_input_errors`.

    The first process speaks for all: the others log errors only, and an error that several meet is reported once.

    Args:
        backend: "nccl" or "gloo"; the former where there are GPUs, by default.

    Raises:
        HandsegInputError: the process was not started by torchrun, or there are fewer GPUs than processes.
    """
    if "LOCAL_RANK" not in os.environ:
        raise HandsegInputError("multi_gpu_train.json", "is for processes of torchrun", "start the training with it")
    report = sys.excepthook = _let_others_report(sys.excepthook)
    has_gpu = torch.cuda.is_available()
    if has_gpu:
        _take_gpu()
    if not distributed.is_initialized():
        distributed.init_process_group(backend or ("nccl" if has_gpu else "gloo"))
        # PyTorch has put a hook of its own around ours, which keeps back what ours prints before it exits.
        sys.excepthook = report
    # Asking for the rank makes ignite set itself up, for which all processes must be at the same place.
    if not is_main_process():
        logging.disable(logging.WARNING)


def validation_sampler(dataset: Dataset[Any]) -> DistributedSampler | None:
    """Return a sampler that splits a dataset over the processes, each item once; None on a single process.

    Raises:
        HandsegInputError: there are fewer items than processes.
    """
    processes = idist.get_world_size()
    if processes == 1:
        return None
    images = len(dataset)  # type: ignore[arg-type]  # PyTorch's base class leaves the length to its children
    if images < processes:
        problem = f"{images} validation images are too few for {processes} processes"
        raise HandsegInputError("nproc_per_node", problem, "start fewer processes or validate on more images")
    return DistributedSampler(dataset, even_divisible=False, shuffle=False)


class SharedBuffers:
    """Give every process the first one's buffers, such as normalisation statistics, before a validation.

    `DistributedDataParallel` does so before each training step only, and the processes differ after the last.
    """

    def attach(self, evaluator: Engine) -> None:
        """Share those of the evaluator's network, whichever it has at the start of a validation."""
        evaluator.add_event_handler(Events.STARTED, self._share)

    def _share(self, evaluator: Engine) -> None:
        if idist.get_world_size() > 1:
            for buffer in evaluator.network.buffers():
                distributed.broadcast(buffer, src=0)


def _take_gpu() -> None:
    gpus, processes = torch.cuda.device_count(), int(os.environ["LOCAL_WORLD_SIZE"])
    if processes > gpus:
        raise HandsegInputError("nproc_per_node", f"{processes} is more than the {gpus} GPUs", "start one a GPU")
    torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))


def _let_others_report(report: Callable[..., Any]) -> Callable[..., Any]:
    """Return an exception hook that waits while a process that knows the reason better reports and ends all."""

    def hook(kind: type[BaseException], error: BaseException, *traceback: Any) -> None:
        if input_error_message(error) is None:
            time.sleep(2 * _PATIENCE_S)
        elif int(os.environ["RANK"]) > 0:
            time.sleep(_PATIENCE_S)
        report(kind, error, *traceback)

    return hook
