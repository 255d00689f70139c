"""The machines of a Ray cluster, and what of them one actor gets."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType

from handseg_bundle_common.errors import HandsegInputError

_OBJECT_STORE = 256 * 2**20
_ENGINE = "--engine ray"


@dataclass(frozen=True)
class Machine:
    """What one machine of a cluster has: whole cores and GPUs."""

    cores: int
    gpus: int


@dataclass(frozen=True)
class Actors:
    """How many actors work, and what each of them has.

    Attributes:
        count: number of actors.
        threads: cores of each.
        gpus: GPUs of each, 0 or 1.
    """

    count: int
    threads: int
    gpus: int


def import_ray() -> ModuleType:
    """Return the module `ray` with `ray.data`, which keep quiet.

    Raises:
        HandsegInputError: it is not installed.
    """
    # What Ray would tell its makers, and what its own libraries print.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        ray = importlib.import_module("ray")
        importlib.import_module("ray.data")
    except ImportError as error:
        problem, remedy = (
            f"needs Ray, which is not installed ({error})",
            "install it with pip install 'handseg[cluster]'",
        )
        raise HandsegInputError(_ENGINE, problem, remedy) from error
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    return ray


@contextmanager
def connected(ray: ModuleType) -> Iterator[list[Machine]]:
    """Connect to a cluster and yield its machines.

    It is the one that this process is connected to, or that of `$RAY_ADDRESS`, or one on this machine alone, which
    ends with the block.

    Args:
        ray: the module.

    Raises:
        HandsegInputError: the cluster of `$RAY_ADDRESS` cannot be reached.
    """
    is_ours = not ray.is_initialized()
    if is_ours:
        _connect(ray, os.environ.get("RAY_ADDRESS"))
    try:
        alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        yield [Machine(int(has.get("CPU", 0)), int(has.get("GPU", 0))) for has in alive]
    finally:
        if is_ours:
            ray.shutdown()


def _connect(ray: ModuleType, address: str | None) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if not address:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
        ray.init("local", num_cpus=cores, object_store_memory=_OBJECT_STORE, include_dashboard=False, **quiet)
        return
    try:
        ray.init(address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        problem = f"the cluster at {address!r} cannot be reached ({error})"
        raise HandsegInputError(
            "RAY_ADDRESS", problem, "start it, or unset RAY_ADDRESS to work on this machine"
        ) from error


def choose_actors(machines: Sequence[Machine], device: str, workers: int | None = None) -> Actors:
    """Return which actors to start: one a GPU where there is one, else one a machine, of as many cores as fit.

    Args:
        machines: those of the cluster.
        device: "auto", "cpu" or "cuda".
        workers: number of actors in place of that.

    Raises:
        HandsegInputError: the device is another one, there is no GPU or no room for so many actors.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise HandsegInputError("device", f"{device!r} means nothing on a cluster", "choose auto, cpu or cuda")
    gpus = sum(machine.gpus for machine in machines)
    if device == "cuda" and not gpus:
        raise HandsegInputError("device", "the cluster has no GPU", "choose auto or cpu")
    uses_gpu = gpus > 0 and device != "cpu"
    count = workers if workers is not None else gpus if uses_gpu else sum(machine.cores > 0 for machine in machines)
    most = _room(machines, 1, uses_gpu)
    if not 1 <= count <= most:
        raise HandsegInputError("workers", f"{count} actors find no place", f"choose 1 to {most}")
    threads = max(machine.cores for machine in machines)
    while _room(machines, threads, uses_gpu) < count:
        threads -= 1
    return Actors(count, threads, int(uses_gpu))


def _room(machines: Sequence[Machine], threads: int, uses_gpu: bool) -> int:
    """Return how many actors of so many threads fit on the machines."""
    by_cores = [machine.cores // threads for machine in machines]
    if not uses_gpu:
        return sum(by_cores)
    return sum(min(cores, machine.gpus) for cores, machine in zip(by_cores, machines, strict=True))
