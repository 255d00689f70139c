"""A comparison as text: for a terminal of 100 columns, as Markdown, and as CSV."""

from __future__ import annotations

import csv
import re
import textwrap
from collections.abc import Sequence
from os import PathLike

import numpy as np

from handseg_bundle_common.charts import Chart
from handseg_bundle_common.files import write_csv
from handseg_bundle_common.metrics import Interval
from handseg_bundle_common.metrics.differences import ALL, SMALL
from handseg_bundle_common.tracking.comparison.figures import shortened
from handseg_bundle_common.tracking.comparison.scores import Comparison, Entry
from handseg_bundle_common.tracking.comparison.settings import Setting

CAUTION = (
    "Of a hundred intervals about five leave out the true value by chance alone: the more runs and bones are compared, "
    "the less a single find means."
)
MISSING = "-"

_WIDTH = 100
_NAME, _VALUE = 27, 36
# A space at which no line is broken.
_BOUND = "\N{NO-BREAK SPACE}"


def comparison_text(comparison: Comparison) -> str:
    """Return the tables of a comparison for a terminal."""
    rows = [("", "run", "Dice, 95 % interval", "small bones", "difference to baseline")]
    for entry in comparison.entries:
        scores = (interval_text(entry.mean), interval_text(entry.small), difference_text(entry))
        rows.append((str(entry.number), shortened(entry.run.name, _NAME), *scores))
    blocks = [_aligned(rows), "\n".join(map(_wrapped, notes(comparison)))]
    for title, settings in (("settings that differ", comparison.settings), ("made with", comparison.environment)):
        if settings:
            blocks.append("\n".join([f"{title} (value: runs)", *_setting_lines(settings)]))
    return "\n\n".join(blocks)


def comparison_markdown(comparison: Comparison, charts: Sequence[Chart], folder: str) -> str:
    """Return a comparison as Markdown.

    Args:
        comparison: the runs.
        charts: figures to show.
        folder: where they lie, seen from the file.
    """
    head = ("", "run", "started", "scores from", "Dice", "small bones", "difference", "difference, small bones")
    rows = [
        (
            str(entry.number),
            entry.run.name,
            f"{entry.run.started:%Y-%m-%d %H:%M}",
            entry.source,
            interval_text(entry.mean, 4),
            interval_text(entry.small, 4),
            difference_text(entry, digits=4),
            difference_text(entry, SMALL, digits=4),
        )
        for entry in comparison.entries
    ]
    parts = [f"# Runs of {_escaped(comparison.experiment)}", _table(head, rows), *map(_escaped, notes(comparison))]
    for title, settings in (("Settings that differ", comparison.settings), ("Made with", comparison.environment)):
        if settings:
            lines = [
                (setting.name, "; ".join(f"{value}: {runs}" for value, runs in _groups(setting)))
                for setting in settings
            ]
            parts += [f"## {title}", _table(("setting", "value: runs"), lines)]
    for chart in charts:
        parts += [f"## {chart.title}", f"![{chart.title}]({folder}/{chart.name}.png)", chart.caption]
    return "\n\n".join(parts) + "\n"


def write_runs(path: str | PathLike[str], comparison: Comparison) -> None:
    """Write a CSV with one row a run: scores, differences to the baseline, and `params.NAME` of all that differs.

    Raises:
        HandsegInputError: the file cannot be written.
    """
    settings = [*comparison.settings, *comparison.environment]
    with write_csv(path) as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                *("number", "run_name", "run_id", "kind", "started", "minutes", "scores_from"),
                *(f"{name}{end}" for name in ("mean_dice", "small_bone_dice") for end in ("", "_low", "_high")),
                *(f"{name}{end}" for name in ("difference", "small_bone_difference") for end in ("", "_low", "_high")),
                *("compared_images", "remark"),
                *(f"params.{setting.name}" for setting in settings),
            ]
        )
        for entry in comparison.entries:
            run = entry.run
            writer.writerow(
                [
                    *(entry.number, run.name, run.run_id, run.kind, f"{run.started:%Y-%m-%dT%H:%M:%SZ}"),
                    *("" if run.minutes is None else round(run.minutes, 2), entry.source),
                    *_numbers(entry.mean),
                    *_numbers(entry.small),
                    *(number for part in (ALL, SMALL) for number in _gain(entry, part)),
                    *(entry.images if entry.differences else "", entry.remark),
                    *(setting.values[entry.number - 1] or "" for setting in settings),
                ]
            )


def write_differences(path: str | PathLike[str], comparison: Comparison) -> None:
    """Write a CSV with one row for every run and part of the hand: bones, groups, small bones and all.

    Raises:
        HandsegInputError: the file cannot be written.
    """
    base = comparison.baseline
    with write_csv(path) as file:
        writer = csv.writer(file)
        head = ("number", "run_name", "baseline", "bone", "anatomical_name", "images", "dice", "baseline_dice")
        writer.writerow([*head, "difference", "low", "high", "is_certain"])
        for entry in comparison.entries:
            for found in entry.differences.values():
                name = "" if base is None else base.run.name
                about = (entry.number, entry.run.name, name, found.part, found.label, found.images)
                writer.writerow(
                    [*about, *map(_plain, (found.dice, found.other_dice)), *_numbers(found.gain), found.is_certain]
                )


def interval_text(interval: Interval, digits: int = 3) -> str:
    """Return an estimate with its interval, as far as they are known."""
    if np.isnan(interval.estimate):
        return MISSING
    text = f"{interval.estimate:.{digits}f}"
    return text if np.isnan(interval.low) else f"{text} ({interval.low:.{digits}f}-{interval.high:.{digits}f})"


def difference_text(entry: Entry, part: str = ALL, *, digits: int = 3) -> str:
    """Return what a run gains over the baseline with its interval, or why this cannot be told."""
    if not entry.differences:
        return entry.remark
    gain = entry.differences[part].gain
    if np.isnan(gain.estimate):
        return MISSING
    text = f"{gain.estimate:+.{digits}f}"
    return text if np.isnan(gain.low) else f"{text} ({gain.low:+.{digits}f} to {gain.high:+.{digits}f})"


def baseline_text(comparison: Comparison) -> str:
    """Return which run is the baseline, and why."""
    base = comparison.baseline
    if base is None:
        return "No run has scores of images, so there are no intervals of differences."
    return f"Baseline: run {base.number}, {base.run.name} ({comparison.baseline_reason})."


def left_out_text(comparison: Comparison) -> list[str]:
    """Return what runs are not compared, by the reason."""
    reasons: dict[str, list[str]] = {}
    for one in comparison.left_out:
        reasons.setdefault(one.reason, []).append(one.name)
    return [f"Left out, {reason}: {', '.join(names)}." for reason, names in reasons.items()]


def number_ranges(numbers: Sequence[int]) -> str:
    """Return ascending numbers, those in a row as a range."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][-1] == number - 1:
            ranges[-1].append(number)
        else:
            ranges.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in ranges)


def notes(comparison: Comparison) -> list[str]:
    """Return what a reader should know beside the tables, as sentences."""
    return [baseline_text(comparison), *comparison.warnings, *left_out_text(comparison), CAUTION]


def _wrapped(text: str, head: str = "") -> str:
    hang = " " * len(head)
    filled = textwrap.fill(text, _WIDTH, initial_indent=head, subsequent_indent=hang, break_on_hyphens=False)
    return filled.replace(_BOUND, " ")


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _setting_lines(settings: Sequence[Setting]) -> list[str]:
    width = min(_NAME, max(len(setting.name) for setting in settings))
    lines = []
    for setting in settings:
        # A value stays on a line with the first of its runs.
        groups = [f"{shortened(value, _VALUE)}: ".replace(" ", _BOUND) + runs for value, runs in _groups(setting)]
        lines.append(_wrapped("   ".join(groups), f"  {shortened(setting.name, width):{width}}  "))
    return lines


def _groups(setting: Setting) -> list[tuple[str, str]]:
    """Return the values of a setting, each with the runs that have it."""
    return [(MISSING if value is None else value, number_ranges(numbers)) for value, numbers in setting.grouped()]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(map(_escaped, row))} |" for row in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def _escaped(text: str) -> str:
    """Return a text in which Markdown finds no marks of its own."""
    return re.sub(r"([\\`*_{}\[\]<>#|~$!])", r"\\\1", text)


def _gain(entry: Entry, part: str) -> tuple[float | str, ...]:
    return _numbers(entry.differences[part].gain) if entry.differences else ("", "", "")


def _numbers(interval: Interval) -> tuple[float | str, ...]:
    return tuple(map(_plain, (interval.estimate, interval.low, interval.high)))


def _plain(value: float) -> float | str:
    return "" if np.isnan(value) else value
