"""Many images analysed, one at a time in each of several processes, and joined."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import reduce
from operator import add
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from handseg_bundle_common import __version__
from handseg_bundle_common.analysis.case import Case, analyse_case
from handseg_bundle_common.analysis.sources import CaseSources, LabelledImage, find_sources
from handseg_bundle_common.analysis.storage import case_key, read_case, write_case
from handseg_bundle_common.datasets.wrist import wrist_angle
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import make_folder, read_json, write_atomically
from handseg_bundle_common.formats.boostcamp import rasterise_packed, read_annotations
from handseg_bundle_common.metrics import Confusion
from handseg_bundle_common.workers import done_in_order, number_of_workers

CASES, ORIGIN = "cases", "analysis.json"

# A process needs several seconds to start, in which another analyses about so many images.
_IMAGES_A_PROCESS = 16


@dataclass(frozen=True, eq=False)
class Analysis:
    """What a model made of many images.

    Attributes:
        cases: the images, in the order of the predictions.
        sources: masks and radiographs of the images, and which images lack a prediction or a label.
    """

    cases: tuple[Case, ...]
    sources: CaseSources

    @property
    def confusion(self) -> Confusion:
        """Confusion matrix of all images."""
        return reduce(add, (case.confusion for case in self.cases))

    @property
    def image_names(self) -> list[str]:
        """Names of the images in the predictions."""
        return [case.image_name for case in self.cases]

    @property
    def patients(self) -> list[str]:
        """Whose hand each image shows."""
        return [case.patient for case in self.cases]

    @property
    def overlap_dice(self) -> NDArray[np.float64]:
        """Overlap-zone Dice, (N, 29)."""
        return np.stack([case.overlap_dice for case in self.cases])

    def scores(self, column: str) -> NDArray[np.float64]:
        """Return one column of `metrics.CaseScores` of all images, (N, 29)."""
        return np.stack([getattr(case.scores, column) for case in self.cases])


def analyse(
    predictions: str | PathLike[str],
    labels: str | PathLike[str],
    output: str | PathLike[str],
    *,
    images: str | PathLike[str] | None = None,
    workers: int | None = None,
    resume: bool = True,
) -> Analysis:
    """Analyse predictions against labels.

    Every image is kept as `<output>/cases/<patient>/<image>.npz` as soon as it is done, and taken from there as long as
    its prediction, its label and the code that makes the scores stay the same. `<output>/analysis.json` tells what was
    analysed.

    Args:
        predictions: submission CSV, or a results folder that holds `predictions.csv`.
        labels: data set, whose radiographs may be missing, or a folder of polygon files.
        output: folder of the results.
        images: folder of the radiographs, if they do not lie in the data set.
        workers: processes; by default one a core, as far as there are enough images, and 1 works in this process. A
            script that may start several needs `if __name__ == "__main__":`, because each imports it anew.
        resume: take images that were analysed before.

    Raises:
        HandsegInputError: predictions, labels or the folder cannot be used; what is done by then is kept.
    """
    sources = find_sources(predictions, labels, images)
    folder = make_folder(Path(output, CASES))
    jobs = [_Job(image, folder.joinpath(*image.key[:-1], f"{image.key[-1]}.npz")) for image in sources.images.values()]
    known = {job.image.name: case for job in jobs if resume and (case := read_case(job.path, _key(job.image)))}
    missing = [job for job in jobs if job.image.name not in known]
    done = done_in_order(_analyse_image, missing, number_of_workers(workers, len(missing), _IMAGES_A_PROCESS))
    bar = tqdm(done, "analysing", len(jobs), initial=len(known), unit="image", disable=None)
    known |= {case.image_name: case for case in bar}
    _record(Path(output), sources, labels, images)
    return Analysis(tuple(known[name] for name in sources.images), sources)


@dataclass(frozen=True)
class OtherPredictions:
    """What to analyse of another model.

    Attributes:
        predictions: submission CSV or results folder.
        images: folder of the radiographs that were named when it was analysed, if any were.
        folder: where it was analysed against the same labels, if it was.
    """

    predictions: Path
    images: Path | None = None
    folder: Path | None = None


def analysed_predictions(source: str | PathLike[str], labels: str | PathLike[str]) -> OtherPredictions:
    """Return what to analyse of another model.

    Args:
        source: submission CSV, results folder, or the output folder of an analysis.
        labels: as those of `analyse`.

    Raises:
        HandsegInputError: the folder's record of its analysis cannot be read.
    """
    record = Path(source, ORIGIN)
    if not record.is_file():
        return OtherPredictions(Path(source))
    remedy = "name the predictions themselves"
    origin = read_json(record, remedy)
    if not isinstance(origin, dict) or not isinstance(origin.get("predictions"), str):
        raise HandsegInputError(record, "does not tell what was analysed", remedy)
    images, is_same = origin.get("images"), origin.get("labels") == str(Path(labels).absolute())
    return OtherPredictions(
        Path(origin["predictions"]),
        Path(images) if isinstance(images, str) else None,
        Path(source) if is_same else None,
    )


@dataclass(frozen=True)
class _Job:
    """An image, and where to keep what is known about it."""

    image: LabelledImage
    path: Path


def _analyse_image(job: _Job) -> Case:
    image = job.image
    key = _key(image)
    annotations = read_annotations(image.label)
    reference = rasterise_packed(annotations, *image.size)
    case = analyse_case(image.name, image.patient, image.prediction(), reference, wrist_angle(annotations))
    write_case(job.path, key, case)
    return case


def _key(image: LabelledImage) -> str:
    try:
        return case_key(image)
    except OSError as error:
        raise HandsegInputError(image.label, f"cannot be read ({error.strerror})", "check the file") from error


def _record(
    output: Path, sources: CaseSources, labels: str | PathLike[str], images: str | PathLike[str] | None
) -> None:
    """Write down what was analysed, and what could not be."""
    origin = {
        "handseg": __version__,
        "predictions": str(sources.predictions.absolute()),
        "labels": str(Path(labels).absolute()),
        "images": None if images is None else str(Path(images).absolute()),
        "unpredicted": sources.unpredicted,
        "unlabelled": sources.unlabelled,
    }
    with write_atomically(output / ORIGIN) as temporary:
        temporary.write_text(json.dumps(origin, indent=1) + "\n", encoding="utf-8")
