"""Batches of radiographs through the actors of a Ray cluster, and what comes back, as soon as it does."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from types import ModuleType

import pyarrow as pa

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.inference.cluster.actor import BATCH, FATAL, Actor, Task
from handseg_bundle_common.inference.cluster.items import Item
from handseg_bundle_common.inference.cluster.machines import Actors
from handseg_bundle_common.inference.cluster.rows import failed_row
from handseg_bundle_common.inference.segmenter import Failure

# So many radiographs travel together at most, and an actor gets at least so many batches if there are enough.
_MOST, _BATCHES = 16, 8
# While one batch is in the network another is fetched, and a third waits.
_UNDER_WAY, _IN_FLIGHT = 2, 3
# How often a batch is begun again whose actor was killed; a radiograph that kills actors must not go round for ever.
_RETRIES, _RETRIES_ALONE = 3, 1


def segmented(
    ray: ModuleType, task: Task, items: Sequence[Item], keys: Mapping[str, str], actors: Actors
) -> Iterator[pa.Table]:
    """Yield tables of `actor.BATCH` until every radiograph had its row, in whatever order they come.

    Radiographs of batches that were lost are tried again alone; what is lost again is a row with the problem.

    Args:
        ray: the module.
        task: what the actors do.
        items: the radiographs.
        keys: key of each, by name.
        actors: how many actors to start, and what each gets.

    Raises:
        HandsegInputError: an actor cannot work at all, or its results cannot be written.
    """
    missing = {item.name: item for item in items}
    for size, retries in ((batch_size(len(items), actors.count), _RETRIES), (1, _RETRIES_ALONE)):
        if not missing:
            return
        for table in _one_pass(ray, task, list(missing.values()), keys, actors, size=size, retries=retries):
            if table.num_rows:
                _check(table)
                is_new = [missing.pop(name, None) is not None for name in table.column("image_name").to_pylist()]
                yield table.filter(pa.array(is_new))
    if missing:
        yield pa.Table.from_pylist([failed_row(_lost(item), keys[item.name]) for item in missing.values()], BATCH)


def batch_size(count: int, actors: int) -> int:
    """Return how many radiographs make a batch, so that every actor gets several and few are done twice."""
    return max(1, min(_MOST, count // (actors * _BATCHES)))


def _one_pass(
    ray: ModuleType,
    task: Task,
    items: Sequence[Item],
    keys: Mapping[str, str],
    actors: Actors,
    *,
    size: int,
    retries: int,
) -> Iterator[pa.Table]:
    """Yield what comes back of one pass over radiographs; batches whose actors were killed too often are left out."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_errored_blocks = -1
    rows = [{**asdict(item), "key": keys[item.name]} for item in items]
    options = {"num_cpus": actors.threads, "num_gpus": actors.gpus}
    pool = ray.data.ActorPoolStrategy(
        size=min(actors.count, -(-len(rows) // size)),
        max_tasks_in_flight_per_actor=_IN_FLIGHT,
        max_concurrent_calls_per_actor=_UNDER_WAY,
        enable_true_multi_threading=True,
    )
    tables = [pa.Table.from_pylist(rows[first : first + size]) for first in range(0, len(rows), size)]
    with warnings.catch_warnings():
        # There is no other way yet to say how often a batch may be begun again.
        warnings.simplefilter("ignore", ray.util.annotations.RayDeprecationWarning)
        dataset = ray.data.from_arrow(tables).map_batches(
            Actor,
            fn_constructor_args=(task,),
            batch_size=size,
            batch_format="pyarrow",
            compute=pool,
            ray_remote_args_fn=lambda: {**options, "max_restarts": -1, "max_task_retries": retries},
            **options,
        )
    yield from dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)


def _check(table: pa.Table) -> None:
    """Stop the run if an actor could not work, as no other could."""
    sentence = next((text for text in table.column(FATAL).to_pylist() if text is not None), None)
    if sentence is not None:
        source, _, rest = sentence.partition(": ")
        problem, _, remedy = rest.rpartition("; ")
        raise HandsegInputError(source, problem, remedy.rstrip("."))


def _lost(item: Item) -> Failure:
    problem = "ended every process that tried to segment it, probably for lack of memory"
    return Failure(item.name, item.file, f"{item.file}: {problem}; give the actors more memory or leave it out.")
