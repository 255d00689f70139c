"""Charts of a comparison: scores with intervals, learning curves, differences per bone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from handseg_bundle_common.anatomy import Group, bones_of
from handseg_bundle_common.charts import (
    BAND,
    BLUE,
    FAINT,
    GREEN,
    GROUP_COLOURS,
    INK,
    MUTED,
    MUTED_TEXT,
    PURPLE,
    VERMILION,
    Chart,
    new_figure,
    plain,
)
from handseg_bundle_common.metrics import Interval
from handseg_bundle_common.metrics.differences import FEWEST_PATIENTS
from handseg_bundle_common.tracking.comparison.runs import AVERAGED, LOSS, VALIDATION
from handseg_bundle_common.tracking.comparison.scores import Comparison, Entry

CHARTS = ("scores", "learning_curves", "difference_per_bone")

# Colours that are dark enough for thin lines; with the dashes they make thirty different lines.
_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, "#B8860B", INK)
_DASHES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)))
_PANELS, _WIDE = 4, 5
_NAME_LENGTH = 34
_ORDERED = [bone for group in Group for bone in bones_of(group)]


def comparison_charts(comparison: Comparison) -> list[Chart]:
    """Return the charts that the runs have data for."""
    charts = [_scores_chart(comparison)]
    if any(len(curve) > 1 for run in comparison.runs for curve in run.curves.values()):
        charts.append(_learning_chart(comparison))
    return [*charts, *_difference_charts(comparison)]


def shortened(text: str, length: int) -> str:
    """Return a text that is cut in its middle to a length: names of runs begin and end with what tells them apart."""
    if len(text) <= length:
        return text
    tail = (length - 1) // 2
    return f"{text[: length - 1 - tail]}…{text[len(text) - tail :]}"


def _scores_chart(comparison: Comparison) -> Chart:
    """Draw mean and small-bone Dice of every run with intervals."""
    entries = comparison.entries
    figure = new_figure(9.5, 1.3 + 0.34 * len(entries))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, title, intervals in zip(
        panels,
        ("all bones", "small bones"),
        ([entry.mean for entry in entries], [entry.small for entry in entries]),
        strict=True,
    ):
        for row, (entry, interval) in enumerate(zip(entries, intervals, strict=True)):
            _draw_interval(axes, row, interval, _colour(entry), is_filled=not np.isnan(interval.low))
        base = comparison.baseline
        if base is not None:
            axes.axvline(intervals[base.number - 1].estimate, color=MUTED, linewidth=1, linestyle="--", zorder=0)
        _grid(axes)
        axes.set_xlabel(f"Dice, {title}", color=INK)
    panels[0].set_yticks(range(len(entries)), [_label(entry) for entry in entries])
    panels[0].set_ylim(len(entries) - 0.5, -0.5)
    caption = "Means over bones and images with 95 % intervals, bootstrapped over patients; hollow where there is none."
    if comparison.baseline is not None:
        caption += f" Dashed: the baseline, run {comparison.baseline.number}."
    return Chart(CHARTS[0], "Scores", caption, figure)


def _learning_chart(comparison: Comparison) -> Chart:
    """Draw validation Dice and training loss over epochs, one line a run, averaged weights as stars."""
    entries = [entry for entry in comparison.entries if any(entry.run.curves.values())]
    figure = new_figure(10.5, 4.2 + 0.22 * ((len(entries) + 2) // 3))
    left, right = figure.subplots(1, 2)
    for entry in entries:
        _draw_curve(left, entry, VALIDATION)
        _draw_curve(right, entry, LOSS)
        averaged = _columns(entry.run.curves[AVERAGED])
        left.plot(
            *averaged, "*-", color=_colour(entry), markersize=10, markeredgecolor="white", linewidth=0.8, zorder=5
        )
    _scale_losses(right, [value for entry in entries for _, value in entry.run.curves[LOSS]])
    for axes, label in ((left, "validation, mean Dice"), (right, "training, loss")):
        _grid(axes, axis="both")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch", color=INK)
        axes.set_ylabel(label, color=INK)
    handles = [Line2D([], [], color=_colour(entry), linestyle=_dashes(entry)) for entry in entries]
    labels = [_label(entry) for entry in entries]
    if any(entry.run.curves[AVERAGED] for entry in entries):
        handles.append(Line2D([], [], color=MUTED, marker="*", markersize=10, linestyle=""))
        labels.append("averaged weights (SWA)")
    figure.legend(handles, labels, loc="outside lower center", ncols=min(3, len(labels)), frameon=False, fontsize=8.5)
    missing = [str(entry.number) for entry in comparison.entries if entry not in entries]
    caption = "One line a run; a star is the Dice of averaged weights. Losses of different kinds are not on one scale."
    if missing:
        caption += f" Without curves: {', '.join(missing)}."
    return Chart(CHARTS[1], "Learning curves", caption, figure)


def _draw_curve(axes: Axes, entry: Entry, name: str) -> None:
    curve = entry.run.curves[name]
    # A single point has no line to be seen by.
    marker = "o" if len(curve) == 1 else ""
    axes.plot(
        *_columns(curve), color=_colour(entry), linestyle=_dashes(entry), linewidth=1.5, marker=marker, markersize=4
    )


def _scale_losses(axes: Axes, losses: Sequence[float]) -> None:
    """Take a logarithmic axis where losses of several magnitudes stand together."""
    if losses and min(losses) > 0 and max(losses) > _WIDE * min(losses):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _difference_charts(comparison: Comparison) -> Iterator[Chart]:
    """Draw the differences to the baseline, a few runs a chart, all on one scale."""
    shown = [entry for entry in comparison.entries if entry.differences]
    base = comparison.baseline
    if base is None or not shown:
        return
    intervals = [entry.differences[bone.name].gain for entry in shown for bone in _ORDERED]
    ends = np.abs([(interval.low, interval.estimate, interval.high) for interval in intervals])
    reach = 1.08 * float(np.nan_to_num(ends).max()) or 1.0
    for number, start in enumerate(range(0, len(shown), _PANELS)):
        yield _difference_chart(shown[start : start + _PANELS], base, reach, number)


def _difference_chart(shown: Sequence[Entry], base: Entry, reach: float, number: int) -> Chart:
    """Draw one panel a run: rows of bones by group, points with intervals."""
    figure = new_figure(2.4 + 2.6 * len(shown), 8.2)
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for axes, entry in zip(panels, shown, strict=True):
        for row, bone in enumerate(_ORDERED):
            difference = entry.differences[bone.name]
            colour = GROUP_COLOURS[bone.group]
            _draw_interval(axes, row, difference.gain, colour, is_filled=difference.is_certain)
        axes.axvline(0, color=MUTED, linewidth=1, zorder=0.5)
        axes.set_xlim(-reach, reach)
        axes.locator_params(axis="x", nbins=5)
        _shade_groups(axes)
        _grid(axes)
        axes.set_title(_label(entry, 26), fontsize=9.5, color=INK)
    panels[0].set_yticks(range(len(_ORDERED)), [bone.abbreviation for bone in _ORDERED])
    panels[0].set_ylim(len(_ORDERED) - 0.5, -0.5)
    for (start, end), group in zip(_bands(), Group, strict=True):
        panels[-1].text(
            1.03,
            (start + end - 1) / 2,
            group,
            MUTED_TEXT,
            transform=panels[-1].get_yaxis_transform(),
            va="center",
            rotation=270,
        )
    figure.supxlabel(
        f"← baseline better        difference in Dice to run {base.number}        run better →", fontsize=10
    )
    caption = (
        f"Dice of each run less that of the baseline, run {base.number}, on the images that both have, with 95 % "
        f"intervals bootstrapped over patients; filled where it leaves out 0, with {FEWEST_PATIENTS} patients at least."
    )
    name = CHARTS[2] if number == 0 else f"{CHARTS[2]}_{number + 1}"
    runs = ", ".join(str(entry.number) for entry in shown)
    return Chart(name, f"Difference per bone, run{'s' * (len(shown) > 1)} {runs}", caption, figure)


def _draw_interval(axes: Axes, row: int, interval: Interval, colour: str, *, is_filled: bool) -> None:
    axes.plot((interval.low, interval.high), (row, row), color=colour, linewidth=2.2, solid_capstyle="butt")
    face = colour if is_filled else "white"
    axes.plot(interval.estimate, row, "o", color=colour, markerfacecolor=face, markersize=5.5, markeredgewidth=1.4)


def _shade_groups(axes: Axes) -> None:
    for number, (start, end) in enumerate(_bands()):
        if number % 2 == 0:
            axes.axhspan(start - 0.5, end - 0.5, color=BAND, zorder=0)


def _bands() -> list[tuple[int, int]]:
    """Return first row and end of every group."""
    return list(pairwise([0, *accumulate(len(bones_of(group)) for group in Group)]))


def _grid(axes: Axes, axis: Literal["x", "both"] = "x") -> None:
    plain(axes)
    axes.grid(visible=True, axis=axis, color=FAINT, linewidth=0.5, alpha=0.6)


def _columns(curve: Sequence[tuple[int, float]]) -> tuple[list[int], list[float]]:
    return [epoch for epoch, _ in curve], [value for _, value in curve]


def _colour(entry: Entry) -> str:
    return _COLOURS[(entry.number - 1) % len(_COLOURS)]


def _dashes(entry: Entry) -> Any:
    return _DASHES[(entry.number - 1) // len(_COLOURS) % len(_DASHES)]


def _label(entry: Entry, length: int = _NAME_LENGTH) -> str:
    """Return number and name; matplotlib would take dollars for formulas."""
    return f"{entry.number}  {shortened(entry.run.name, length)}".replace("$", r"\$")
