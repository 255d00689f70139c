"""Masks in a COCO file: one JSON for all images, an annotation a bone, segmentations as compressed run lengths."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import read_json, write_atomically
from handseg_bundle_common.formats.coco_categories import Categories
from handseg_bundle_common.formats.coco_runs import (
    Runs,
    compress,
    counts_of_runs,
    decompress,
    runs_of_counts,
    runs_of_mask,
    runs_of_ring,
    union,
)
from handseg_bundle_common.formats.mask_image import (
    MaskImage,
    bone_bits,
    channel_of,
    is_merged,
    merged_note,
    spacing_of,
    united_note,
    unknown_note,
)
from handseg_bundle_common.formats.stored import check_size
from handseg_bundle_common.masks import Packed

# All images stand in one file.
MAX_BYTES = 2**30

_SPACING = "spacing_mm"
_EXPORT_AGAIN = "export it again as COCO with images, categories and annotations"


class CocoWriter:
    """Context manager that streams a COCO file; it appears, complete, when the block succeeds.

    Args:
        path: the file.
        categories: `bone_categories()` or `ram_categories()`.
    """

    def __init__(self, path: str | PathLike[str], categories: Categories) -> None:
        self.path = Path(path)
        self._categories = categories
        self._stack = ExitStack()
        self._images, self._annotations = 0, 0
        self._names: set[str] = set()

    def __enter__(self) -> CocoWriter:
        with ExitStack() as stack:
            temporary = stack.enter_context(write_atomically(self.path))
            self._file = stack.enter_context(temporary.open("w", encoding="ascii"))
            # A file has two lists; the shorter one waits beside it.
            self._waiting = stack.enter_context(tempfile.TemporaryFile("w+", encoding="ascii", dir=self.path.parent))
            self._file.write('{"info": {"description": "bones of the hand and wrist"}, "categories": ')
            self._file.write(json.dumps(self._categories.document))
            self._file.write(',\n"annotations": [')
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self._file.write('\n],\n"images": [')
            self._waiting.seek(0)
            shutil.copyfileobj(self._waiting, self._file)
            self._file.write("\n]}\n")
            self._file.flush()
        self._stack.__exit__(kind, error, traceback)

    def write(self, image: MaskImage) -> None:
        """Add an image; bones without a pixel have no annotation.

        Raises:
            HandsegInputError: the image has been written already.
        """
        if image.name in self._names:
            raise HandsegInputError(self.path, f"would hold the image {image.name!r} twice", "rename one of the images")
        self._names.add(image.name)
        self._images += 1
        height, width = image.masks.shape
        entry = {"id": self._images, "file_name": image.name, "height": height, "width": width}
        if image.spacing_mm is not None:
            entry[_SPACING] = list(image.spacing_mm)
        self._add(self._waiting, entry, self._images)
        for number, runs in self._runs(image.masks).items():
            self._annotations += 1
            self._add(self._file, self._annotation(number, runs, (height, width)), self._annotations)

    def _runs(self, masks: Packed) -> dict[int, Runs]:
        """Return the runs of every category with a pixel."""
        columns = np.ascontiguousarray(masks.T).ravel()
        runs: dict[int, Runs] = {}
        for channel, number in enumerate(self._categories.numbers):
            found = runs_of_mask(bone_bits(columns, channel))
            if found[0].size:
                runs[number] = union([runs[number], found]) if number in runs else found
        return runs

    def _annotation(self, number: int, runs: Runs, size: tuple[int, int]) -> dict[str, Any]:
        height, width = size
        starts, ends = runs
        left, right = int(starts[0]) // height, int(ends[-1] - 1) // height
        is_wrapped = starts // height != (ends - 1) // height
        top = 0 if is_wrapped.any() else int((starts % height).min())
        bottom = height - 1 if is_wrapped.any() else int(((ends - 1) % height).max())
        return {
            "id": self._annotations,
            "image_id": self._images,
            "category_id": number,
            "iscrowd": 0,
            "area": int((ends - starts).sum()),
            "bbox": [left, top, right - left + 1, bottom - top + 1],
            "segmentation": {"size": [height, width], "counts": compress(counts_of_runs(runs, height * width))},
        }

    @staticmethod
    def _add(file: Any, entry: Mapping[str, Any], number: int) -> None:
        file.write(f"{',' if number > 1 else ''}\n{json.dumps(entry)}")


class CocoFile:
    """A COCO file, its structure checked; masks are decoded image by image. All of its text is held in memory.

    Attributes:
        path: the file.
        names: the images' names in the file's order.

    Raises:
        HandsegInputError: the file cannot be read, is no COCO file, or has no category that is a bone.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        document = self._read()
        self._images = [self._image(entry) for entry in document["images"]]
        self.names = [str(entry["file_name"]) for entry in self._images]
        labels = dict(self._label(entry) for entry in document["categories"])
        if not any(channel_of(label) is not None for label in labels.values()):
            raise HandsegInputError(self.path, "has no category that is a bone", "name its categories as bones")
        self._labels = labels
        self._annotations: dict[int, list[Mapping[str, Any]]] = {entry["id"]: [] for entry in self._images}
        for entry in document["annotations"]:
            self._annotations[self._checked_annotation(entry)].append(entry)

    def __len__(self) -> int:
        return len(self.names)

    def read(self, number: int) -> MaskImage:
        """Return the masks of an image.

        Raises:
            HandsegInputError: a segmentation is not one of the image.
        """
        entry = self._images[number]
        height, width = entry["height"], entry["width"]
        masks: dict[int, list[Runs]] = {}
        unknown, merged, has_polygons = [], [], False
        for annotation in self._annotations[entry["id"]]:
            label = self._labels[annotation["category_id"]]
            channel = channel_of(label)
            if channel is None:
                unknown.append(label)
                continue
            merged.append(label)
            segmentation = annotation.get("segmentation")
            has_polygons |= isinstance(segmentation, list)
            masks.setdefault(channel, []).append(self._runs(annotation, segmentation, height, width))
        notes = unknown_note("category", unknown) + merged_note([label for label in merged if is_merged(label)])
        notes += united_note("annotations", [channel for channel, runs in masks.items() for _ in runs])
        if has_polygons:
            notes += ("polygons became masks of whole pixels",)
        spacing = spacing_of(entry.get(_SPACING))
        return MaskImage(self.names[number], _packed(masks, height, width), spacing, notes)

    def __iter__(self) -> Iterator[MaskImage]:
        return (self.read(number) for number in range(len(self)))

    def _read(self) -> dict[str, Any]:
        document = read_json(self.path, _EXPORT_AGAIN, MAX_BYTES)
        for part in ("images", "categories", "annotations"):
            found = document.get(part) if isinstance(document, dict) else None
            if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
                raise HandsegInputError(self.path, f'has no list "{part}" of objects', _EXPORT_AGAIN)
        for part in ("images", "categories"):
            numbers = [entry.get("id") for entry in document[part]]
            if not all(type(number) is int for number in numbers) or len(set(numbers)) != len(numbers):
                raise HandsegInputError(self.path, f'has "{part}" without an "id" of their own', _EXPORT_AGAIN)
        checked: dict[str, Any] = document
        return checked

    def _image(self, entry: dict[str, Any]) -> dict[str, Any]:
        height, width = entry.get("height"), entry.get("width")
        if type(height) is not int or type(width) is not int or not isinstance(entry.get("file_name"), str):
            problem = f'has the image {entry["id"]} without "file_name", "height" or "width"'
            raise HandsegInputError(self.path, problem, _EXPORT_AGAIN)
        try:
            entry["file_name"].encode("utf-8", "surrogateescape")  # as Python names files of any bytes (PEP 383)
        except UnicodeEncodeError as error:
            problem = f"has the image {entry['file_name']!r}, which no file can be called"
            raise HandsegInputError(self.path, problem, "rename the image") from error
        check_size(f"{self.path}, {entry['file_name']}", height, width)
        return entry

    def _label(self, entry: Mapping[str, Any]) -> tuple[int, str]:
        if not isinstance(entry.get("name"), str):
            raise HandsegInputError(self.path, f'has the category {entry["id"]} without a "name"', _EXPORT_AGAIN)
        return entry["id"], entry["name"]

    def _checked_annotation(self, entry: Mapping[str, Any]) -> int:
        """Return the image of an annotation."""
        image, category = entry.get("image_id"), entry.get("category_id")
        if type(image) is not int or image not in self._annotations:
            raise HandsegInputError(self.path, f"has an annotation of the unknown image {image!r}", _EXPORT_AGAIN)
        if type(category) is not int or category not in self._labels:
            raise HandsegInputError(self.path, f"has an annotation of the unknown category {category!r}", _EXPORT_AGAIN)
        return image

    def _runs(self, annotation: Mapping[str, Any], segmentation: object, height: int, width: int) -> Runs:
        try:
            return _decoded(segmentation, height, width)
        except (ValueError, TypeError, OverflowError) as error:
            source = f"{self.path}, annotation {annotation.get('id')!r}"
            raise HandsegInputError(source, f"has no usable segmentation ({error})", _EXPORT_AGAIN) from error


def _decoded(segmentation: object, height: int, width: int) -> Runs:
    if isinstance(segmentation, list):
        return union([runs_of_ring(ring, height, width) for ring in segmentation] or [_no_runs()])
    if not isinstance(segmentation, dict):
        raise ValueError("it is neither polygons nor run lengths")
    if segmentation.get("size") != [height, width]:
        raise ValueError(f"its size is {segmentation.get('size')!r}"[:80])
    counts = segmentation.get("counts")
    if isinstance(counts, str):
        return runs_of_counts(decompress(counts), height * width)
    if not isinstance(counts, list) or not all(type(count) is int for count in counts):
        raise ValueError("its counts are neither text nor whole numbers")
    return runs_of_counts(np.array(counts, np.int64), height * width)


def _packed(masks: Mapping[int, Sequence[Runs]], height: int, width: int) -> Packed:
    """Return packed masks (H, W); every run turns its bone's bit over where it starts and behind its end."""
    turned = np.zeros(height * width + 1, np.uint32)
    for channel, runs in masks.items():
        for places in union(runs):
            np.bitwise_xor.at(turned, places, np.uint32(1 << channel))
    columns = np.bitwise_xor.accumulate(turned)[:-1].reshape(width, height)
    return np.ascontiguousarray(columns.T)


def _no_runs() -> Runs:
    return np.empty(0, np.int64), np.empty(0, np.int64)
