"""The figures of the benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from hands import Half
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from results import Result, all_bones, best, mean_dice, small_bones

from handseg_bundle_common.anatomy import BONE_NAMES, BONES
from handseg_bundle_common.files import write_atomically
from handseg_bundle_common.metrics import Interval

ACCURACY, BONES_OF_BEST, ROBUSTNESS = "accuracy.png", "bones.png", "robustness.png"

_COLOURS = {Half.SHIFTED: "tab:orange", Half.TRAINING: "tab:blue"}


def draw(folder: Path, results: Sequence[Result]) -> None:
    """Write the figures as PNG.

    Raises:
        HandsegInputError: one of them cannot be written.
    """
    _save(folder / ACCURACY, _accuracy(results))
    _save(folder / BONES_OF_BEST, _bones(best(results)))
    _save(folder / ROBUSTNESS, _robustness(results))


def _accuracy(results: Sequence[Result]) -> Figure:
    """Draw mean and small-bone Dice of every bundle on both halves."""
    figure = Figure(figsize=(10, 1.8 + 0.5 * len(results)), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, score, title in zip(panels, (all_bones, small_bones), ("all bones", "small bones"), strict=True):
        for half in Half:
            _draw_intervals(axes, [result.interval(half, score) for result in results], half)
        axes.set_yticks(np.arange(len(results)), [result.name for result in results])
        axes.set_title(title)
        axes.set_xlabel("Dice, 95 % interval over patients")
        axes.set_ylim(len(results) - 0.5, -0.5)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return figure


def _bones(result: Result) -> Figure:
    """Draw the Dice of every bone on both halves."""
    figure = Figure(figsize=(8, 8.5), layout="constrained")
    axes = figure.subplots()
    for half in Half:
        _draw_intervals(axes, [result.of_bone(half, name) for name in BONE_NAMES], half)
    axes.set_yticks(np.arange(len(BONES)), [bone.anatomical_name for bone in BONES])
    axes.set_ylim(len(BONES) - 0.5, -0.5)
    axes.set_xlabel("Dice, 95 % interval over patients")
    axes.set_title(result.name)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return figure


def _robustness(results: Sequence[Result]) -> Figure:
    """Draw the mean Dice of every bundle for every variant; a dashed line is the unchanged picture."""
    variants = list(results[0].robustness)
    figure = Figure(figsize=(9, 1.5 + 0.36 * len(variants)), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(variants))
    for number, result in enumerate(results):
        dice = [mean_dice(result.robustness[variant]) for variant in variants]
        shifted = places + 0.1 * (number - (len(results) - 1) / 2)
        (points,) = axes.plot(dice, shifted, "o", label=result.name)
        axes.axvline(dice[0], color=points.get_color(), linestyle="--", linewidth=0.8, alpha=0.6)
    axes.set_yticks(places, variants)
    axes.invert_yaxis()
    axes.set_xlabel("mean Dice; dashed: the picture as it is")
    axes.grid(axis="x", alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    return figure


def _draw_intervals(axes: Axes, intervals: Sequence[Interval], half: Half) -> None:
    """Draw estimates with their intervals, one below the other, the second half a little lower."""
    places = np.arange(len(intervals)) + 0.3 * (list(Half).index(half) - 0.5)
    middle, low, high = np.array([(i.estimate, i.low, i.high) for i in intervals]).T
    axes.hlines(places, low, high, color=_COLOURS[half], linewidth=3, alpha=0.4)
    axes.plot(middle, places, "o", color=_COLOURS[half], markersize=4, label=half)
    axes.grid(axis="x", alpha=0.3)


def _save(path: Path, figure: Figure) -> None:
    with write_atomically(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")
