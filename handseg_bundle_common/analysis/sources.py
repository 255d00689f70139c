"""Predictions and labels of the same images, matched by name, with the radiographs where there are any."""

from __future__ import annotations

import csv
import glob
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path, PurePosixPath

import numpy as np

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import open_csv
from handseg_bundle_common.formats.boostcamp import rasterise_packed, read_annotations
from handseg_bundle_common.formats.radiograph import has_radiograph_suffix, radiograph_stem, read_size
from handseg_bundle_common.formats.rle import decode_runs, read_submission
from handseg_bundle_common.masks import Packed

SUBMISSION, SIZES = "predictions.csv", "images.csv"

_LABELS, _IMAGES = "outputs_json", "DCM"
_LAYOUT = "name a folder with the polygons in outputs_json/<patient>/<image>.json"

Key = tuple[str, ...]
Size = tuple[int, int]


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
        return decode_packed(self.codes, self.size, f"{self.source}, {self.name}")

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
    submission = Path(predictions, SUBMISSION) if Path(predictions).is_dir() else Path(predictions)
    by_name = read_submission(submission)
    of_labels, of_images = _label_files(Path(labels)), _radiographs(Path(labels), images)
    sizes = _sizes(submission.with_name(SIZES))
    label_index, image_index = _Index(labels, of_labels), _Index(images or labels, of_images)
    found: dict[str, LabelledImage] = {}
    name_of: dict[Key, str] = {}
    for name, codes in by_name.items():
        key = label_index.find(_key_of(name), name)
        if key is None:
            continue
        if name_of.setdefault(key, name) != name:
            problem = f"has one image twice, as {name_of[key]!r} and as {name!r}"
            raise HandsegInputError(submission, problem, "keep one of them")
        image_key = image_index.find(key, name)
        radiograph = None if image_key is None else of_images[image_key]
        patient = key[0] if len(key) > 1 else Path(labels).resolve().name
        size = _size(name, radiograph, sizes, submission)
        found[name] = LabelledImage(
            name, key, patient, of_labels[key], radiograph, size, tuple(codes.values()), submission
        )
    if not found:
        problem = f"none of its {len(by_name)} images has a label in {labels}"
        raise HandsegInputError(submission, problem, "name the data set that was predicted")
    unpredicted = ["/".join(key) for key in of_labels if key not in name_of]
    return CaseSources(Path(predictions), found, unpredicted, [name for name in by_name if name not in found])


def decode_packed(codes: Sequence[str], size: Size, source: str) -> Packed:
    """Decode the run-length codes of 29 bones, in channel order, into packed masks (H, W).

    Raises:
        HandsegInputError: a code is what `formats.rle.decode_rle` refuses.
    """
    pixels = size[0] * size[1]
    # Every run turns its bone's bit over where it starts and behind its end; what is turned twice is as it was.
    turned = np.zeros(pixels + 1, np.uint32)
    for channel, (bone, code) in enumerate(zip(BONE_NAMES, codes, strict=True)):
        starts, ends = decode_runs([code], [f"{source}, {bone}"])
        if ends.max(initial=0) > pixels:
            problem = f"has a run that ends beyond the {size[1]} x {size[0]} pixels of the image"
            raise HandsegInputError(f"{source}, {bone}", problem, "predict the images of the data set itself")
        for places in (starts, ends):
            np.bitwise_xor.at(turned, places, np.uint32(1 << channel))
    return np.bitwise_xor.accumulate(turned)[:-1].reshape(size)


class _Index:
    """Finds the file that a path or the end of a path means."""

    def __init__(self, folder: str | PathLike[str], keys: Mapping[Key, Path]) -> None:
        self._folder = folder
        self._by_stem: dict[str, list[Key]] = {}
        for key in keys:
            self._by_stem.setdefault(key[-1], []).append(key)

    def find(self, wanted: Key, name: str) -> Key | None:
        """Return the one key that ends like `wanted`, as far as both reach."""
        fits = [key for key in self._by_stem.get(wanted[-1], []) if _ends_alike(key, wanted)]
        if len(fits) > 1:
            problem = f"holds {name!r} {len(fits)} times, first as {'/'.join(fits[0])} and {'/'.join(fits[1])}"
            raise HandsegInputError(self._folder, problem, "predict again with --keep-folders")
        return fits[0] if fits else None


def _ends_alike(key: Key, other: Key) -> bool:
    length = min(len(key), len(other))
    return key[-length:] == other[-length:]


def _key_of(path: str | PathLike[str]) -> Key:
    return (*PurePosixPath(path).parts[:-1], radiograph_stem(path))


def _label_files(labels: Path) -> dict[Key, Path]:
    """Return the polygon files by their keys."""
    if not labels.is_dir():
        raise HandsegInputError(labels, "is not a folder", _LAYOUT)
    root = labels / _LABELS if (labels / _LABELS).is_dir() else labels
    files = _files(root, lambda name: name.lower().endswith(".json"))
    if not files:
        raise HandsegInputError(labels, "holds no polygon file (.json)", _LAYOUT)
    return {(*key[:-1], key[-1][: -len(".json")]): path for key, path in files.items()}


def _radiographs(labels: Path, images: str | PathLike[str] | None) -> dict[Key, Path]:
    """Return the radiographs by their keys; there may be none, unless a folder is named."""
    root = (labels.resolve().parent if labels.resolve().name == _LABELS else labels) / _IMAGES
    if images is not None:
        root = Path(images, _IMAGES) if Path(images, _IMAGES).is_dir() else Path(images)
        if not root.is_dir():
            raise HandsegInputError(images, "is not a folder", "name the folder of the radiographs")
    return {_key_of("/".join(key)): path for key, path in _files(root, has_radiograph_suffix).items()}


def _files(root: Path, wanted: Callable[[str], bool]) -> dict[Key, Path]:
    """Return the files below a folder by their relative paths in parts, sorted, without hidden ones."""
    # Unlike that of pathlib before Python 3.13, this pattern follows linked folders.
    names = sorted(glob.glob("**/*", root_dir=root, recursive=True))  # noqa: PTH207
    return {Path(name).parts: root / name for name in names if wanted(name) and (root / name).is_file()}


def _sizes(path: Path) -> dict[str, Size]:
    """Return the sizes that a table beside the predictions tells; none without the table."""
    if not path.is_file():
        return {}
    try:
        with open_csv(path) as file:
            return {row["image_name"]: (int(row["height"]), int(row["width"])) for row in csv.DictReader(file)}
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise HandsegInputError(path, f"tells no sizes of images ({error!r})", "delete it or predict again") from error


def _size(name: str, radiograph: Path | None, sizes: Mapping[str, Size], submission: Path) -> Size:
    if radiograph is not None:
        height, width = size = read_size(radiograph)
        if sizes.get(name, size) != size:
            problem = f"is of {width} x {height} px, but what was segmented of {sizes[name][1]} x {sizes[name][0]}"
            raise HandsegInputError(radiograph, problem, "name the folder of the radiographs that were segmented")
        return size
    if name not in sizes:
        problem = f"the size of {name!r} is not known without its radiograph or {SIZES}"
        raise HandsegInputError(submission, problem, "name the folder of the radiographs with --images")
    return sizes[name]
