"""The same work for many images, one after the other or in several processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from handseg_bundle_common.errors import HandsegInputError

Job = TypeVar("Job")
Result = TypeVar("Result")


def number_of_workers(wanted: int | None, jobs: int, jobs_a_worker: int) -> int:
    """Return how many processes to start, at least 1.

    Args:
        wanted: as many as the user asks for; None starts one a core that this process may use.
        jobs: how many there are; more processes than that would have nothing to do.
        jobs_a_worker: how many one process does in the time that another needs to start; no process is started for
            fewer, unless the user asks for it.

    Raises:
        HandsegInputError: fewer than one are wanted.
    """
    if wanted is None:
        return max(1, min(_cores(), jobs // jobs_a_worker))
    if wanted < 1:
        raise HandsegInputError("workers", f"{wanted} processes cannot work", "choose 1 or more")
    return max(1, min(wanted, jobs))


def done_in_order(work: Callable[[Job], Result], jobs: Sequence[Job], workers: int) -> Iterator[Result]:
    """Yield what becomes of every job, in order.

    Args:
        work: a function of a module, which another process can find by its name.
        jobs: what it is called with, and what can be pickled if there are several processes.
        workers: number of processes; 1 works in this one.

    Raises:
        HandsegInputError: a process was ended, as the system does when memory runs out. It ends by itself in a script
            without `if __name__ == "__main__"`, which every process imports anew.
    """
    if workers == 1:
        yield from map(work, jobs)
        return
    # A forked child would inherit the locks of the parent's threads.
    try:
        with ProcessPoolExecutor(workers, get_context("spawn"), _use_one_core) as pool:
            yield from pool.map(work, jobs)
    except BrokenProcessPool as error:
        problem = "a process was ended, probably for lack of memory"
        raise HandsegInputError("workers", problem, "work in one process with --workers 1") from error


def _cores() -> int:
    """Return the number of cores that this process may use, which a container or a job's limits may lower."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _use_one_core() -> None:
    """Leave the other cores to the other processes, whether these libraries are imported already or later."""
    os.environ.update({"OMP_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"})
    for library, setter in (("cv2", "setNumThreads"), ("torch", "set_num_threads")):
        if library in sys.modules:
            getattr(sys.modules[library], setter)(1)
