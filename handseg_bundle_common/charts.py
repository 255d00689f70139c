"""How the charts look: colours, rows of bones in anatomical order, a Dice axis that is stretched towards 1."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONES, NUM_BONES, Group
from handseg_bundle_common.files import write_atomically

# Colours that stay apart with every kind of colour blindness. Source: M. Okabe, K. Ito, Color universal design (2008).
BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#007A5A", "#A8487F"
INK, MUTED, FAINT, BAND = "#22262B", "#5B626B", "#B9BFC7", "#F3F5F7"
GROUP_COLOURS = {Group.PHALANGES: BLUE, Group.METACARPALS: GREEN, Group.CARPALS: VERMILION, Group.FOREARM: PURPLE}

BONE_COLOURS = [GROUP_COLOURS[bone.group] for bone in BONES]
BONE_LABELS = [f"{bone.anatomical_name}  {bone.abbreviation}" for bone in BONES]

MUTED_TEXT: dict[str, Any] = {"color": MUTED, "fontsize": 9}

_PARTS = ("thumb", "index\nfinger", "middle\nfinger", "ring\nfinger", "little\nfinger", "carpals", "forearm")
# Places for the ticks of Dice, those first that stand where there is no room for all.
_TICKS = (1, 0.9, 0, 0.99, 0.95, 0.8, 0.5, 0.98, 0.97, 0.96, 0.7, 0.6, 0.3, 0.85, 0.93, 0.92, 0.94, 0.995)
_TICK_DISTANCE, _LEAST_RANGE = 0.065, 0.98
_DPI = 150
_BONE_FIGURE = (9.5, 9.6)


@dataclass(frozen=True, eq=False)
class Chart:
    """A chart and what a reader should see in it.

    Attributes:
        name: name of its file without suffix.
        title: its heading.
        caption: one or two sentences, which are the alternative text as well.
        figure: the chart itself, without heading.
    """

    name: str
    title: str
    caption: str
    figure: Figure


def save_chart(folder: Path, chart: Chart) -> Path:
    """Write a chart as `<folder>/<name>.png` and return the path.

    Raises:
        HandsegInputError: the file cannot be written.
    """
    path = folder / f"{chart.name}.png"
    with write_atomically(path) as temporary:
        chart.figure.savefig(temporary, dpi=_DPI)
    return path


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, sizes in inches, that lays out its parts so that nothing is cut."""
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def bone_rows() -> tuple[Figure, Axes]:
    """Return a figure with one row a bone in channel order, thumb on top, the parts of the hand shaded in turn."""
    figure = new_figure(*_BONE_FIGURE)
    axes = figure.subplots()
    axes.set_ylim(NUM_BONES - 0.4, -0.6)
    axes.set_yticks(range(NUM_BONES), BONE_LABELS)
    plain(axes)
    axes.tick_params(axis="y", length=0)
    beside = blended_transform_factory(axes.transAxes, axes.transData)
    for number, ((start, end), part) in enumerate(zip(_bands(), _PARTS, strict=True)):
        if number % 2 == 0:
            axes.axhspan(start - 0.5, end - 0.5, color=BAND, zorder=0)
        axes.text(1.012, (start + end - 1) / 2, part, MUTED_TEXT, transform=beside, va="center")
    return figure, axes


def plain(axes: Axes) -> None:
    """Leave out what carries no data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=9, color=FAINT)
    axes.set_axisbelow(True)


def dice_axis(axis: Axis, values: Iterable[float], label: str = "Dice") -> None:
    """Give an axis the scale on which the distance to 1 counts by its square root, and ticks where there is room."""
    known = np.asarray([value for value in values if not np.isnan(value)])
    lowest = max(tick for tick in _TICKS if tick <= min(known.min(initial=1), _LEAST_RANGE))
    axes = axis.axes
    highest = min(tick for tick in _TICKS if tick > lowest and (tick >= known.max(initial=0) or tick == 1))
    # A little more, so that no point is cut; the stretched axis needs less of it at 1.
    limits = lowest - 0.02 * (highest - lowest), highest + (0.0006 if highest == 1 else 0.02) * (highest - lowest)
    if axis is axes.xaxis:
        axes.set_xscale("function", functions=(_stretched, _unstretched))
        axes.set_xlim(limits)
    else:
        axes.set_yscale("function", functions=(_stretched, _unstretched))
        axes.set_ylim(limits)
    ticks = _spaced([tick for tick in _TICKS if lowest <= tick <= highest])
    axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_ticks([], minor=True)
    axis.grid(visible=True, color=FAINT, linewidth=0.5, alpha=0.6)
    axis.set_label_text(f"{label} (axis stretched towards 1)", color=INK)


def percent(axis: Axis) -> None:
    """Write the ticks of an axis of shares as percentages."""
    axis.set_major_formatter(lambda value, _: f"{100 * value:g} %")


def names_of(channels: Iterable[int]) -> str:
    """Return bones as part of a sentence: "the pisiform, the lunate and the trapezoid"."""
    names = [f"the {BONES[channel].anatomical_name}" for channel in channels]
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part) if names else "none"


def _bands() -> list[tuple[int, int]]:
    """Return first bone and end of every ray, the carpals and the forearm."""
    last_carpal = max(channel for channel, bone in enumerate(BONES) if bone.group is Group.CARPALS)
    metacarpals = [channel for channel, bone in enumerate(BONES) if bone.group is Group.METACARPALS]
    return list(pairwise([0, *(channel + 1 for channel in metacarpals), last_carpal + 1, NUM_BONES]))


def _stretched(values: NDArray[np.float64]) -> NDArray[np.float64]:
    beyond = np.asarray(values, np.float64) - 1
    return np.sign(beyond) * np.sqrt(np.abs(beyond))


def _unstretched(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 + np.sign(values) * np.square(values)


def _spaced(ticks: Sequence[float]) -> list[float]:
    """Return the ticks, first ones first, that are far enough from those that are kept."""
    places = _stretched(np.array(ticks))
    apart = _TICK_DISTANCE * float(np.ptp(places))
    kept: list[int] = []
    for number, place in enumerate(places):
        if all(abs(place - places[other]) >= apart for other in kept):
            kept.append(number)
    return sorted(ticks[number] for number in kept)
