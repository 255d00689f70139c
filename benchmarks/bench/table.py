"""The results as JSON and as a table, and the table's place in the README."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from measure import Row

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import make_folder, read_json, write_atomically

JSON, MARKDOWN = "bench.json", "bench.md"

_BEGIN, _END = "<!-- bench -->", "<!-- /bench -->"
_HEADER = ("what", "textbook, s", "ours, s", "times faster", "target", "textbook, MB", "ours, MB", "share", "equality")


@dataclass(frozen=True)
class Report:
    """All that was measured.

    Attributes:
        machine: processor, threads, versions.
        command: what has made the numbers.
        size: side of the images in px.
        rounds: how often each way was timed.
        rows: what was found.
    """

    machine: str
    command: str
    size: int
    rounds: int
    rows: Sequence[Row]

    def as_dict(self) -> dict[str, Any]:
        """Return all as plain values."""
        return {**vars(self), "rows": [row.as_dict() for row in self.rows]}


def machine() -> str:
    """Describe what everything runs on."""
    threads = torch.get_num_threads()
    precision = "with" if _knows_bfloat16() else "without"
    clock = "processor time" if threads == 1 else "time on the wall"
    cores = f"{os.cpu_count()} cores ({_processor()}, {precision} bfloat16), {threads} thread{'s' * (threads > 1)}"
    return f"{cores}, {clock}, PyTorch {torch.__version__}, Python {platform.python_version()}"


def kept_rows(folder: Path, report: Report, measured: Sequence[str]) -> list[Row]:
    """Return rows of other groups that an earlier run left in a folder, if machine, size and rounds were the same."""
    path = folder / JSON
    if not path.exists():
        return []
    before = read_json(path, "delete it")
    if any(before.get(key) != value for key, value in report.as_dict().items() if key in ("machine", "size", "rounds")):
        return []
    return [Row(**row) for row in before["rows"] if row["group"] not in measured]


def write(folder: Path, report: Report) -> Path:
    """Write JSON and table into a folder, and return the table's file.

    Raises:
        HandsegInputError: they cannot be written.
    """
    make_folder(folder)
    texts = {JSON: json.dumps(report.as_dict(), indent=2) + "\n", MARKDOWN: f"# Benchmark\n\n{told(report)}\n"}
    for name, text in texts.items():
        with write_atomically(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return folder / MARKDOWN


def update_readme(path: Path, report: Report) -> None:
    """Put the table between the markers of a README.

    Raises:
        HandsegInputError: the markers are not there, or the file cannot be written.
    """
    before, begin, rest = path.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise HandsegInputError(path, f"has no {_BEGIN} before {_END}", "put both on lines of their own")
    with write_atomically(path) as temporary:
        temporary.write_text(f"{before}{_BEGIN}\n{told(report)}\n{_END}{after}", encoding="utf-8")


def told(report: Report) -> str:
    """Return machine and table as Markdown."""
    how = (
        f"Made by `{report.command}`: images of {report.size} px, both ways in turns in one process, medians of "
        f"{report.rounds} rounds, with the smallest and the largest ratio of a round. Memory is what a way adds at its"
        " peak in a process of its own. A way counts only if its results equal the textbook's."
    )
    lines = [_HEADER, ["---"] * len(_HEADER), *map(_cells, report.rows)]
    return "\n\n".join([how, f"{report.machine}.", "\n".join(f"| {' | '.join(cells)} |" for cells in lines)])


def _cells(row: Row) -> list[str]:
    targets = [f"{row.target:g} times"] if row.target else []
    targets += [f"{row.memory_target:.0%} of the memory"] if row.memory_target else []
    share = "" if row.memory_share is None else f"{row.memory_share:.0%}"
    sizes = ["" if size is None else f"{size:.0f}" for size in (row.textbook_megabytes, row.megabytes)]
    faster = f"{row.times_faster:.1f} ({row.slowest:.1f} to {row.fastest:.1f})"
    seconds = [f"{value:.3g}" for value in (row.textbook_seconds, row.seconds)]
    return [row.name, *seconds, faster, ", ".join(targets), *sizes, share, row.equality]


def _processor() -> str:
    """Return the model of the processor where Linux tells it, or else its architecture."""
    found = re.search(r"model name\s*:\s*(.+)", _cpuinfo())
    return found[1].strip() if found else platform.machine()


def _knows_bfloat16() -> bool:
    return bool(re.search(r"\b(avx512_bf16|amx_bf16|bf16)\b", _cpuinfo()))


def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""
