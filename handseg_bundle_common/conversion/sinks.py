"""Where converted masks go: a file an image, or one file for all of them, streamed."""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any

from handseg_bundle_common.conversion.kinds import COCO, COCO_RAM, FORMATS, RLE, image_stem
from handseg_bundle_common.conversion.recognise import has_suffix
from handseg_bundle_common.datasets.predictions import SUBMISSION, sizes_file
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import write_csv
from handseg_bundle_common.formats.coco import CocoWriter
from handseg_bundle_common.formats.coco_categories import bone_categories, ram_categories
from handseg_bundle_common.formats.mask_image import MaskImage
from handseg_bundle_common.formats.rle import SubmissionWriter
from handseg_bundle_common.formats.stored import check_size

_OVERWRITE = "name another place or add --overwrite"


class Sink(ABC):
    """Takes the masks of one image after the other; a context manager."""

    def __enter__(self) -> Sink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def check(self, names: Iterable[str]) -> None:
        """Refuse images of which two would share a file, or one replace a radiograph, before any is written.

        Raises:
            HandsegInputError: two would, a file that is there holds no masks, or a name is no path.
        """
        return

    @abstractmethod
    def has(self, name: str) -> bool:
        """Tell whether an image is there already and shall stay; its suffix does not count.

        Raises:
            HandsegInputError: a part of it is there.
        """

    @abstractmethod
    def write(self, image: MaskImage, radiograph: Path | None = None) -> tuple[str, ...]:
        """Write the masks of an image and return what of it the format cannot hold.

        Raises:
            HandsegInputError: the image stood there twice or cannot be written.
        """


def open_sink(target: Path, name: str, *, overwrite: bool = False) -> Sink:
    """Return what writes masks.

    Args:
        target: a file with the format's suffix, or a folder.
        name: the format.
        overwrite: replace what is there.

    Raises:
        HandsegInputError: a file that would be written is there and shall stay.
    """
    is_file = has_suffix(target, name)
    if FORMATS[name].read is not None:
        if is_file:
            _check_absent(target, overwrite)
        return FileSink(target, name, is_file=is_file, overwrite=overwrite)
    if name == RLE:
        path = target if is_file else target / SUBMISSION
        for file in (path, sizes_file(path)):
            _check_absent(file, overwrite)
        return RleSink(path)
    path = target if is_file else target / "coco.json"
    _check_absent(path, overwrite)
    return CocoSink(path, name)


class FileSink(Sink):
    """A file an image, or a folder an image: `<target>/<image><suffix>`, or the one file `target`.

    Attributes:
        name: the format.

    Args:
        target: the file or folder.
        name: the format.
        is_file: whether `target` is the file of the only image.
        overwrite: replace files that are there.
    """

    def __init__(self, target: Path, name: str, *, is_file: bool, overwrite: bool) -> None:
        self.name = name
        self._target, self._format = target, FORMATS[name]
        self._is_file, self._overwrite = is_file, overwrite
        self._written: dict[Path, str] = {}

    def check(self, names: Iterable[str]) -> None:
        """Refuse images of which two would share a file, or one replace a radiograph; see `Sink.check`."""
        paths: dict[Path, str] = {}
        for name in names:
            path = self.path(name)
            _claim(paths, path, name)
            self._check_own(path)

    def has(self, name: str) -> bool:
        """Tell whether the file of an image is there and shall stay."""
        path = self.path(name)
        return not self._overwrite and path not in self._written and self._format.exists(path)

    def path(self, name: str) -> Path:
        """Return the file of an image.

        Raises:
            HandsegInputError: the image's name leads out of the folder.
        """
        if self._is_file:
            return self._target
        image = PurePosixPath(name)
        is_below = name and not image.is_absolute() and ".." not in image.parts and not set(name) & {"\\", "\0", ":"}
        stem = image_stem(name)
        if not is_below or not stem.strip("."):
            problem = f"would hold the image {name!r}, whose name is no path below it"
            raise HandsegInputError(self._target, problem, "rename the image")
        if any(part.startswith(".") for part in image.parts):
            problem = f"would hold the image {name!r} as a hidden file, which is never found again"
            raise HandsegInputError(self._target, problem, "rename the image")
        return self._target / image.parent / f"{stem}{self._format.suffixes[0]}"

    def write(self, image: MaskImage, radiograph: Path | None = None) -> tuple[str, ...]:
        """Write the file of an image; see `Sink.write`."""
        path = self.path(image.name)
        _claim(self._written, path, image.name)
        self._check_own(path)
        assert self._format.write is not None  # noqa: S101 - for the type checker: it is one of files
        self._format.write(path, image, radiograph)
        return self._format.losses(image)

    def _check_own(self, path: Path) -> None:
        """Refuse to take a file for masks, or to replace it, that may be a radiograph of the same name."""
        if path.is_file() and not self._format.is_own(path):
            problem = f"is there, and is a radiograph or anything else but masks as {self.name}"
            raise HandsegInputError(path, problem, "name another folder")


class CocoSink(Sink):
    """One COCO file."""

    def __init__(self, path: Path, name: str) -> None:
        categories = {COCO: bone_categories, COCO_RAM: ram_categories}[name]()
        self._writer, self._format = CocoWriter(path, categories), FORMATS[name]

    def __enter__(self) -> CocoSink:
        self._writer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.__exit__(kind, error, trace)

    def has(self, name: str) -> bool:
        """Tell that nothing is there: the file is written as a whole."""
        return False

    def write(self, image: MaskImage, radiograph: Path | None = None) -> tuple[str, ...]:
        """Add an image; see `Sink.write`."""
        self._writer.write(image)
        return self._format.losses(image)


class RleSink(Sink):
    """A submission, and a table of sizes beside it (`sizes_file`), without which it cannot be read again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stack = ExitStack()
        self._sizes: Any = None

    def __enter__(self) -> RleSink:
        with ExitStack() as stack:
            self._writer = stack.enter_context(SubmissionWriter(self._path))
            self._sizes = csv.writer(stack.enter_context(write_csv(sizes_file(self._path))))
            self._sizes.writerow(("image_name", "height", "width"))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def has(self, name: str) -> bool:
        """Tell that nothing is there: the file is written as a whole."""
        return False

    def write(self, image: MaskImage, radiograph: Path | None = None) -> tuple[str, ...]:
        """Add an image; see `Sink.write`."""
        check_size(image.name, *image.masks.shape)
        self._writer.write(image.name, image.masks)
        self._sizes.writerow((image.name, *image.masks.shape))
        return FORMATS[RLE].losses(image)


def _claim(paths: dict[Path, str], path: Path, name: str) -> None:
    """Note which image has a file, and refuse a second one."""
    if path in paths:
        problem = f"would be written twice, for {paths[path]!r} and {name!r}"
        raise HandsegInputError(path, problem, "rename one of the images")
    paths[path] = name


def _check_absent(path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise HandsegInputError(path, "is there already", _OVERWRITE)
