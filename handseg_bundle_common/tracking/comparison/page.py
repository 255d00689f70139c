"""A comparison as one HTML page that needs no other file and no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import numpy as np

from handseg_bundle_common import __version__
from handseg_bundle_common.anatomy import BONES, CHANNEL
from handseg_bundle_common.charts import Chart
from handseg_bundle_common.metrics import Difference, Interval
from handseg_bundle_common.metrics.differences import ALL, SMALL
from handseg_bundle_common.pages import png_uri, render_page
from handseg_bundle_common.tracking.comparison.figures import shortened
from handseg_bundle_common.tracking.comparison.scores import Comparison, Entry
from handseg_bundle_common.tracking.comparison.text import CAUTION, MISSING, baseline_text, left_out_text

_DIGITS = 4


@dataclass(frozen=True)
class Column:
    """A column of the table of runs."""

    name: str
    is_number: bool = True


@dataclass(frozen=True)
class Cell:
    """A cell of a table: text, what it is sorted by, its interval, and classes of its style."""

    text: str
    key: str | float = ""
    interval: str = ""
    style: str = "number"


@dataclass(frozen=True)
class Row:
    """A run in the table."""

    name: str
    is_baseline: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Part:
    """A bone or several in the table of differences."""

    label: str
    group: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Illustration:
    """A chart in the page: heading, what to see in it, data URI and size in px."""

    title: str
    caption: str
    source: str
    width: int
    height: int


_COLUMNS = (
    Column("No."),
    Column("Run", is_number=False),
    Column("Kind", is_number=False),
    Column("Dice"),
    Column("Small bones"),
    Column("Difference"),
    Column("Difference, small bones"),
    Column("Images compared"),
    Column("Scores from", is_number=False),
    Column("Started, UTC", is_number=False),
    Column("Minutes"),
    Column("Identifier", is_number=False),
)


def comparison_page(comparison: Comparison, charts: Sequence[tuple[Chart, Path]]) -> str:
    """Return the page.

    Args:
        comparison: the runs.
        charts: figures and the files that they were saved to.
    """
    compared = [entry for entry in comparison.entries if entry.differences]
    return render_page(
        resources.files(__package__),
        "compare",
        experiment=comparison.experiment,
        version=__version__,
        date=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        baseline=baseline_text(comparison),
        warnings=comparison.warnings,
        caution=CAUTION,
        left_out=left_out_text(comparison),
        columns=_COLUMNS,
        rows=[_row(entry, comparison) for entry in comparison.entries],
        settings=comparison.settings,
        environment=comparison.environment,
        figures=[_illustration(chart, path) for chart, path in charts],
        compared=[f"{entry.number} {shortened(entry.run.name, 22)}" for entry in compared],
        parts=_parts(compared),
    )


def _row(entry: Entry, comparison: Comparison) -> Row:
    run = entry.run
    started = f"{run.started:%Y-%m-%d %H:%M}"
    cells = (
        Cell(str(entry.number), entry.number),
        Cell(run.name, run.name),
        Cell(run.kind or MISSING, run.kind, style=""),
        _score(entry.mean),
        _score(entry.small),
        _gain(entry, ALL),
        _gain(entry, SMALL),
        Cell(str(entry.images), entry.images) if entry.images else Cell(MISSING),
        Cell(entry.source, entry.source, style=""),
        Cell(started, started, style=""),
        Cell(MISSING) if run.minutes is None else Cell(f"{run.minutes:.1f}", run.minutes),
        Cell(run.run_id, run.run_id, style="muted"),
    )
    return Row(run.name, entry is comparison.baseline, cells)


def _score(interval: Interval, sign: str = "", style: str = "number") -> Cell:
    if np.isnan(interval.estimate):
        return Cell(MISSING)
    ends = [] if np.isnan(interval.low) else [f"{end:{sign}.{_DIGITS}f}" for end in (interval.low, interval.high)]
    return Cell(f"{interval.estimate:{sign}.{_DIGITS}f}", interval.estimate, " to ".join(ends), style)


def _gain(entry: Entry, part: str) -> Cell:
    return _difference(entry.differences[part]) if entry.differences else Cell(entry.remark, style="number muted")


def _difference(difference: Difference) -> Cell:
    better_or_worse = "better" if difference.gain.estimate > 0 else "worse"
    return _score(difference.gain, "+", f"number {better_or_worse}" if difference.is_certain else "number")


def _parts(compared: Sequence[Entry]) -> list[Part]:
    """Return the rows of the table of differences."""
    if not compared:
        return []
    parts = compared[0].differences.values()
    return [
        Part(
            _label(part.part, part.label),
            str(BONES[CHANNEL[part.part]].group) if part.part in CHANNEL else "several",
            tuple(_difference(entry.differences[part.part]) for entry in compared),
        )
        for part in parts
    ]


def _label(part: str, label: str) -> str:
    return f"{BONES[CHANNEL[part]].abbreviation}  {label}" if part in CHANNEL else label


def _illustration(chart: Chart, path: Path) -> Illustration:
    width, height = (round(inches * chart.figure.dpi) for inches in chart.figure.get_size_inches())
    return Illustration(chart.title, chart.caption, png_uri(path), width, height)
