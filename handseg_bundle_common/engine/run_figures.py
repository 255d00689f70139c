"""Charts of a run: how it learned, and what it reached on every bone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ignite.engine import Engine, Events
from matplotlib.axes import Axes
from monai.engines import Evaluator

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.charts import (
    BLUE,
    BONE_COLOURS,
    FAINT,
    GREEN,
    INK,
    MUTED,
    MUTED_TEXT,
    VERMILION,
    Chart,
    bone_rows,
    dice_axis,
    names_of,
    new_figure,
    plain,
    save_chart,
)
from handseg_bundle_common.engine.distributed import on_main_process
from handseg_bundle_common.engine.run_folder import FIGURES, METRICS_FILE, RunFolder
from handseg_bundle_common.metrics import ImageScores, bootstrap_interval

History = Sequence[tuple[int, dict[str, float]]]

_CURVES = (
    ("val_mean_dice", "mean of all bones", BLUE, "-"),
    ("val_overlap_dice", "overlap zones", VERMILION, "-"),
    ("swa_mean_dice", "averaged weights", GREEN, "--"),
)
_WORST = 3


class RunFigures:
    """Draw `figures/learning.png` and `figures/per_bone.png` at the end of a run; attach it to both engines.

    Needs the files of `MetricsLog` and `ScoresFile`, which must be attached before.

    Args:
        output_dir: folder of the run.
    """

    def __init__(self, output_dir: str) -> None:
        self.folder = RunFolder(Path(output_dir))
        self._has_trainer = False

    @on_main_process
    def attach(self, engine: Engine) -> None:
        """Draw when a trainer has finished, or an evaluator that belongs to none."""
        self._has_trainer |= not isinstance(engine, Evaluator)
        engine.add_event_handler(Events.COMPLETED, self._draw)

    def _draw(self, engine: Engine) -> None:
        if not (self._has_trainer and isinstance(engine, Evaluator)):
            draw_figures(self.folder)


def draw_figures(folder: RunFolder) -> None:
    """Draw what the files of a run allow: no learning curve of an evaluation, no bones without `scores.csv`.

    Raises:
        HandsegInputError: one of the files is damaged, or a figure cannot be written.
    """
    figures = folder.path / FIGURES
    history = folder.history() if (folder.path / METRICS_FILE).exists() else []
    if any("train_loss" in values for _, values in history):
        save_chart(figures, learning_chart(history, folder.parameters().get("swa_start")))
    scores = folder.scores()
    if scores is not None:
        save_chart(figures, per_bone_chart(scores))


def learning_chart(history: History, swa_start: int | None = None) -> Chart:
    """Draw the Dice of the validations over the loss of the training, and from which epoch on weights are averaged.

    Args:
        history: epoch and metrics, see `RunFolder.history`.
        swa_start: number of epochs before the first one whose weights are averaged; None if they are not.
    """
    figure = new_figure(8.5, 6.2)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    known = [value for name, *_ in _CURVES for value in _curve(history, name)[1]]
    for name, label, colour, line in _CURVES:
        epochs, values = _curve(history, name)
        if epochs:
            upper.plot(epochs, values, line, color=colour, marker="o", markersize=4, linewidth=1.8, label=label)
    epochs, losses = _curve(history, "train_loss")
    lower.plot(epochs, losses, color=INK, linewidth=1.8)
    for axes in (upper, lower):
        plain(axes)
        axes.grid(axis="y", color=FAINT, linewidth=0.5, alpha=0.6)
    dice_axis(upper.yaxis, known)
    lower.set_ylabel("Training loss", color=INK)
    lower.set_xlabel("Epoch", color=INK)
    lower.xaxis.get_major_locator().set_params(integer=True)
    if swa_start is not None:
        _mark_averaging(upper, lower, swa_start)
    if known:
        figure.legend(loc="outside upper center", ncols=len(_CURVES), frameon=False, labelcolor=INK)
    caption = "Dice of the validations above, loss of the training below."
    if swa_start is not None:
        caption += f" From epoch {swa_start + 1} on, right of the dashed line, weights are averaged."
    return Chart("learning", "How it learned", caption, figure)


def per_bone_chart(scores: ImageScores) -> Chart:
    """Draw the mean Dice of every bone with its 95 % interval over patients, and each image as a faint dot."""
    figure, axes = bone_rows()
    intervals = [bootstrap_interval(column, scores.patients) for column in scores.dice.T]
    for row, (found, colour) in enumerate(zip(intervals, BONE_COLOURS, strict=True)):
        dice = scores.dice[:, row]
        axes.scatter(dice, np.full(len(dice), row), 9, colour, alpha=0.25, linewidths=0)
        axes.plot((found.low, found.high), (row, row), color=colour, linewidth=4, alpha=0.45)
        axes.plot(found.estimate, row, "o", color=colour, markersize=6)
    dice_axis(axes.xaxis, scores.dice.ravel())
    means = np.nan_to_num(scores.per_bone(), nan=np.inf)
    images = f"{len(scores.image_names)} image{'s' * (len(scores.image_names) != 1)}"
    worst = names_of(np.argsort(means)[: min(_WORST, NUM_BONES)].tolist())
    caption = f"Mean of {images}, a faint dot each, with 95 % intervals over patients. Lowest: {worst}."
    return Chart("per_bone", "Dice of every bone", caption, figure)


def _curve(history: History, name: str) -> tuple[list[int], list[float]]:
    points = [(epoch, values[name]) for epoch, values in history if name in values]
    return [epoch for epoch, _ in points], [value for _, value in points]


def _mark_averaging(upper: Axes, lower: Axes, start: int) -> None:
    """Draw a line between the last epoch before the averaging and the first one of it."""
    for axes in (upper, lower):
        axes.axvline(start + 0.5, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    first, last = lower.dataLim.intervalx
    is_early = start < (first + last) / 2
    lower.annotate(
        f"weights averaged from epoch {start + 1}",
        (start + 0.5, 0.96),
        (6 if is_early else -6, 0),
        xycoords=lower.get_xaxis_transform(),
        textcoords="offset points",
        ha="left" if is_early else "right",
        va="top",
        **MUTED_TEXT,
    )
