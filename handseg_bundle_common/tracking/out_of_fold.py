"""Scores and predictions of images that a fold's network was not trained on, joined over folds."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONE_NAMES, BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import open_csv, write_atomically, write_csv
from handseg_bundle_common.formats.rle import SubmissionWriter, read_submission

_DELETE = "delete it and run the fold again"


@dataclass(frozen=True, eq=False)
class FoldScores:
    """Dice of the images of one fold or of several.

    Attributes:
        image_names: `patient/image` of the N images.
        dice: (N, 29), NaN where a bone is not scored.
    """

    image_names: list[str]
    dice: NDArray[np.float64]

    @classmethod
    def joined(cls, folds: Iterable[FoldScores]) -> FoldScores:
        """Return the scores of several folds as one."""
        folds = list(folds)
        dice = np.concatenate([np.empty((0, len(BONE_NAMES))), *(fold.dice for fold in folds)])
        return cls([name for fold in folds for name in fold.image_names], dice)

    def per_bone(self) -> NDArray[np.float64]:
        """Return the mean over images of every bone (29,)."""
        valid = np.ma.masked_invalid(self.dice)
        return np.asarray(valid.mean(axis=0).filled(np.nan), np.float64)

    def mean(self) -> float:
        """Return the mean over bones of their means over images, as the competition averages."""
        return float(np.nanmean(self.per_bone()))


def write_scores(path: str | PathLike[str], scores: FoldScores) -> None:
    """Write a CSV with one row an image and one column a bone; NaN stays empty."""
    with write_csv(path) as file:
        writer = csv.writer(file)
        writer.writerow(["image_name", *BONE_NAMES])
        for name, values in zip(scores.image_names, scores.dice.tolist(), strict=True):
            writer.writerow([name, *("" if np.isnan(value) else value for value in values)])


def read_scores(path: str | PathLike[str]) -> FoldScores:
    """Read what `write_scores` wrote.

    Raises:
        HandsegInputError: the file is missing or of another layout.
    """
    try:
        with open_csv(path) as file:
            header, *rows = csv.reader(file)
        dice = np.array([[float(value or "nan") for value in values] for _, *values in rows], np.float64)
        scores = FoldScores([name for name, *_ in rows], dice.reshape(len(rows), len(BONE_NAMES)))
    except (OSError, ValueError, csv.Error) as error:
        raise HandsegInputError(path, f"cannot be read as scores ({error})", _DELETE) from error
    if header != ["image_name", *BONE_NAMES]:
        raise HandsegInputError(path, "has other columns than image_name and the 29 bones", _DELETE)
    return scores


def join_submissions(parts: Iterable[Path], path: str | PathLike[str]) -> None:
    """Write the images of several submission CSVs into one.

    Raises:
        HandsegInputError: a part cannot be read, two parts hold the same image, or the file cannot be written.
    """
    with SubmissionWriter(path) as joined:
        for part in parts:
            for image_name, codes in read_submission(part).items():
                joined.write_codes(image_name, list(codes.values()))


def summarise(folds: Mapping[int, FoldScores]) -> dict[str, Any]:
    """Return the Dice of each fold, their mean and standard deviation (n - 1), and that of all images and bones."""
    means = {fold: scores.mean() for fold, scores in folds.items()}
    joined = FoldScores.joined(folds.values())
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


def draw_scores(path: str | PathLike[str], folds: Mapping[int, FoldScores]) -> None:
    """Draw the Dice of every bone as a box over all images, in the bone's colour, with a point for each fold's mean."""
    figure = Figure(figsize=(12, 5), layout="constrained")
    axes = figure.add_subplot()
    joined = FoldScores.joined(folds.values())
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
