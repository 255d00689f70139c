"""What the header of a DICOM radiograph says, and what is refused by it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.dicom.bounded import EXPORT_AGAIN
from handseg_bundle_common.formats.dicom.files import (
    is_dicom,
    name_of,
    read_header,
    reading,
    sensible,
    sop_class,
    warn_once,
)
from handseg_bundle_common.formats.stored import check_size

if TYPE_CHECKING:
    from pydicom import Dataset, FileDataset

# Storage classes (PS3.4, table B.5-1) of radiographs: computed and digital ones, and pictures exported by programs.
_RADIOGRAPHS = (
    "1.2.840.10008.5.1.4.1.1.1",
    "1.2.840.10008.5.1.4.1.1.1.1",
    "1.2.840.10008.5.1.4.1.1.7",
    "1.2.840.10008.5.1.4.1.1.7.2",
    "1.2.840.10008.5.1.4.1.1.7.3",
    "1.2.840.10008.5.1.4.1.1.7.4",
)
_FOR_PROCESSING = ("1.2.840.10008.5.1.4.1.1.1.1.1",)
_GREY = ("MONOCHROME1", "MONOCHROME2")
_NAME = re.compile("[A-Z0-9_ ]{1,16}")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")


@dataclass(frozen=True)
class Layout:
    """How the pixels of a radiograph are stored (PS3.3, C.7.6.3).

    Attributes:
        rows: height in px.
        columns: width in px.
        samples: 1, or 3 in colour.
        allocated: bits that a sample takes, 8 or 16.
        stored: bits of them that count.
        high_bit: place of the highest that counts.
        is_signed: whether levels are two's complements.
        is_inverted: whether the smallest level is white.
    """

    rows: int
    columns: int
    samples: int
    allocated: int
    stored: int
    high_bit: int
    is_signed: bool
    is_inverted: bool

    @property
    def pixel_bytes(self) -> int:
        """What the pixels take when they are not compressed."""
        return self.rows * self.columns * self.samples * self.allocated // 8


def read_dicom_size(path: str | PathLike[str]) -> tuple[int, int]:
    """Return the size (H, W) of a DICOM radiograph from its header alone.

    Raises:
        HandsegInputError: as `picture.read_dicom`, as far as the header tells.
    """
    layout = check_radiograph(path, read_header(path))
    return layout.rows, layout.columns


def read_dicom_side_tag(path: str | PathLike[str]) -> str | None:
    """Return Image Laterality (0020,0062) or, without it, Laterality (0020,0060) of a DICOM file.

    Returns:
        What the file says, mostly L, R, B (both), U (unpaired) or an empty text; None for other files.

    Raises:
        HandsegInputError: the file cannot be read.
    """
    if not is_dicom(path):
        return None
    header = read_header(path)
    with reading(path):
        return side_tag(header)


def side_tag(dataset: Dataset) -> str:
    """Return the side that a data set tells, an empty text where it tells none."""
    return str(dataset.get("ImageLaterality") or dataset.get("Laterality") or "").strip().upper()


def check_radiograph(path: str | PathLike[str], dataset: FileDataset) -> Layout:
    """Return the layout of the pixels, and refuse what is no single radiograph before any pixel is read.

    Raises:
        HandsegInputError: the file holds something else, several frames, too many pixels, or pixels of another kind.
    """
    with reading(path):
        _check_kind(path, dataset)
        rows, columns = whole_number(dataset, "Rows", 0), whole_number(dataset, "Columns", 0)
        check_size(path, rows, columns)
        frames = whole_number(dataset, "NumberOfFrames", 1)
        if frames > 1:
            raise HandsegInputError(path, f"holds {frames} frames", "save each one in a file of its own")
        return _layout(path, dataset, rows, columns)


def whole_number(dataset: Dataset, name: str, default: int | None = None) -> int:
    """Return an element that must be a whole number.

    Raises:
        ValueError: it is something else, or missing without a default.
    """
    value: Any = dataset.get(name)
    if value in (None, "") and default is not None:
        return default
    try:
        number = int(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is no whole number") from error
    if number < 0:
        raise ValueError(f"{name} is {number}")
    return number


def _check_kind(path: str | PathLike[str], dataset: FileDataset) -> None:
    kind = sop_class(dataset)
    if kind in _FOR_PROCESSING or dataset.get("PresentationIntentType") == "FOR PROCESSING":
        problem = "holds what the detector measured (FOR PROCESSING), not a radiograph to look at"
        raise HandsegInputError(path, problem, "export the picture FOR PRESENTATION")
    if kind not in _RADIOGRAPHS:
        problem = f"holds {name_of(kind)}, not a radiograph"
        raise HandsegInputError(path, problem, "name a picture of computed or digital radiography (CR, DX)")


def _layout(path: str | PathLike[str], dataset: FileDataset, rows: int, columns: int) -> Layout:
    samples, allocated = whole_number(dataset, "SamplesPerPixel", 1), whole_number(dataset, "BitsAllocated")
    stored, high_bit = _bits(path, dataset, allocated)
    kind = str(dataset.get("PhotometricInterpretation") or "")
    if not kind and samples == 1:
        kind = "MONOCHROME2"
        warn_once(f"{path}: does not tell whether its largest level is white, which is assumed.")
    is_grey = samples == 1 and kind in _GREY and allocated in (8, 16)
    is_colour = samples == 3 and kind in _COLOUR and allocated == stored == 8
    if not (is_grey or is_colour):
        problem = f"has pixels of {samples} x {allocated} bits{f', {kind}' if _NAME.fullmatch(kind) else ''}"
        raise HandsegInputError(path, problem, EXPORT_AGAIN)
    sign = sensible(path, "pixel representation", lambda: _sign(dataset))
    return Layout(rows, columns, samples, allocated, stored, high_bit, bool(sign), kind == "MONOCHROME1")


def _bits(path: str | PathLike[str], dataset: Dataset, allocated: int) -> tuple[int, int]:
    """Return how many bits count and the highest of them; all where the file makes no sense."""

    def told() -> tuple[int, int]:
        stored = whole_number(dataset, "BitsStored", allocated)
        if not 1 <= stored <= allocated:
            raise ValueError(f"{stored} bits do not fit into {allocated}")
        return stored, whole_number(dataset, "HighBit", stored - 1)

    stored, high_bit = sensible(path, "number of stored bits", told) or (allocated, allocated - 1)
    if not stored <= high_bit + 1 <= allocated:
        warn_once(f"{path}: {stored} bits do not end at bit {high_bit}, so the lowest ones are taken.")
        high_bit = stored - 1
    return stored, high_bit


def _sign(dataset: Dataset) -> int:
    sign = whole_number(dataset, "PixelRepresentation", 0)
    if sign not in (0, 1):
        raise ValueError(f"PixelRepresentation is {sign}")
    return sign
