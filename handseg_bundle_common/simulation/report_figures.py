"""Figures of the report on simulated hands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from handseg_bundle_common.files import write_atomically
from handseg_bundle_common.simulation.comparison import Comparison, Key

_SIMULATED, _REAL, _OUT = "tab:blue", "0.35", "tab:red"
_SCATTERED = ("area_px", "length_px", "width_px", "x_px", "y_px", "axis_deg", "grey", "grey_beside")


def draw_figures(folder: Path, hands: Sequence[Mapping[Key, float]], comparisons: Sequence[Comparison]) -> None:
    """Write the figures of a report as PNG: scatter, overlaps, tilt, greys, rim_to_core, texture and multiplicity.

    Args:
        folder: folder to write to.
        hands: everything measured in every hand.
        comparisons: the same against real hands.
    """
    _save(folder / "scatter.png", _scatter(comparisons))
    for name, quantities in {
        "overlaps": ("covered",),
        "greys": ("grey", "grey_beside"),
        "rim_to_core": ("rim_to_core",),
        "texture": ("texture",),
    }.items():
        _save(folder / f"{name}.png", _bars(comparisons, quantities))
    _save(folder / "tilt.png", _histogram(hands, comparisons, "tilt_deg", "tilt of the third metacarpal in degrees"))
    _save(
        folder / "multiplicity.png",
        _histogram(hands, comparisons, "multiple_of_bone", "share of bone pixels with two labels or more"),
    )


def _scatter(comparisons: Sequence[Comparison]) -> Figure:
    """Draw simulated over real values, one panel a quantity; what is out of tolerance is red and named."""
    figure = Figure(figsize=(16, 8), layout="constrained")
    for axes, quantity in zip(figure.subplots(2, 4).flat, _SCATTERED, strict=True):
        shown = [c for c in comparisons if c.target.quantity == quantity and c.target.percentile in {None, 50}]
        if shown:
            _scatter_panel(axes, shown)
        axes.set_title(quantity + (", median" if quantity == "axis_deg" else ""))
    return figure


def _scatter_panel(axes: Axes, shown: Sequence[Comparison]) -> None:
    real, simulated = (np.array(values) for values in zip(*((c.target.value, c.value) for c in shown), strict=True))
    axes.scatter(real, simulated, 14, [_OUT if c.is_within is False else _SIMULATED for c in shown])
    ends = np.array([min(real.min(), simulated.min()), max(real.max(), simulated.max())])
    axes.plot(ends, ends, color=_REAL, linewidth=0.8)
    for comparison in shown:
        if comparison.is_within is False:
            axes.annotate(comparison.target.bone, (comparison.target.value, comparison.value), fontsize=7)
    axes.set_xlabel("real")
    axes.set_ylabel("simulated")


def _bars(comparisons: Sequence[Comparison], quantities: Sequence[str]) -> Figure:
    """Draw bars with the standard deviation over hands beside the real values, one panel a quantity."""
    figure = Figure(figsize=(13, 4.5 * len(quantities)), layout="constrained")
    panels = figure.subplots(len(quantities), 1, squeeze=False)[:, 0]
    for axes, quantity in zip(panels, quantities, strict=True):
        shown = [c for c in comparisons if c.target.quantity == quantity]
        places = np.arange(len(shown))
        colours = [_OUT if c.is_within is False else _SIMULATED for c in shown]
        axes.bar(places - 0.2, [c.value for c in shown], 0.4, yerr=[c.sd for c in shown], color=colours, ecolor="0.6")
        axes.bar(places + 0.2, [c.target.value for c in shown], 0.4, color=_REAL)
        axes.set_xticks(places, [c.target.bone for c in shown], rotation=60, ha="right", fontsize=8)
        axes.set_title(f"{quantity}: simulated (blue, red where out of tolerance) and real (grey)")
    return figure


def _histogram(
    hands: Sequence[Mapping[Key, float]], comparisons: Sequence[Comparison], quantity: str, label: str
) -> Figure:
    """Draw the distribution over hands, with the real mean or percentiles as lines."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.hist([hand[quantity, ""] for hand in hands], bins=30, color=_SIMULATED)
    found = [c.target for c in comparisons if c.target.quantity == quantity]
    marked = [target for target in found if target.percentile is not None] or found
    for target in marked:
        axes.axvline(target.value, color=_REAL, linestyle="--")
        name = "mean" if target.percentile is None else f"{target.percentile} %"
        axes.annotate(name, (target.value, 1), xycoords=("data", "axes fraction"), fontsize=8, rotation=90, va="top")
    axes.set_xlabel(f"{label}; dashed: real")
    axes.set_ylabel("simulated hands")
    return figure


def _save(path: Path, figure: Figure) -> None:
    with write_atomically(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
