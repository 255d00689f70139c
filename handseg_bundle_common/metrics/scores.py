"""Scores of every image and bone, and the file that keeps them."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import open_csv, write_csv

_HEADER = ["image_name", *BONE_NAMES]
_REMEDY = "delete it and run what wrote it again"


@dataclass(frozen=True, eq=False)
class ImageScores:
    """Dice of images, such as those of a validation.

    Attributes:
        image_names: `patient/image` of the N images.
        dice: (N, 29), NaN where a bone is not scored.
    """

    image_names: list[str]
    dice: NDArray[np.float64]

    @classmethod
    def joined(cls, parts: Iterable[ImageScores]) -> ImageScores:
        """Return the scores of several sets of images as one."""
        parts = list(parts)
        dice = np.concatenate([np.empty((0, len(BONE_NAMES))), *(part.dice for part in parts)])
        return cls([name for part in parts for name in part.image_names], dice)

    @property
    def patients(self) -> list[str]:
        """Return whose image each of the N is; an image without a patient in its name stands for itself."""
        return [name.rpartition("/")[0] or name for name in self.image_names]

    def per_bone(self) -> NDArray[np.float64]:
        """Return the mean over images of every bone (29,)."""
        valid = np.ma.masked_invalid(self.dice)
        return np.asarray(valid.mean(axis=0).filled(np.nan), np.float64)

    def mean(self) -> float:
        """Return the mean over bones of their means over images, as the competition averages."""
        return float(np.nanmean(self.per_bone()))


def paired(scores: ImageScores, other: ImageScores) -> tuple[ImageScores, ImageScores] | None:
    """Return the scores of the images that both have, by name and in the order of the first; None if there is none."""
    rows = {name: row for row, name in enumerate(other.image_names)}
    common = [(row, rows[name]) for row, name in enumerate(scores.image_names) if name in rows]
    if not common:
        return None
    own, theirs = map(list, zip(*common, strict=True))
    names = [scores.image_names[row] for row in own]
    return ImageScores(names, scores.dice[own]), ImageScores(names, other.dice[theirs])


def write_scores(path: str | PathLike[str], scores: ImageScores) -> None:
    """Write a CSV with one row an image and one column a bone; NaN stays empty.

    Raises:
        HandsegInputError: the file cannot be written.
    """
    with write_csv(path) as file:
        writer = csv.writer(file)
        writer.writerow(_HEADER)
        for name, values in zip(scores.image_names, scores.dice.tolist(), strict=True):
            writer.writerow([name, *("" if np.isnan(value) else value for value in values)])


def read_scores(path: str | PathLike[str]) -> ImageScores:
    """Read what `write_scores` wrote.

    Raises:
        HandsegInputError: the file is missing or of another layout.
    """
    try:
        with open_csv(path) as file:
            header, *rows = csv.reader(file)
        dice = np.array([[float(value or "nan") for value in values] for _, *values in rows], np.float64)
        scores = ImageScores([name for name, *_ in rows], dice.reshape(len(rows), len(BONE_NAMES)))
    except (OSError, ValueError, csv.Error) as error:
        raise HandsegInputError(path, f"cannot be read as scores ({error})", _REMEDY) from error
    if header != _HEADER:
        raise HandsegInputError(path, "has other columns than image_name and the 29 bones", _REMEDY)
    return scores
