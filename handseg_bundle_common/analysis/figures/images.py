"""Charts with one point an image: small bones against large ones, Dice against the angle of the wrist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import blended_transform_factory
from numpy.typing import NDArray

from handseg_bundle_common.analysis.case import SMALL_CHANNELS, Case
from handseg_bundle_common.anatomy import BONES, NUM_BONES
from handseg_bundle_common.charts import (
    BLUE,
    FAINT,
    INK,
    MUTED,
    VERMILION,
    Chart,
    dice_axis,
    new_figure,
    percent,
    plain,
)
from handseg_bundle_common.datasets.wrist import TILTED_FROM
from handseg_bundle_common.metrics import Interval, bootstrap_interval

Scores = NDArray[np.float64]

_SMALL = np.isin(np.arange(NUM_BONES), SMALL_CHANNELS)
# Where the label of a point may stand beside it, best first: right, left, above, below, in the corners, further off.
_SIDES = np.array([(1, 0), (-1, 0), (0, 1), (0, -1), (1, 0.8), (1, -0.8), (-1, 0.8), (-1, -0.8), (0, 1.9), (0, -1.9)])
# Height of a label, width of its letters and the distance to the point, in points.
_LABEL_HEIGHT, _LETTER_WIDTH, _LABEL_GAP = 10, 5.6, 5


def size_chart(cases: Sequence[Case]) -> Chart:
    """Draw the mean Dice of every bone against its size, and small against large bones image by image."""
    figure = new_figure(11, 5.4)
    left, right = figure.subplots(1, 2, width_ratios=(1.7, 1))
    dice = np.stack([case.scores.dice for case in cases])
    area = np.stack([case.scores.reference_px / (case.height * case.width) for case in cases])
    area[area == 0] = np.nan
    means, sizes = (np.ma.masked_invalid(values).mean(axis=0).filled(np.nan) for values in (dice, area))
    _draw_sizes(left, sizes, means)
    of_images = np.stack([_row_means(dice[:, ~_SMALL]), _row_means(dice[:, _SMALL])])
    _draw_pairs(right, of_images)
    # Where points lie on the page is known when the parts of the figure have been laid out.
    figure.draw_without_rendering()
    _label_points(left, sizes, means, 72 / figure.dpi)
    patients = [case.patient for case in cases]
    large, small = (_described(bootstrap_interval(dice[:, members], patients)) for members in (~_SMALL, _SMALL))
    caption = (
        f"Left: mean Dice of every bone against its mean share of the picture. Right: large and small bones of every "
        f"image. Mean Dice of small bones {small}, of the others {large}."
    )
    return Chart("bone_size", "Small against large bones", caption, figure)


def wrist_chart(cases: Sequence[Case]) -> Chart:
    """Draw the mean Dice of every image against the angle of its wrist, with the means of straight and tilted ones."""
    figure = new_figure(9.5, 4.8)
    axes = figure.subplots()
    plain(axes)
    angles, dice = (np.array([getattr(case, name) for case in cases]) for name in ("wrist_angle", "mean_dice"))
    known = ~np.isnan(angles)
    axes.axvline(TILTED_FROM, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    dice_axis(axes.yaxis, dice[known].tolist(), "Mean Dice of the image")
    axes.set_xlabel("Angle of the third metacarpal against the forearm in degrees, positive to the ulna", color=INK)
    above = blended_transform_factory(axes.transData, axes.transAxes)
    sentences = []
    for name, colour, members in (
        ("straight", BLUE, known & (angles < TILTED_FROM)),
        ("tilted", VERMILION, known & (angles >= TILTED_FROM)),
    ):
        axes.scatter(angles[members], dice[members], 26, colour, alpha=0.6, linewidths=0)
        if members.any():
            patients = [case.patient for case, member in zip(cases, members, strict=True) if member]
            interval = bootstrap_interval(dice[members], patients)
            _draw_mean(axes, angles[members], interval, colour)
            axes.text(float(angles[members].mean()), 1.01, name, color=colour, ha="center", transform=above)
            wrists = "wrist" if len(patients) == 1 else "wrists"
            sentences.append(f"{len(patients)} {name} {wrists}: mean Dice {_described(interval)}.")
    if not known.any():
        axes.text(0.5, 0.5, "The angle of no wrist is known.", ha="center", transform=axes.transAxes, color=MUTED)
        sentences.append("The angle of no wrist is known.")
    caption = f"A point is one image; wrists from {TILTED_FROM:g} degrees on are tilted. {' '.join(sentences)}"
    return Chart("wrist_angle", "Dice against the angle of the wrist", caption, figure)


def _draw_sizes(axes: Axes, sizes: Scores, means: Scores) -> None:
    plain(axes)
    for name, colour, members in (("small bones", VERMILION, _SMALL), ("other bones", BLUE, ~_SMALL)):
        axes.scatter(sizes[members], means[members], 34, colour, label=name, linewidths=0)
    axes.set_xscale("log")
    dice_axis(axes.yaxis, means.tolist(), "Mean Dice")
    known = ~(np.isnan(sizes) | np.isnan(means))
    axes.margins(x=0.09)
    ticks = [share for share in (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1) if _within(share, sizes[known])]
    axes.set_xticks(ticks)
    axes.set_xticks([], minor=True)
    percent(axes.xaxis)
    axes.set_xlabel("Mean share of the picture", color=INK)
    axes.legend(loc="lower right", frameon=False, fontsize=9)


def _within(share: float, shares: Scores) -> bool:
    return bool(shares.size and shares.min() / 1.3 <= share <= shares.max() * 1.3)


def _label_points(axes: Axes, x: Scores, y: Scores, points_a_px: float) -> None:
    """Write the abbreviations of bones beside their points, each where it has most room."""
    channels = np.flatnonzero(~np.isnan(x) & ~np.isnan(y))
    points = axes.transData.transform(np.column_stack([x, y])[channels]) * points_a_px
    taken = points
    for place, channel in zip(points, channels, strict=True):
        others = taken[(taken != place).any(axis=1)]
        label = BONES[channel].abbreviation
        size = np.array((_LETTER_WIDTH * len(label), _LABEL_HEIGHT))
        shifts = _SIDES * (size / 2 + (_LABEL_GAP, _LABEL_HEIGHT / 2))
        room = [np.square((others - place - shift) / size).sum(axis=1).min(initial=1) for shift in shifts]
        shift = shifts[int(np.argmax(room))]
        taken = np.vstack([taken, place + shift])
        where: dict[str, Any] = {"ha": "center", "va": "center_baseline", "fontsize": 8, "color": INK}
        axes.annotate(label, (x[channel], y[channel]), shift, textcoords="offset points", **where)


def _draw_pairs(axes: Axes, of_images: Scores) -> None:
    """Join the large and the small bones of every image by a line."""
    plain(axes)
    axes.plot((0, 1), of_images, color=FAINT, linewidth=0.8, alpha=float(np.clip(30 / of_images.shape[1], 0.12, 0.8)))
    boxes = axes.boxplot(
        [values[~np.isnan(values)] for values in of_images], positions=(0, 1), widths=0.34, showfliers=False
    )
    for part, lines in boxes.items():
        for line in lines:
            line.set(color=INK, linewidth=2.0 if part == "medians" else 0.9, zorder=3)
    for place, (values, colour) in enumerate(zip(of_images, (BLUE, VERMILION), strict=True)):
        axes.scatter(np.full(len(values), place), values, 14, colour, alpha=0.6, linewidths=0, zorder=2)
    dice_axis(axes.yaxis, of_images.ravel().tolist(), "Mean Dice of the image")
    axes.set_xticks((0, 1), ("other bones", "small bones"))
    axes.set_xlim(-0.5, 1.5)


def _draw_mean(axes: Axes, angles: Scores, interval: Interval, colour: str) -> None:
    ends = float(angles.min()), float(angles.max())
    axes.plot(ends, (interval.estimate, interval.estimate), color=colour, linewidth=2)
    if not np.isnan(interval.low):
        axes.fill_between(ends, interval.low, interval.high, color=colour, alpha=0.15, linewidth=0)


def _described(interval: Interval) -> str:
    """Return an estimate with its interval, if there is one, for a sentence."""
    if np.isnan(interval.low):
        return f"{interval.estimate:.3f}"
    return f"{interval.estimate:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def _row_means(values: Scores) -> Scores:
    return np.asarray(np.ma.masked_invalid(values).mean(axis=1).filled(np.nan), np.float64)
