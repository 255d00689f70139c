"""One simulated hand on one core: the time of every stage, and the memory of a worker.

    python benchmarks/simulator.py [--samples 50] [--size 2048] [--preset dataset]

Every number is the median over the samples, masks included, in seconds of processor time, which other programs on
the machine do not lengthen; the time on the clock stands beside the total.
"""

from __future__ import annotations

import argparse
import inspect
import os
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from typing import Any

# Libraries read these when they are imported.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")

import cv2
import numpy as np
from tqdm import tqdm

from handseg_bundle_common.simulation import hand_of, load_assets, sampler
from handseg_bundle_common.simulation.presets import PRESETS, preset

_DRAWING = "draw everything"


def stages() -> dict[str, Callable[..., Any]]:
    """Return the functions that the sampler imports from the other modules of the simulation."""
    package = sampler.__name__.rpartition(".")[0]
    return {
        name: function
        for name, function in vars(sampler).items()
        if inspect.isfunction(function)
        and function.__module__ not in {sampler.__name__, f"{package}.settings"}
        and function.__module__.startswith(package)
    }


def timed(function: Callable[..., Any], stage: str, spent: dict[str, float]) -> Callable[..., Any]:
    """Return the function with the processor time of its calls added to a stage."""

    @wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        start = time.process_time()
        try:
            return function(*arguments, **options)
        finally:
            spent[stage] += time.process_time() - start

    return call


def measure(samples: int, size: int, preset_name: str) -> tuple[dict[str, float], float]:
    """Return the median processor time of every stage and of the whole, and the median time on the clock."""
    assets, settings = load_assets(), preset(preset_name)
    spent: dict[str, float] = defaultdict(float)
    for name, function in stages().items():
        setattr(sampler, name, timed(function, _DRAWING if name.startswith("draw_") else name, spent))
    rows, clock = [], []
    # The first two hands load or compile the kernels.
    for number in tqdm(range(-2, samples), "simulating", disable=None):
        spent.clear()
        patient, side = hand_of(0, max(number, 0))
        start, on_clock = time.process_time(), time.perf_counter()
        sampler.simulate_hand(patient, size, side, assets, settings)
        total = time.process_time() - start
        if number >= 0:
            rows.append({**spent, "all else": total - sum(spent.values()), "total": total})
            clock.append(time.perf_counter() - on_clock)
    return {stage: float(np.median([row.get(stage, 0.0) for row in rows])) for stage in rows[0]}, float(
        np.median(clock)
    )


def peak_memory_gb() -> float:
    """Return the largest memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e9 if sys.platform == "darwin" else peak * 1024 / 1e9


def main() -> None:
    """Simulate, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="dataset")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    seconds, clock = measure(arguments.samples, arguments.size, arguments.preset)
    print("| stage | ms |\n|---|---|")
    for stage, value in seconds.items():
        print(f"| {stage} | {value * 1000:.0f} |")
    print(f"\n{clock * 1000:.0f} ms on the clock; the largest memory of the process was {peak_memory_gb():.2f} GB.")


if __name__ == "__main__":
    main()
