"""Which radiographs to measure, and where their masks come from."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path, PurePosixPath

import numpy as np

from handseg_bundle_common.datasets import data_list, find_images
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import open_csv
from handseg_bundle_common.formats.boostcamp import rasterise_packed, read_annotations
from handseg_bundle_common.formats.radiograph import read_size
from handseg_bundle_common.formats.rle import decode_rle, decode_runs, read_submission
from handseg_bundle_common.masks import Packed

_SUBMISSION, _IMAGES = "predictions.csv", "images.csv"
# Folders of pictures that handseg draws, which bear the names of the radiographs.
_DRAWN = frozenset({"overlays", "disagreement"})
_SAME_IMAGES = "name the folder of the radiographs that were segmented"


@dataclass(frozen=True)
class MaskSource:
    """A radiograph and its masks.

    Attributes:
        name: its name in the tables.
        image: its file.
        masks: reads the packed masks (H, W) of a radiograph of that height and width.
    """

    name: str
    image: Path
    masks: Callable[[int, int], Packed]


def predicted_sources(predictions: str | PathLike[str], images: str | PathLike[str]) -> list[MaskSource]:
    """Return what `handseg predict` has segmented.

    An image may be named `image.png` or by a longer path that ends so.

    Args:
        predictions: results folder, or a submission CSV.
        images: folder of the radiographs, searched recursively; others than those of the predictions are passed over.

    Raises:
        HandsegInputError: the predictions cannot be read or hold no image; an image is not in the folder, is there
            several times, or is not of the size that was segmented.
    """
    path = Path(predictions, _SUBMISSION) if Path(predictions).is_dir() else Path(predictions)
    submission = read_submission(path)
    if not submission:
        raise HandsegInputError(path, "holds no image", "predict some radiographs")
    by_name: dict[str, list[Path]] = {}
    for image in find_images(images):
        if _DRAWN.isdisjoint(image.relative_to(images).parts[:-1]):
            by_name.setdefault(image.name, []).append(image)
    sizes = _segmented_sizes(path.with_name(_IMAGES))
    sources = []
    for name, codes in submission.items():
        image = _find(name, by_name.get(PurePosixPath(name).name, []), path, images)
        _check_size(image, sizes.get(name))
        sources.append(MaskSource(name, image, partial(_decode, codes, f"{path}, {name}")))
    return sources


def annotated_sources(labels: str | PathLike[str]) -> list[MaskSource]:
    """Return the annotated radiographs of a data set.

    Args:
        labels: folder in the layout of the data set.

    Raises:
        HandsegInputError: there is no image or no polygon, one lacks its counterpart, or two images have one name.
    """
    items = data_list(labels)
    if "label" not in items[0]:
        raise HandsegInputError(labels, "has images without polygons", "name the data set with its polygons")
    first: dict[str, str] = {}
    for item in items:
        other = first.setdefault(item["image_name"], item["image"])
        if other != item["image"]:
            raise HandsegInputError(item["image"], f"has the same name as {other}", "rename one of them")
    return [MaskSource(item["image_name"], Path(item["image"]), partial(_rasterise, item["label"])) for item in items]


def _find(name: str, candidates: Iterable[Path], path: Path, images: str | PathLike[str]) -> Path:
    """Return the one image whose path ends in a name."""
    wanted = PurePosixPath(name).parts
    found = [image for image in candidates if image.absolute().parts[-len(wanted) :] == wanted]
    if not found:
        raise HandsegInputError(path, f"has {name!r}, which {images} does not hold", _SAME_IMAGES)
    if len(found) > 1:
        problem = f"has {name!r}, which {images} holds {len(found)} times"
        raise HandsegInputError(path, problem, "name a folder that holds it once, or predict with --keep-folders")
    return found[0]


def _segmented_sizes(path: Path) -> dict[str, tuple[int, int]]:
    """Return the sizes that `handseg predict` has noted, if it has."""
    try:
        with open_csv(path) as file:
            return {row["image_name"]: (int(row["height"]), int(row["width"])) for row in csv.DictReader(file)}
    except (OSError, KeyError, TypeError, ValueError, csv.Error):
        return {}


def _check_size(image: Path, segmented: tuple[int, int] | None) -> None:
    height, width = read_size(image)
    if segmented is not None and segmented != (height, width):
        problem = f"is of {width} x {height} px, but what was segmented of {segmented[1]} x {segmented[0]}"
        raise HandsegInputError(image, problem, _SAME_IMAGES)


def _decode(codes: Mapping[str, str], source: str, height: int, width: int) -> Packed:
    """Return the masks of run-length codes, written run by run: whole masks would take ten times as long."""
    packed = np.zeros(height * width, np.uint32)
    for channel, (bone, code) in enumerate(codes.items()):
        starts, ends = decode_runs([code], [f"{source}, {bone}"])
        if ends.max(initial=0) > packed.size:
            decode_rle(code, height, width, f"{source}, {bone}")  # tells which run lies beyond the image
        bit = np.uint32(1 << channel)
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            packed[start:end] |= bit
    return packed.reshape(height, width)


def _rasterise(label: str, height: int, width: int) -> Packed:
    return rasterise_packed(read_annotations(label), height, width)
