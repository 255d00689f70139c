"""Charts with one row a bone: Dice, boundary error rate, difference between two runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.charts import (
    BLUE,
    BONE_COLOURS,
    FAINT,
    INK,
    MUTED,
    VERMILION,
    Chart,
    bone_rows,
    dice_axis,
    names_of,
    percent,
)
from handseg_bundle_common.metrics import Interval, bootstrap_interval

Scores = NDArray[np.float64]

# Half of the band lies inside the bone: so many of its pixels are wrong where the outline is nowhere right.
_NOWHERE_RIGHT = 0.5
_JITTER, _MOST_OPAQUE, _LEAST_OPAQUE = 0.26, 0.65, 0.12


def dice_chart(dice: Scores) -> Chart:
    """Draw the distribution of Dice of every bone: box with median and quartiles, a point an image.

    Args:
        dice: (N, 29).
    """
    figure, axes = bone_rows()
    known = [column[~np.isnan(column)] for column in dice.T]
    boxes = axes.boxplot(
        known, positions=range(len(known)), widths=0.62, orientation="horizontal", showfliers=False, manage_ticks=False
    )
    rng = np.random.default_rng(0)
    opacity = float(np.clip(20 / max(len(dice), 1), _LEAST_OPAQUE, _MOST_OPAQUE))
    for row, (scores, colour) in enumerate(zip(known, BONE_COLOURS, strict=True)):
        places = row + rng.uniform(-_JITTER, _JITTER, len(scores))
        axes.scatter(scores, places, 11, colour, alpha=opacity, linewidths=0, zorder=2)
    for part, lines in boxes.items():
        for line in lines:
            line.set(color=INK, linewidth=2.0 if part == "medians" else 0.8, zorder=3)
    dice_axis(axes.xaxis, dice.ravel().tolist())
    medians = np.array([np.median(scores) if scores.size else np.nan for scores in known])
    worst = _lowest(medians, 3, below=1)
    lowest = ", ".join(f"{medians[channel]:.3f}" for channel in worst)
    found = f"The lowest medians are those of {names_of(worst)} ({lowest})." if worst else "All medians are 1."
    caption = f"Box: median and quartiles over images; a point is one image. {found}"
    return Chart("dice_per_bone", "Dice of every bone", caption, figure)


def boundary_chart(rates: Scores, patients: Sequence[str]) -> Chart:
    """Draw the mean boundary error rate of every bone with its bootstrap interval over patients.

    Args:
        rates: (N, 29).
        patients: whose image each of the N is.
    """
    figure, axes = bone_rows()
    intervals = [bootstrap_interval(column, patients) for column in rates.T]
    for row, (interval, colour) in enumerate(zip(intervals, BONE_COLOURS, strict=True)):
        axes.plot((interval.low, interval.high), (row, row), color=colour, linewidth=4, alpha=0.35)
        axes.plot(interval.estimate, row, "o", color=colour, markersize=6)
    axes.set_xlim(left=0)
    axes.axvline(_NOWHERE_RIGHT, color=MUTED, linewidth=1, linestyle="--")
    axes.grid(axis="x", color=FAINT, linewidth=0.5, alpha=0.6)
    percent(axes.xaxis)
    axes.set_xlabel("Wrong pixels in the band along the outline", color=INK)
    means = np.array([interval.estimate for interval in intervals])
    worst = _lowest(-means, 3, below=0)
    highest = ", ".join(f"{100 * means[channel]:.1f} %" for channel in worst)
    found = f"Outlines are least exact at {names_of(worst)} ({highest})." if worst else "All outlines are exact."
    caption = (
        "Share of wrong pixels in the band of one px on either side of the reference's outline, at the radiograph's "
        "own size. About 50 %, the dashed line, means nowhere right, however far off. "
        f"Mean over images; the bar is its 95 % interval, bootstrapped over patients. {found}"
    )
    return Chart("boundary_error", "Boundary error of every bone", caption, figure)


def difference_chart(
    differences: Sequence[Interval], this: str, other: str, *, is_certain: Sequence[bool] | None = None
) -> Chart:
    """Draw the difference in Dice of every bone between two runs, with its bootstrap interval over patients.

    Args:
        differences: of every bone, in channel order; positive where this run is better.
        this: name of this run.
        other: name of the other.
        is_certain: whether each counts if its interval leaves out 0, which it does not with few patients; all do by
            default.
    """
    figure, axes = bone_rows()
    axes.axvline(0, color=MUTED, linewidth=1)
    better, worse = [], []
    for row, interval in enumerate(differences):
        colour = MUTED
        if is_certain is not None and not is_certain[row]:
            pass
        elif interval.low > 0:
            colour = BLUE
            better.append(row)
        elif interval.high < 0:
            colour = VERMILION
            worse.append(row)
        filled = colour if colour != MUTED else "white"
        axes.plot((interval.low, interval.high), (row, row), color=colour, linewidth=2.4)
        axes.plot(interval.estimate, row, "o", color=colour, markerfacecolor=filled, markersize=7, markeredgewidth=1.6)
    ends = np.abs([(interval.low, interval.estimate, interval.high) for interval in differences])
    reach = 1.12 * float(np.nan_to_num(ends).max()) or 1.0
    axes.set_xlim(-reach, reach)
    axes.grid(axis="x", color=FAINT, linewidth=0.5, alpha=0.6)
    axes.set_xlabel("← other run better        difference in Dice        this run better →", color=INK)
    caption = (
        f"Dice of {this} less that of {other} on the same images, with 95 % intervals bootstrapped over patients; "
        f"filled where the interval leaves out 0. Better: {names_of(better)}. Worse: {names_of(worse)}."
    )
    return Chart("difference_per_bone", "Difference of every bone", caption, figure)


def _lowest(values: Scores, count: int, below: float) -> list[int]:
    """Return the channels of the lowest values, lowest first; NaN and what is not below a limit is left out."""
    return [int(channel) for channel in np.argsort(values) if values[channel] < below][:count]
