"""Scores of one bundle, image by image, kept so that an interrupted run goes on where it stopped."""

from __future__ import annotations

import csv
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from hands import Hand
from numpy.typing import NDArray
from variants import Picture, Variant

from handseg_bundle_common.anatomy import BONE_NAMES, NUM_BONES
from handseg_bundle_common.ensemble import case_flags
from handseg_bundle_common.files import open_csv, write_csv
from handseg_bundle_common.formats.radiograph import read_radiograph, write_radiograph
from handseg_bundle_common.inference import Predictor
from handseg_bundle_common.masks import Packed, unpack_masks
from handseg_bundle_common.metrics import case_scores, overlap_zone_dice

METRICS = ("dice", "overlap_dice", "boundary_error_rate", "hd95_px", "missed", "false_positive")
_COLUMNS = [f"{metric}/{bone}" for metric in METRICS for bone in BONE_NAMES]

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """A picture to segment: a hand, as it is or changed."""

    hand: Hand
    variant: Variant | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from all others."""
        return self.hand.name, self.variant.name if self.variant else ""


@dataclass(frozen=True, eq=False)
class Case:
    """What a bundle made of a picture.

    Attributes:
        image: name of the hand's picture.
        variant: name of the change, empty without one.
        patient: whose hand it is.
        seconds: time from the file to the masks.
        scores: (6, 29), a row for each of `METRICS`; NaN where a score is not defined.
        flag: the most severe reason to distrust the picture as a whole, empty if there is none.
    """

    image: str
    variant: str
    patient: str
    seconds: float
    scores: Scores
    flag: str = ""


def column(cases: Sequence[Case], metric: str) -> Scores:
    """Return one of `METRICS` of several pictures, (N, 29)."""
    return np.stack([case.scores[METRICS.index(metric)] for case in cases])


class ScoreBook:
    """The cases of one bundle in a CSV file, which is complete after every picture.

    Args:
        path: the file; what it holds is kept.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._cases: dict[tuple[str, str], Case] = {}
        if path.exists():
            with open_csv(path) as file:
                for row in csv.DictReader(file):
                    self._put(_case(row))

    def __contains__(self, task: Task) -> bool:
        """Tell whether a picture has been scored."""
        return task.key in self._cases

    def __getitem__(self, task: Task) -> Case:
        """Return what the bundle made of a picture."""
        return self._cases[task.key]

    def add(self, case: Case) -> None:
        """Write a case down.

        Raises:
            HandsegInputError: the file cannot be written.
        """
        self._put(case)
        with write_csv(self.path) as file:
            writer = csv.writer(file)
            writer.writerow(["image", "variant", "patient", "seconds", "flag", *_COLUMNS])
            for known in self._cases.values():
                values = ("" if math.isnan(value) else f"{value:.6g}" for value in known.scores.ravel().tolist())
                seconds = f"{known.seconds:.4f}"
                writer.writerow([known.image, known.variant, known.patient, seconds, known.flag, *values])

    def _put(self, case: Case) -> None:
        self._cases[case.image, case.variant] = case


def _case(row: dict[str, str]) -> Case:
    values = np.array([float(row[name] or "nan") for name in _COLUMNS]).reshape(len(METRICS), NUM_BONES)
    return Case(row["image"], row["variant"], row["patient"], float(row["seconds"]), values, row["flag"])


def segment(predictor: Predictor, task: Task) -> Case:
    """Segment a picture at its native size, score the masks, and tell whether they would be flagged."""
    with _picture_of(task) as (path, reference):
        start = time.perf_counter()
        masks = predictor(path)
        seconds = time.perf_counter() - start
        flags = case_flags(masks, read_radiograph(path))
    return Case(*task.key, task.hand.patient, seconds, scores(masks, reference), flags[0] if flags else "")


def scores(masks: Packed, reference: Packed) -> Scores:
    """Return the `METRICS` of packed masks (H, W), (6, 29).

    A bone that is not in the picture has no Dice, though the competition gives 1 where it is not found either: a part
    of a hand would be the easier, the smaller it is. `missed` is 1 where a bone that is there has no pixel, and
    `false_positive` where one that is not there has some; each is NaN for the other bones.
    """
    case = case_scores(masks, reference)
    is_there, is_found = case.reference_px > 0, case.predicted_px > 0
    zones = overlap_zone_dice(*(torch.from_numpy(unpack_masks(packed)) for packed in (masks, reference)))
    dice = np.where(is_there, case.dice, np.nan)
    missed, false_positive = np.where(is_there, ~is_found, np.nan), np.where(is_there, np.nan, is_found)
    return np.stack([dice, zones.numpy(), case.boundary_error_rate, case.hd95_px, missed, false_positive])


@contextmanager
def _picture_of(task: Task) -> Iterator[tuple[Path, Packed]]:
    """Yield the file of a picture and its masks; a changed one is there for the time being."""
    path, masks = task.hand.radiograph, task.hand.masks()
    if task.variant is None:
        yield path, masks
        return
    changed = task.variant.apply(Picture(read_radiograph(path)[0], masks))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"{task.hand.name}.tif")  # written ten times as fast as a PNG
        write_radiograph(file, changed.radiograph)
        yield file, changed.masks
