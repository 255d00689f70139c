"""The figure of a selection: scores of the models, how far they agree, and what each member added."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from handseg_bundle_common.ensemble.selection.objective import Objective
from handseg_bundle_common.ensemble.selection.select import Selection
from handseg_bundle_common.files import write_atomically

_SCORES = {"mean": "all bones", "small_bones": "small bones", "overlap_zone": "overlap zone"}
_COLOURS = ("tab:blue", "tab:orange", "tab:green")


def draw_selection(path: Path, selection: Selection) -> None:
    """Draw a selection as PNG: models with their intervals, their agreement, and the steps.

    Raises:
        HandsegInputError: the file cannot be written.
    """
    tall = 2.5 + 0.45 * len(selection.models)
    figure = Figure(figsize=(17, max(4.5, tall)), layout="constrained")
    scores, agreement, steps = figure.subplots(1, 3)
    _draw_scores(scores, selection)
    _draw_agreement(agreement, selection)
    _draw_steps(steps, selection)
    with write_atomically(path) as temporary:
        figure.savefig(temporary, dpi=130)


def _draw_scores(axes: Axes, selection: Selection) -> None:
    """Draw the scores of every model with their intervals, members in bold."""
    places = np.arange(len(selection.models))
    for number, ((name, label), colour) in enumerate(zip(_SCORES.items(), _COLOURS, strict=True)):
        intervals = [getattr(scores, name) for scores in selection.scores]
        middle, low, high = np.array([(i.estimate, i.low, i.high) for i in intervals]).T
        shifted = places + 0.2 * (number - 1)
        axes.hlines(shifted, low, high, color=colour, linewidth=4, alpha=0.4)
        axes.plot(middle, shifted, "o", color=colour, label=label)
    axes.set_yticks(places, [model.name for model in selection.models])
    for place in selection.members:
        axes.get_yticklabels()[place].set_fontweight("bold")
    axes.invert_yaxis()
    axes.set_xlabel("Dice, 95 % interval over patients")
    axes.grid(axis="x", alpha=0.3)
    _legend_above(axes)


def _draw_agreement(axes: Axes, selection: Selection) -> None:
    """Draw the Dice between models as a heat map with its numbers."""
    names = [model.name for model in selection.models]
    others = selection.agreement[~np.eye(len(names), dtype=bool)]
    axes.imshow(selection.agreement, cmap="viridis", vmin=others.min() - 1e-3, vmax=others.max() + 1e-3)
    for (row, column), value in np.ndenumerate(selection.agreement):
        axes.text(column, row, f"{value:.3f}", ha="center", va="center", color="white", fontsize=8).set_bbox(
            {"facecolor": "black", "alpha": 0.35, "pad": 1, "edgecolor": "none"}
        )
    axes.set_xticks(np.arange(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(np.arange(len(names)), names)
    axes.set_title("Dice between models")


def _draw_steps(axes: Axes, selection: Selection) -> None:
    """Draw the Dice of all and of the small bones after every step."""
    places = np.arange(len(selection.steps))
    for objective, label, colour in zip((Objective.MEAN, Objective.SMALL), _SCORES.values(), _COLOURS, strict=False):
        values = [objective.of_images(step.dice).mean() for step in selection.steps]
        axes.plot(places, values, "o-", color=colour, label=label)
    added = [" +\n".join(selection.models[place].name for place in step.added) for step in selection.steps]
    names = [name if number == 0 else f"+ {name}" for number, name in enumerate(added)]
    axes.set_xticks(places, names, rotation=45, ha="right")
    axes.set_ylabel("Dice of the members together")
    axes.grid(axis="y", alpha=0.3)
    _legend_above(axes)


def _legend_above(axes: Axes) -> None:
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(_SCORES), frameon=False)
