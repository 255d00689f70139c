"""Training on several processes, and what feeds it: steps, loaded windows and simulated hands a second.

    python benchmarks/training_scale.py [--processes 1,2,4] [--size 256] [--batch 2] [--rounds 5] [--bundle effisegnet]

Steps: torchrun starts processes of one thread each, joined by gloo as in multi_gpu_train.json. Groups of 1, 2, ... of
them take turns at the same step, so that other programs disturb all alike. The batch of a process stays the same: with
perfect scaling, so does the time of a step. Processor time leaves waiting out: it tells what the exchange of gradients
costs. Windows: the training pipelines of the bundle, read from simulated radiographs of 2048 px or simulated on
the fly, in 1, 2, ... worker processes; those a processor second are what a worker gives that has a core to itself. More
processes or workers than cores share them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Libraries read these when they are imported.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")

import torch
from machine import machine
from monai.bundle import ConfigParser
from monai.data import DataLoader
from networks import subject
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from handseg_bundle_common.datasets import data_list
from handseg_bundle_common.datasets.seeded import Draw
from handseg_bundle_common.weights import find_bundle

Row = dict[str, float]

_HANDS, _HAND_SIZE = 8, 2048
_WINDOWS_A_WORKER = 12


def steps_of_groups(arguments: argparse.Namespace) -> dict[int, Row] | None:
    """Return seconds on the clock and of the processor for a step of each group; None on all but the first process."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    rank = distributed.get_rank()
    steps: dict[int, Callable[[], None]] = {}
    for count in arguments.processes:
        group = distributed.new_group(list(range(count)))  # which all processes must ask for
        if rank < count:
            steps[count] = _training_step(arguments, group)
    clock: dict[int, list[float]] = {count: [] for count in arguments.processes}
    processor: dict[int, list[float]] = {count: [] for count in arguments.processes}
    for _ in range(arguments.rounds + 1):
        for count in arguments.processes:
            distributed.barrier()
            if count in steps:
                start, used = time.perf_counter(), time.process_time()
                steps[count]()
                clock[count].append(time.perf_counter() - start)
                processor[count].append(time.process_time() - used)
    distributed.barrier()
    distributed.destroy_process_group()
    if rank:
        return None
    return {  # the first round warms up
        count: {"clock": statistics.median(clock[count][1:]), "processor": statistics.median(processor[count][1:])}
        for count in arguments.processes
    }


def _training_step(arguments: argparse.Namespace, group: Any) -> Callable[[], None]:
    torch.manual_seed(0)
    tested = subject(arguments.bundle, arguments.size, arguments.batch)
    network = DistributedDataParallel(tested.network.train(), process_group=group)
    optimizer = torch.optim.AdamW(network.parameters())

    def step() -> None:
        optimizer.zero_grad()
        tested.loss(network(tested.image), tested.masks).backward()
        optimizer.step()

    return step


def started_by_torchrun(arguments: argparse.Namespace) -> dict[int, Row]:
    """Return what `steps_of_groups` finds in processes of torchrun."""
    processes = str(max(arguments.processes))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", processes, __file__]
    with tempfile.NamedTemporaryFile("r", suffix=".json") as file:
        told = ["--processes", ",".join(map(str, arguments.processes)), "--write", file.name]
        told += [f"--{name}={getattr(arguments, name)}" for name in ("bundle", "size", "batch", "rounds")]
        subprocess.run([*command, *told], check=True)  # noqa: S603
        return {int(count): row for count, row in json.load(file).items()}


def windows_per_second(dataset: Any, workers: int) -> Row:
    """Return how many windows so many workers give a second once all of them are at work, and a processor second."""
    warm, timed = 2 * workers, _WINDOWS_A_WORKER * workers
    total = warm + timed + 2 * workers  # the last ones are given while fewer workers are at work
    draws = [Draw(number // len(dataset), number % len(dataset)) for number in range(total)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    marks = [time.perf_counter() for _ in DataLoader(dataset, batch_size=1, sampler=draws, num_workers=workers)]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)  # the workers have ended
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"clock": timed / (marks[warm + timed - 1] - marks[warm - 1]), "processor": total / used}


def datasets_of(bundle: str, size: int, folder: Path) -> dict[str, Any]:
    """Return the training data of a bundle: read from simulated radiographs, and simulated when it is asked for."""
    from handseg_bundle_common.simulation import write_hands  # noqa: PLC0415  needs the extra "simulate"

    write_hands(_HANDS, _HAND_SIZE, 1, folder)
    configs = Path(find_bundle(bundle), "configs")
    found = {}
    for name, overlays in {"loader": [], "simulator": ["pretrain_simulated.json"]}.items():
        parser = ConfigParser()
        parser.read_config([str(configs / file) for file in ("train.json", *overlays)])
        parser["image_size"] = size
        if not overlays:
            parser["train#dataset#data"] = data_list(folder)
        found[name] = parser.get_parsed_content("train#dataset")
    return found


def print_steps(arguments: argparse.Namespace) -> None:
    """Measure the steps and print their table."""
    rows = started_by_torchrun(arguments)
    first, cores = rows[min(rows)], os.cpu_count() or 1
    print(f"\n{arguments.bundle}, {arguments.batch} windows of {arguments.size} px a process; {machine()}\n")
    print("| processes | ms a step | windows a second | efficiency | processor ms a process | without waiting |")
    print("|---|---|---|---|---|---|")
    for count, row in rows.items():
        name = f"{count} (on {cores} cores)" if count > cores else str(count)
        columns = [name, f"{1000 * row['clock']:.0f}", f"{count * arguments.batch / row['clock']:.1f}"]
        columns += [f"{first['clock'] / row['clock']:.0%}", f"{1000 * row['processor']:.0f}"]
        print(f"| {' | '.join(columns)} | {first['processor'] / row['processor']:.0%} |")


def print_windows(arguments: argparse.Namespace) -> None:
    """Measure loader and simulator and print their table."""
    with tempfile.TemporaryDirectory() as folder:
        sources = datasets_of(arguments.bundle, arguments.size, Path(folder))
        rates: dict[tuple[str, int], list[Row]] = {}
        for _ in range(arguments.rounds // 2 + 1):
            for name, dataset in sources.items():
                for workers in arguments.processes:
                    rates.setdefault((name, workers), []).append(windows_per_second(dataset, workers))
    print(f"\nWindows of {arguments.size} px; {machine()}\n")
    print("| source | workers | windows a second | a second and worker | a processor second |\n|---|---|---|---|---|")
    for (name, workers), rows in rates.items():
        rate, of_processor = (statistics.median(row[clock] for row in rows) for clock in ("clock", "processor"))
        print(f"| {name} | {workers} | {rate:.1f} | {rate / workers:.1f} | {of_processor:.1f} |")


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", default="effisegnet")
    parser.add_argument("--processes", type=lambda text: [int(part) for part in text.split(",")], default=[1, 2, 4])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        rows = steps_of_groups(arguments)
        if rows is not None:
            arguments.write.write_text(json.dumps(rows))
        return
    # More workers than cores are asked for knowingly.
    warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
    print_steps(arguments)
    print_windows(arguments)


if __name__ == "__main__":
    main()
