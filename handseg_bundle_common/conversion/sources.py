"""Masks of one image after the other, from a file or folder in any format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path, PurePosixPath

from handseg_bundle_common.conversion.kinds import COCO, COCO_RAM, FORMATS, RLE, image_stem
from handseg_bundle_common.conversion.recognise import mask_files, suffix_of
from handseg_bundle_common.datasets.predictions import (
    FileIndex,
    checked_size,
    find_radiographs,
    key_of,
    read_sizes,
    submission_file,
)
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.coco import CocoFile
from handseg_bundle_common.formats.mask_image import MaskImage
from handseg_bundle_common.formats.radiograph import has_radiograph_suffix, read_size
from handseg_bundle_common.formats.rle import decode_packed, read_submission
from handseg_bundle_common.formats.stored import check_size

_COCO_FILE, _LABELS, _PICTURES = "coco.json", "outputs_json", "DCM"


@dataclass(frozen=True)
class Entry:
    """One image.

    Attributes:
        name: its name, as far as it is known without reading its masks: the suffix may be missing.
        read: reads its masks, with the whole name.
    """

    name: str
    read: Callable[[], MaskImage]


class Radiographs:
    """The radiographs that masks belong to, which tell sizes and whole names.

    Args:
        folder: searched recursively; None without radiographs.

    Raises:
        HandsegInputError: the folder holds none.
    """

    def __init__(self, folder: str | PathLike[str] | None) -> None:
        self._index = None if folder is None else FileIndex(folder, find_radiographs(folder))

    def find(self, name: str) -> Path | None:
        """Return the radiograph of an image, None where it is not there.

        Raises:
            HandsegInputError: several may be meant.
        """
        # Without a suffix, what stands behind a dot would be taken for one.
        whole = name if has_radiograph_suffix(name) else f"{name}.png"
        found = None if self._index is None or not name else self._index.find(key_of(whole), name)
        return None if found is None else found[1]


def entries_of(path: str | PathLike[str], name: str, radiographs: Radiographs) -> list[Entry]:
    """Return the images of a file or folder; a submission or COCO file is read at once, but for its pixels.

    Args:
        path: the file or folder.
        name: its format.
        radiographs: those that the masks belong to.

    Raises:
        HandsegInputError: nothing is found, or a file of all images cannot be read.
    """
    root = Path(path)
    if name == RLE:
        entries = _submitted(submission_file(root), radiographs)
    elif name in (COCO, COCO_RAM):
        file = CocoFile(root / _COCO_FILE if root.is_dir() else root)
        entries = [Entry(image, partial(_read_coco, file, n, radiographs)) for n, image in enumerate(file.names)]
    else:
        entries = _filed(root, name, radiographs)
    if not entries:
        raise HandsegInputError(path, f"holds no masks as {name}", "check the path and --from")
    return entries


def default_images(path: str | PathLike[str], name: str) -> Path | None:
    """Return the folder `DCM` of a data set whose polygons are converted, None for anything else."""
    root = Path(path).resolve()
    data = root if Path(root, _LABELS).is_dir() else root.parent if root.name == _LABELS else None
    pictures = None if data is None else data / _PICTURES
    return pictures if name == "polygons" and pictures is not None and pictures.is_dir() else None


def _filed(root: Path, name: str, radiographs: Radiographs) -> list[Entry]:
    """Return one entry a file."""
    root = root.resolve()
    files = mask_files(root, name) if root.is_dir() else [root]
    entries = []
    for file in files:
        below = file.relative_to(root) if root.is_dir() and file != root else Path(file.name)
        suffix = suffix_of(file, name)
        parts = below.parts[1:] if below.parts[0] == _LABELS else below.parts
        stem = PurePosixPath(*parts).as_posix().removesuffix(suffix)
        entries.append(Entry(stem, partial(_read_file, file, name, stem, radiographs)))
    return entries


def _read_file(file: Path, name: str, stem: str, radiographs: Radiographs) -> MaskImage:
    read = FORMATS[name].read
    assert read is not None  # noqa: S101 - for the type checker: formats of one file are read elsewhere
    radiograph = radiographs.find(stem)
    image = read(file, None if radiograph is None else read_size(radiograph))
    parent, own = PurePosixPath(stem).parent, PurePosixPath(stem).name
    told = PurePosixPath(image.name).name
    if image_stem(told) != own:
        told = own if radiograph is None else radiograph.name
    return replace(image, name=(parent / told).as_posix())


def _read_coco(file: CocoFile, number: int, radiographs: Radiographs) -> MaskImage:
    radiograph = radiographs.find(file.names[number])
    image = file.read(number)
    if radiograph is not None:
        checked_size(radiograph, image.masks.shape)
    return image


def _submitted(path: Path, radiographs: Radiographs) -> list[Entry]:
    sizes = read_sizes(path)
    entries = []
    for image, codes in read_submission(path).items():
        size, radiograph = sizes.get(image), radiographs.find(image)
        if radiograph is not None:
            size = checked_size(radiograph, size)
        if size is None:
            problem = f"does not tell the size of {image!r}, nor does a table images.csv beside it"
            raise HandsegInputError(path, problem, "name the folder of the images (--images)")
        check_size(f"{path}, {image}", *size)
        entries.append(Entry(image, partial(_decode, image, tuple(codes.values()), size, f"{path}, {image}")))
    return entries


def _decode(image: str, codes: tuple[str, ...], size: tuple[int, int], source: str) -> MaskImage:
    return MaskImage(image, decode_packed(codes, *size, source))
