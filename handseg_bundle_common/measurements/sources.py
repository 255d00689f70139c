"""Which radiographs to measure, and where their masks come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path

from handseg_bundle_common.datasets import data_list
from handseg_bundle_common.datasets.predictions import (
    SAME_IMAGES,
    FileIndex,
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


@dataclass(frozen=True)
class MaskSource:
    """A radiograph and its masks.

    Attributes:
        name: its name in the tables.
        image: its file.
        masks: reads the packed masks (H, W) of a radiograph of that height and width; can be pickled.
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
    path = submission_file(predictions)
    submission = read_submission(path)
    if not submission:
        raise HandsegInputError(path, "holds no image", "predict some radiographs")
    index, sizes = FileIndex(images, find_radiographs(images)), read_sizes(path)
    sources = []
    for name, codes in submission.items():
        found = index.find(key_of(name), name)
        if found is None:
            raise HandsegInputError(path, f"has {name!r}, which {images} does not hold", SAME_IMAGES)
        _, image = found
        checked_size(image, sizes.get(name))
        sources.append(MaskSource(name, image, partial(_decode, tuple(codes.values()), f"{path}, {name}")))
    return sources


def annotated_sources(labels: str | PathLike[str]) -> list[MaskSource]:
    """Return the annotated radiographs of a data set.

    An image is named `image.png`, or by its path below `DCM` where several have that name.

    Args:
        labels: folder in the layout of the data set.

    Raises:
        HandsegInputError: there is no image or no polygon, or one lacks its counterpart.
    """
    items = data_list(labels)
    if "label" not in items[0]:
        raise HandsegInputError(labels, "has images without polygons", "name the data set with its polygons")
    images = [Path(item["image"]) for item in items]
    root, count = Path(labels).absolute() / "DCM", Counter(image.name for image in images)
    names = [image.name if count[image.name] == 1 else image.relative_to(root).as_posix() for image in images]
    return [
        MaskSource(name, image, partial(_rasterise, item["label"]))
        for name, image, item in zip(names, images, items, strict=True)
    ]


def _decode(codes: Sequence[str], source: str, height: int, width: int) -> Packed:
    return decode_packed(codes, height, width, source)


def _rasterise(label: str, height: int, width: int) -> Packed:
    return rasterise_packed(read_annotations(label), height, width)
