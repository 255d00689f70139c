"""Figures of the report on simulated hands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from handseg_bundle_common.files import write_atomically
from handseg_bundle_common.simulation.comparison import SPREAD, Comparison, Key

_SIMULATED, _REAL, _OUT, _BAND = "tab:blue", "0.35", "tab:red", "0.9"
_SHAPES = ("area_px", "length_px", "width_px")


def draw_figures(folder: Path, hands: Sequence[Mapping[Key, float]], comparisons: Sequence[Comparison]) -> None:
    """Write the figures of a report as PNG.

    They are ratios, places, overlaps, greys, rim_to_core, texture, tilt and multiplicity.

    Args:
        folder: folder to write to.
        hands: everything measured in every hand.
        comparisons: the same against real hands.
    """
    _save(folder / "ratios.png", _ratios(comparisons))
    _save(folder / "places.png", _places(comparisons))
    _save(folder / "overlaps.png", _bars(comparisons, ("covered", "in_contact")))
    _save(folder / "greys.png", _bars(comparisons, ("grey", "grey_beside")))
    _save(folder / "rim_to_core.png", _bars(comparisons, ("rim_to_core",), (0.6, 1.2)))
    _save(folder / "texture.png", _bars(comparisons, ("texture",)))
    _save(folder / "tilt.png", _histogram(hands, comparisons, "tilt_deg", "tilt of the third metacarpal in degrees"))
    _save(
        folder / "multiplicity.png",
        _histogram(hands, comparisons, "multiple_of_bone", "share of bone pixels with two labels or more"),
    )


def _ratios(comparisons: Sequence[Comparison]) -> Figure:
    """Draw means over real means, and standard deviations over real ones, one row a quantity."""
    figure = Figure(figsize=(18, 12), layout="constrained")
    for panels, quantity in zip(figure.subplots(len(_SHAPES), 2), _SHAPES, strict=True):
        shown = _of(comparisons, quantity)
        if not shown:
            continue
        target = shown[0].target
        band = 0.0 if np.isnan(target.tolerance) else target.tolerance / target.value
        means, spreads = [c.value / c.target.value for c in shown], [c.sd / c.target.sd for c in shown]
        _ratio_panel(panels[0], shown, means, [c.is_within for c in shown], band)
        _ratio_panel(panels[1], shown, spreads, [c.is_spread_within for c in shown], SPREAD[quantity])
        panels[0].set_title(f"{quantity}: mean, simulated over real")
        panels[1].set_title(f"{quantity}: standard deviation, simulated over real")
    return figure


def _ratio_panel(
    axes: Axes, shown: Sequence[Comparison], ratios: Sequence[float], good: Sequence[bool | None], band: float
) -> None:
    """Draw a point a bone, red outside the shaded tolerance."""
    axes.axhspan(1 - band, 1 + band, color=_BAND)
    axes.axhline(1, color=_REAL, linewidth=0.8)
    axes.scatter(np.arange(len(shown)), ratios, 28, [_OUT if is_good is False else _SIMULATED for is_good in good])
    _name_bones(axes, shown)


def _places(comparisons: Sequence[Comparison]) -> Figure:
    """Draw how far the mean centroids lie from the real ones, and the ranges of the axes beside the real ones."""
    figure = Figure(figsize=(13, 12), layout="constrained")
    *centroids, angles = figure.subplots(3, 1)
    for axes, quantity in zip(centroids, ("x_px", "y_px"), strict=True):
        shown = _of(comparisons, quantity)
        axes.axhline(0, color=_REAL, linewidth=0.8)
        axes.scatter(np.arange(len(shown)), [c.value - c.target.value for c in shown], 28, _SIMULATED)
        _name_bones(axes, shown)
        axes.set_title(f"{quantity}: mean, simulated less real")
    low, middle, high = (_of(comparisons, "axis_deg", percentile) for percentile in (10, 50, 90))
    for shift, colour in ((-0.15, _SIMULATED), (0.15, _REAL)):
        rows = [[c.target.value if colour == _REAL else c.value for c in part] for part in (low, middle, high)]
        places = np.arange(len(middle)) + shift
        angles.vlines(places, rows[0], rows[2], color=colour, linewidth=3)
        angles.scatter(places, rows[1], 28, colour)
    _name_bones(angles, middle)
    angles.set_title("axis_deg: 10th, 50th and 90th percentile, simulated (blue) and real (grey)")
    return figure


def _bars(
    comparisons: Sequence[Comparison], quantities: Sequence[str], limits: tuple[float, float] | None = None
) -> Figure:
    """Draw bars with the standard deviation over hands beside the real values, one panel a quantity."""
    figure = Figure(figsize=(13, 4.5 * len(quantities)), layout="constrained")
    panels = figure.subplots(len(quantities), 1, squeeze=False)[:, 0]
    for axes, quantity in zip(panels, quantities, strict=True):
        shown = _of(comparisons, quantity)
        places = np.arange(len(shown))
        colours = [_OUT if c.is_within is False else _SIMULATED for c in shown]
        # That two bones touch is true or false in one hand: its standard deviation says no more than the mean.
        spreads = None if quantity == "in_contact" else [c.sd for c in shown]
        axes.bar(places - 0.2, [c.value for c in shown], 0.4, yerr=spreads, color=colours, ecolor="0.6")
        axes.bar(places + 0.2, [c.target.value for c in shown], 0.4, color=_REAL)
        _name_bones(axes, shown)
        axes.set_title(f"{quantity}: simulated (blue, red where out of tolerance) and real (grey)")
        if limits:
            axes.set_ylim(limits)
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


def _of(comparisons: Sequence[Comparison], quantity: str, percentile: int | None = None) -> list[Comparison]:
    return [c for c in comparisons if (c.target.quantity, c.target.percentile) == (quantity, percentile)]


def _name_bones(axes: Axes, shown: Sequence[Comparison]) -> None:
    axes.set_xticks(np.arange(len(shown)), [c.target.bone for c in shown], rotation=60, ha="right", fontsize=8)


def _save(path: Path, figure: Figure) -> None:
    with write_atomically(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
