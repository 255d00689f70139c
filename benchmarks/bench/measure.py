"""Times of two ways in turns, and the memory that each needs in a process of its own."""

from __future__ import annotations

import ctypes
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from comparison import Comparison, comparisons
from tqdm import tqdm

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Row:
    """What was found for a comparison.

    Attributes:
        group: the file of rows that it comes from.
        name: of the comparison.
        equality: how equal both results are.
        textbook_seconds: median time of the textbook's way.
        seconds: median time of ours.
        times_faster: median over the rounds of the textbook's time divided by ours.
        slowest: the least of these ratios.
        fastest: the largest of them.
        target: times that ours should be faster.
        textbook_megabytes: memory that the textbook's way adds to the process at its peak; None if not measured.
        megabytes: the same of ours.
        memory_share: ours divided by the textbook's.
        memory_target: largest share wanted.
    """

    group: str
    name: str
    equality: str
    textbook_seconds: float
    seconds: float
    times_faster: float
    slowest: float
    fastest: float
    target: float | None
    textbook_megabytes: float | None
    megabytes: float | None
    memory_share: float | None
    memory_target: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return all attributes as plain values."""
        return asdict(self)


def measure(group: str, number: int, compared: Comparison, size: int, rounds: int) -> Row:
    """Check that both ways give the same, then time and weigh them.

    Args:
        group: the file of rows.
        number: of the comparison in its group.
        compared: the comparison.
        size: side of the images in px, which it was made for.
        rounds: how often each way is timed, in turns.

    Raises:
        AssertionError: the results differ.
        SystemExit: a process that measures memory failed.
    """
    equality = compared.check(compared.textbook(), compared.ours())
    clock = time.perf_counter if compared.wall or torch.get_num_threads() > 1 else time.process_time
    times: list[tuple[float, float]] = []
    for _ in tqdm(range(rounds), compared.name, unit="round", disable=None, leave=False):
        start = clock()
        compared.textbook()
        between = clock()
        compared.ours()
        times.append((between - start, clock() - between))
    ratios = [textbook / ours for textbook, ours in times]
    theirs, ours = (weigh(group, number, way, size) if compared.weigh else None for way in ("textbook", "ours"))
    return Row(
        group=group,
        name=compared.name,
        equality=equality,
        textbook_seconds=statistics.median(pair[0] for pair in times),
        seconds=statistics.median(pair[1] for pair in times),
        times_faster=statistics.median(ratios),
        slowest=min(ratios),
        fastest=max(ratios),
        target=compared.target,
        textbook_megabytes=theirs,
        megabytes=ours,
        memory_share=ours / theirs if ours is not None and theirs else None,
        memory_target=compared.memory_target,
    )


def weigh(group: str, number: int, way: str, size: int) -> float | None:
    """Return the megabytes that one way adds, measured in a process of its own; None where Linux does not tell them.

    Raises:
        SystemExit: the process failed, for the reason given.
    """
    if not _RESET.exists():
        return None
    command = [sys.executable, __file__, group, str(number), way, str(size), str(torch.get_num_threads())]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if result.returncode:
        raise SystemExit(f"{group}: {result.stderr}")
    return float(result.stdout.splitlines()[-1])  # libraries may have printed before


def added(group: str, number: int, way: str, size: int) -> float:
    """Return the megabytes by which one way raises the memory of this process at its peak, above what was loaded."""
    run = getattr(comparisons(group, size)[number], way)
    if hasattr(ctypes.CDLL(None), "malloc_trim"):
        ctypes.CDLL(None).malloc_trim(0)  # what was freed while the rows were built would hide what is taken now
    _RESET.write_text("5")  # the peak begins anew at what the process has now
    before = _peak()
    result = run()
    peak = _peak()
    del result
    return (peak - before) / 1e6


def _peak() -> int:
    """Return the largest memory of the process so far, in bytes."""
    return int(_STATUS.read_text().split("VmHWM:")[1].split()[0]) * 1024


if __name__ == "__main__":
    _group, _number, _way, _size, _threads = sys.argv[1:]
    torch.set_num_threads(int(_threads))
    print(added(_group, int(_number), _way, int(_size)))
