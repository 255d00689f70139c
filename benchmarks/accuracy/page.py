"""The page of the benchmark and its part of the README."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

import torch
from contestants import Contestant
from figures import ACCURACY
from hands import Half
from results import (
    Result,
    accuracy_table,
    best,
    false_positives_table,
    hard_bones_table,
    robustness_table,
    weights_table,
)

from handseg_bundle_common.files import write_atomically
from handseg_bundle_common.packaging import with_numbers

PICTURES = Path("pictures", "benchmark")

_TEMPLATE = Path(__file__).with_name("template.md")


@dataclass(frozen=True)
class Report:
    """All that the page tells.

    Attributes:
        results: what every bundle reached.
        missing: bundles without weights.
        command: what has made the numbers.
        size: longer side of the hands in px.
        device: where the networks ran.
    """

    results: Sequence[Result]
    missing: Sequence[Contestant]
    command: str
    size: int
    device: torch.device

    def count(self, half: Half) -> int:
        """Return the number of hands of a half."""
        return len(self.results[0].halves[half])


def machine(device: torch.device) -> str:
    """Describe what the networks ran on."""
    gpu = f"{torch.cuda.get_device_name(device)}, " if device.type == "cuda" else ""
    threads = torch.get_num_threads()
    cores = f"{os.cpu_count()} cores ({_processor()}), {threads} thread{'s' * (threads > 1)}"
    return f"{gpu}{cores}, PyTorch {torch.__version__}"


def _processor() -> str:
    """Return the model of the processor where Linux tells it, or else its architecture."""
    try:
        told = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        told = None
    return told[1].strip() if told else platform.machine()


def page(report: Report) -> str:
    """Return the page as Markdown."""
    winner = best(report.results)
    text = Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        command=report.command,
        machine=machine(report.device),
        size=report.size,
        missing=_missing(report.missing),
        shifted_count=report.count(Half.SHIFTED),
        shifted=accuracy_table(report.results, report.missing, Half.SHIFTED),
        training_count=report.count(Half.TRAINING),
        training=accuracy_table(report.results, report.missing, Half.TRAINING),
        pictures=PICTURES.as_posix(),
        best=winner.name,
        bones=hard_bones_table(winner),
        robustness_count=len(next(iter(winner.robustness.values()))),
        robustness=robustness_table(report.results),
        false_positives=false_positives_table(report.results),
        weights=weights_table(report.results),
    )
    return re.sub(r"\n{3,}", "\n\n", text)  # where nothing is missing


def summary(report: Report) -> str:
    """Return what the README tells: the shifted half."""
    hands = f"{report.count(Half.SHIFTED)} simulated hands of {report.size} px"
    return "\n\n".join(
        [
            f"Made by `{report.command}` on {hands} (preset `shifted`); {machine(report.device)}:",
            accuracy_table(report.results, report.missing, Half.SHIFTED),
            f"![Dice of every bundle on both halves](docs/{(PICTURES / ACCURACY).as_posix()})",
            "[Hands like those of the training, single bones and robustness](docs/benchmark.md)",
        ]
    )


def write_page(path: Path, report: Report) -> None:
    """Write the page.

    Raises:
        HandsegInputError: it cannot be written.
    """
    with write_atomically(path) as temporary:
        temporary.write_text(page(report), encoding="utf-8")


def update_readme(path: Path, report: Report) -> None:
    """Put the summary between the markers of a README.

    Raises:
        HandsegInputError: the markers are not there, or the file cannot be written.
    """
    text = with_numbers(path, summary(report))
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _missing(missing: Sequence[Contestant]) -> str:
    """Return which weights are not there, as a list."""
    lines = [f"- `{one.name}`: no weights of {', '.join(f'`{name}`' for name in one.missing)}" for one in missing]
    return "\n".join(["Not measured:", "", *lines]) if lines else ""
