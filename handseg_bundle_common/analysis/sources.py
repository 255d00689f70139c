"""Predictions and labels of the same images, matched by name, with the radiographs where there are any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from handseg_bundle_common.datasets.lists import find_files
from handseg_bundle_common.datasets.predictions import (
    IMAGES,
    FileIndex,
    Key,
    Size,
    checked_size,
    find_radiographs,
    key_of,
    read_sizes,
    submission_file,
)
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.boostcamp import rasterise_packed, read_annotations
from handseg_bundle_common.formats.rle import decode_packed, read_submission
from handseg_bundle_common.masks import Packed

_LABELS, _RADIOGRAPHS = "outputs_json", "DCM"
_LAYOUT = "name a folder with the polygons in outputs_json/<patient>/<image>.json"


@dataclass(frozen=True)
class LabelledImage:
    """An image with a prediction and a label.

    Attributes:
        name: its name in the predictions.
        key: path of the label below the labels' folder without suffix, in parts.
        patient: whose hand it is: the first folder of the key.
        label: file of the polygons.
        radiograph: the picture, if it is there.
        size: (H, W) in px.
        codes: run-length codes of the 29 bones in channel order.
        source: file of the codes, for messages.
    """

    name: str
    key: Key
    patient: str
    label: Path
    radiograph: Path | None
    size: Size
    codes: tuple[str, ...]
    source: Path

    def prediction(self) -> Packed:
        """Return the packed masks (H, W) of the prediction.

        Raises:
            HandsegInputError: a code cannot be used or ends beyond the picture.
        """
        return decode_packed(self.codes, *self.size, f"{self.source}, {self.name}")

    def reference(self) -> Packed:
        """Return the packed masks (H, W) of the label.

        Raises:
            HandsegInputError: the polygons cannot be read.
        """
        return rasterise_packed(read_annotations(self.label), *self.size)


class CaseSources:
    """The images that are in predictions and labels, in the order of the predictions.

    Attributes:
        predictions: what they were read from.
        images: images by their names in the predictions.
        unpredicted: labelled images without a prediction, as `patient/image`.
        unlabelled: names of predictions without a label.
    """

    def __init__(
        self,
        predictions: Path,
        images: Mapping[str, LabelledImage],
        unpredicted: Sequence[str] = (),
        unlabelled: Sequence[str] = (),
    ) -> None:
        self.predictions = predictions
        self.images = dict(images)
        self.unpredicted = tuple(unpredicted)
        self.unlabelled = tuple(unlabelled)

    def masks(self, image_name: str) -> tuple[Packed, Packed]:
        """Return prediction and reference of an image, packed (H, W).

        Raises:
            HandsegInputError: a code or the polygons cannot be read.
        """
        image = self.images[image_name]
        return image.prediction(), image.reference()

    def radiograph(self, image_name: str) -> Path | None:
        """Return the radiograph of an image, if it is there."""
        return self.images[image_name].radiograph


def find_sources(
    predictions: str | PathLike[str], labels: str | PathLike[str], images: str | PathLike[str] | None = None
) -> CaseSources:
    """Match predictions with labels.

    An image may be named `image.png`, `patient/image.png` or by a longer path that ends so. Its size is the
    radiograph's, or what `images.csv` beside the predictions tells.

    Args:
        predictions: submission CSV, or a results folder that holds `predictions.csv`.
        labels: data set (`outputs_json`, with or without `DCM`), or a folder of polygon files.
        images: folder of the radiographs, if they do not lie in the data set; they may be missing.

    Raises:
        HandsegInputError: a file or folder cannot be used, no prediction has a label, the name of one fits several
            labels or its label another prediction, or the size of an image is not known.
    """
    submission = submission_file(predictions)
    by_name = read_submission(submission)
    of_labels, sizes = _label_files(Path(labels)), read_sizes(submission)
    label_index = FileIndex(labels, of_labels.items())
    image_index = FileIndex(images or labels, _radiographs(Path(labels), images))
    found: dict[str, LabelledImage] = {}
    name_of: dict[Key, str] = {}
    for name, codes in by_name.items():
        labelled = label_index.find(key_of(name), name)
        if labelled is None:
            continue
        key, label = labelled
        if name_of.setdefault(key, name) != name:
            problem = f"has one image twice, as {name_of[key]!r} and as {name!r}"
            raise HandsegInputError(submission, problem, "keep one of them")
        _, radiograph = image_index.find(key, name) or (None, None)
        patient = key[0] if len(key) > 1 else Path(labels).resolve().name
        size = _size(name, radiograph, sizes, submission)
        found[name] = LabelledImage(name, key, patient, label, radiograph, size, tuple(codes.values()), submission)
    if not found:
        problem = f"none of its {len(by_name)} images has a label in {labels}"
        raise HandsegInputError(submission, problem, "name the data set that was predicted")
    unpredicted = ["/".join(key) for key in of_labels if key not in name_of]
    return CaseSources(Path(predictions), found, unpredicted, [name for name in by_name if name not in found])


def _label_files(labels: Path) -> dict[Key, Path]:
    """Return the polygon files by their keys."""
    if not labels.is_dir():
        raise HandsegInputError(labels, "is not a folder", _LAYOUT)
    root = labels / _LABELS if (labels / _LABELS).is_dir() else labels
    files = find_files(root, lambda path: path.suffix.lower() == ".json")
    if not files:
        raise HandsegInputError(labels, "holds no polygon file (.json)", _LAYOUT)
    return {path.relative_to(root).with_suffix("").parts: path for path in files}


def _radiographs(labels: Path, images: str | PathLike[str] | None) -> list[tuple[Key, Path]]:
    """Return the radiographs and their keys; there may be none, unless a folder is named."""
    if images is not None:
        return find_radiographs(images)
    root = (labels.resolve().parent if labels.resolve().name == _LABELS else labels) / _RADIOGRAPHS
    return find_radiographs(root) if root.is_dir() else []


def _size(name: str, radiograph: Path | None, sizes: Mapping[str, Size], submission: Path) -> Size:
    if radiograph is not None:
        return checked_size(radiograph, sizes.get(name))
    if name not in sizes:
        problem = f"the size of {name!r} is not known without its radiograph or {IMAGES}"
        raise HandsegInputError(submission, problem, "name the folder of the radiographs with --images")
    return sizes[name]
