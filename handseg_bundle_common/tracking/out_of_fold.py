"""Scores and predictions of images that a fold's network was not trained on, joined over folds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from handseg_bundle_common.anatomy import BONE_NAMES, BONES
from handseg_bundle_common.files import write_atomically
from handseg_bundle_common.formats.rle import SubmissionWriter, read_submission
from handseg_bundle_common.metrics import ImageScores


def join_submissions(parts: Iterable[Path], path: str | PathLike[str]) -> None:
    """Write the images of several submission CSVs into one.

    Raises:
        HandsegInputError: a part cannot be read, two parts hold the same image, or the file cannot be written.
    """
    with SubmissionWriter(path) as joined:
        for part in parts:
            for image_name, codes in read_submission(part).items():
                joined.write_codes(image_name, list(codes.values()))


def summarise(folds: Mapping[int, ImageScores]) -> dict[str, Any]:
    """Return the Dice of each fold, their mean and standard deviation (n - 1), and that of all images and bones."""
    means = {fold: scores.mean() for fold, scores in folds.items()}
    joined = ImageScores.joined(folds.values())
    return {
        "images": len(joined.image_names),
        "fold_dice": {str(fold): mean for fold, mean in means.items()},
        "mean_of_folds": float(np.mean(list(means.values()))) if means else None,
        "sd_of_folds": float(np.std(list(means.values()), ddof=1)) if len(means) > 1 else None,
        "out_of_fold_dice": joined.mean() if joined.image_names else None,
        "per_bone": dict(zip(BONE_NAMES, joined.per_bone().tolist(), strict=True)) if joined.image_names else {},
    }


def summary_text(summary: Mapping[str, Any], output: str | PathLike[str]) -> str:
    """Return a summary as a few lines that name the worst bones and the folder of the results."""
    lines = [f"fold {fold}: Dice {value:.4f}" for fold, value in summary["fold_dice"].items()]
    if summary["sd_of_folds"] is not None:
        lines.append(f"mean of folds {summary['mean_of_folds']:.4f}, standard deviation {summary['sd_of_folds']:.4f}")
    if summary["images"]:
        worst = sorted(summary["per_bone"].items(), key=lambda pair: pair[1])[:5]
        bones = ", ".join(f"{bone} {value:.3f}" for bone, value in worst)
        lines.append(f"all {summary['images']} images: Dice {summary['out_of_fold_dice']:.4f}; worst: {bones}")
    return "\n".join([*lines, f"{len(summary['fold_dice'])} of {summary['num_folds']} folds: {output}"])


def draw_scores(path: str | PathLike[str], folds: Mapping[int, ImageScores]) -> None:
    """Draw the Dice of every bone as a box over all images, in the bone's colour, with a point for each fold's mean."""
    figure = Figure(figsize=(12, 5), layout="constrained")
    axes = figure.add_subplot()
    joined = ImageScores.joined(folds.values())
    columns = [column[~np.isnan(column)] for column in joined.dice.T]
    boxes = axes.boxplot(columns, tick_labels=[bone.abbreviation for bone in BONES], patch_artist=True, widths=0.7)
    for box, bone in zip(boxes["boxes"], BONES, strict=True):
        box.set_facecolor(np.array(bone.colour) / 255)
    places = np.arange(1, len(BONES) + 1)
    for number, scores in enumerate(folds.values()):
        label = "mean of a fold" if number == 0 else None
        axes.plot(places, scores.per_bone(), ".", markersize=4, color="black", alpha=0.6, label=label)
    axes.legend(loc="lower right")
    axes.set_ylabel("Dice of images not trained on")
    axes.grid(axis="y", alpha=0.3)
    with write_atomically(path) as temporary:
        figure.savefig(temporary, dpi=130)
