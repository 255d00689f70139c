"""The multi-label confusion matrix as a chart."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONES, NUM_BONES
from handseg_bundle_common.charts import FAINT, INK, Chart, new_figure
from handseg_bundle_common.metrics import Confusion

Rates = NDArray[np.float64]

# Confusions rarer than that are not coloured, and those from the second on have their number written.
_RAREST, _WRITTEN = 1e-4, 0.005
# The colour from which on white is read better than black.
_DARK = 0.02
_SHORT = [*(bone.abbreviation for bone in BONES), "none"]
_LONG = [*(f"{bone.anatomical_name}  {bone.abbreviation}" for bone in BONES), "no bone"]


def confusion_chart(confusion: Confusion) -> Chart:
    """Draw the rates of a confusion matrix, its colours on a logarithmic scale; what matters has its number."""
    figure = new_figure(12.4, 9)
    axes = figure.subplots()
    rates = confusion.rates()
    shown = np.ma.masked_less(np.ma.masked_invalid(rates), _RAREST)
    axes.set_facecolor("white")
    image = axes.imshow(shown, cmap="YlGnBu", norm=LogNorm(_RAREST, 1), interpolation="nearest", aspect="auto")
    for row in np.flatnonzero(np.isnan(rates).all(axis=1)):
        axes.add_patch(Rectangle((-0.5, row - 0.5), len(rates), 1, facecolor="none", edgecolor=FAINT, hatch="////"))
    _write_rates(axes, rates)
    _frame(axes)
    bar = figure.colorbar(image, ax=axes, fraction=0.03, pad=0.015)
    bar.set_ticks([1e-4, 1e-3, 1e-2, 1e-1, 1], labels=["0.01 %", "0.1 %", "1 %", "10 %", "100 %"])
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=9, colors=INK, color=FAINT)
    bar.set_label("Share of the pixels of the row's bone", color=INK)
    return Chart("confusion", "Which bone gets the label of which", _caption(rates), figure)


def worst_confusions(rates: Rates, count: int) -> list[tuple[int, int]]:
    """Return the bones that most often get the label of another, (row, column), most often first."""
    wrong = np.nan_to_num(rates[:NUM_BONES, :NUM_BONES])
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:count]
    places = [divmod(int(place), NUM_BONES) for place in order]
    return [(row, column) for row, column in places if wrong[row, column] >= _RAREST]


def _write_rates(axes: Axes, rates: Rates) -> None:
    for (row, column), rate in np.ndenumerate(rates):
        if rate >= _WRITTEN:
            text = f"{100 * rate:.0f}" if rate >= 0.0995 else f"{100 * rate:.1f}"
            axes.text(
                column,
                row,
                text,
                ha="center",
                va="center",
                fontsize=7.5,
                color="white" if rate > _DARK else INK,
                fontweight="normal" if row == column else "bold",
            )


def _frame(axes: Axes) -> None:
    count = len(_SHORT)
    axes.set_xticks(range(count), _SHORT, rotation=90)
    axes.set_yticks(range(count), _LONG)
    axes.tick_params(length=0, labelsize=9, colors=INK)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(count + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(count + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=FAINT, linewidth=0.4, alpha=0.6)
    axes.tick_params(which="minor", length=0)
    axes.set_xlabel("Prediction", color=INK)
    axes.set_ylabel("Reference", color=INK)


def _caption(rates: Rates) -> str:
    found = [
        f"{100 * rates[row, column]:.1f} % of the {BONES[row].anatomical_name} are labelled "
        f"{BONES[column].anatomical_name}"
        for row, column in worst_confusions(rates, 3)
    ]
    most = f"Largest: {', '.join(found)}." if found else "No bone got another's label."
    return (
        f"Share of the pixels of a bone in the reference (row) that falsely got the column's label, in its place or "
        f"besides it, in per cent; a row may exceed 100 %. The diagonal is what was found; the last column what was "
        f"missed and given no other label. Hatched bones are not in the reference. {most} What is drawn over a bone "
        f"that was found as well is not told apart from what is drawn in its place."
    )
