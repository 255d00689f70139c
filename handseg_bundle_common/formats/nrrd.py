"""NRRD files of label values, read row by row (http://teem.sourceforge.net/nrrd/format.html)."""

from __future__ import annotations

import bz2
import gzip
import io
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.mask_image import Size, Spacing
from handseg_bundle_common.formats.nrrd_space import read_space
from handseg_bundle_common.formats.stored import check_size

WRITE_AGAIN = "save the segmentation again as .seg.nrrd with 3D Slicer"

# Headers of 29 segments take 8 KB.
_MAX_HEADER = 2**20
_MAX_LAYERS = 256
_MAX_BYTES = 2**33

_GEOMETRY = "Reference image geometry"

# Integer types by all their names.
_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
}
_ORDERS = {"little": "<", "big": ">"}
_ENCODINGS = {"raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2"}


class NrrdReader:
    """Label values of one slice in one layer or several, read from the first row to the last.

    Attributes:
        keys: what the file says beside the format's own fields, by key.
        layers: size of the first axis if that is a list, else 1.
        columns: width in px, as stored.
        rows: height in px, as stored.
        offset: (column, row) of the first pixel in the image from which the file was cropped.
        image_size: (H, W) of that image: as 3D Slicer tells it, else the smallest one that holds these pixels.
        turn: how pixels (column, row) are displayed, as nibabel tells orientations.
        spacing_mm: distances of rows and columns in mm as displayed, None where they are not known.
    """

    def __init__(self, path: str | PathLike[str], fields: dict[str, str], keys: dict[str, str]) -> None:
        self.keys = keys
        sizes, kinds = _sizes(fields), fields.get("kinds", "").lower().split()
        is_list = len(sizes) == 4
        if is_list and kinds and kinds[0] not in ("list", "vector"):
            raise HandsegInputError(path, "has four axes of which the first is no list of layers", WRITE_AGAIN)
        self.layers = sizes[0] if is_list else 1
        domain = sizes[is_list:] + [1] * (3 - len(sizes[is_list:]))
        # A picture has one slice, along whichever axis.
        slice_axis = max(axis for axis in range(3) if domain[axis] == 1) if 1 in domain else None
        if slice_axis is None:
            raise HandsegInputError(path, f"holds {domain[2]} slices", "save each one in a file of its own")
        axes = [axis for axis in range(3) if axis != slice_axis]
        self.columns, self.rows = (domain[axis] for axis in axes)
        check_size(path, self.rows, self.columns)
        if not 0 < self.layers <= _MAX_LAYERS:
            raise HandsegInputError(path, f"has {self.layers} layers", WRITE_AGAIN)
        self._dtype = _dtype(fields)
        if math.prod(sizes) * self._dtype.itemsize > _MAX_BYTES:
            raise HandsegInputError(path, "has more label values than a segmentation needs", WRITE_AGAIN)
        offset = _numbers(keys.get("Segmentation_ReferenceImageExtentOffset", "0 0 0"), 3)
        self.offset = int(offset[axes[0]]), int(offset[axes[1]])
        told = _reference_size(keys.get("Segmentation_ConversionParameters", ""), axes)
        holds_all = told is not None and told[0] >= self.smallest_size[0] and told[1] >= self.smallest_size[1]
        self.image_size: Size = told if told is not None and holds_all else self.smallest_size
        self.turn, self.spacing_mm = read_space(fields, is_list, axes)

    @property
    def smallest_size(self) -> Size:
        """Height and width of the smallest image that holds these pixels at their place."""
        return self.offset[1] + self.rows, self.offset[0] + self.columns

    def attach(self, stream: Any) -> None:
        """Take label values from a stream that stands at their beginning."""
        self._stream = stream

    def read_rows(self, count: int) -> NDArray[Any]:
        """Return label values (count, columns, layers) of the next rows.

        Raises:
            ValueError: the file ends before.
        """
        length = count * self.columns * self.layers * self._dtype.itemsize
        content = self._stream.read(length)
        if len(content) < length:
            raise ValueError("it ends too early")
        return np.frombuffer(content, self._dtype).reshape(count, self.columns, self.layers)

    def read_end(self) -> None:
        """Have a compressed file compared with its checksum."""
        self._stream.read(1)


@contextmanager
def open_nrrd(path: str | PathLike[str]) -> Iterator[NrrdReader]:
    """Open a NRRD file whose data stand in it; what a broken one raises becomes a HandsegInputError.

    Raises:
        HandsegInputError: the file is missing, broken, too large, or no NRRD file of one slice of integers.
    """
    try:
        with Path(path).open("rb") as file:
            fields, keys = _read_header(file)
            if "data file" in fields or "datafile" in fields:
                raise HandsegInputError(path, "keeps its data in another file", WRITE_AGAIN)
            if any(fields.get(name, "0") != "0" for name in ("line skip", "byte skip", "lineskip", "byteskip")):
                raise HandsegInputError(path, "skips a part of its data", WRITE_AGAIN)
            reader = NrrdReader(path, fields, keys)
            reader.attach(_decoded(file, fields))
            yield reader
    except (HandsegInputError, MemoryError):
        raise
    except Exception as error:  # broken bytes make the decoders raise many types
        raise HandsegInputError(path, f"cannot be read as NRRD ({error})", WRITE_AGAIN) from error


def reference_geometry(size: Size, spacing: Spacing) -> str:
    """Return the geometry of an image as 3D Slicer stores it in a segmentation: an affine by rows, and an extent.

    Args:
        size: (H, W) in px.
        spacing: distances of rows and of columns.
    """
    (height, width), (rows, columns) = size, spacing
    # Slicer counts to the right and anterior, the file to the left and posterior.
    affine = (-columns, 0, 0, 0, 0, -rows, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1)
    numbers = "".join(f"{number!r};" for number in (*affine, 0, width - 1, 0, height - 1, 0, 0))
    return f"{_GEOMETRY}|{numbers}|Geometry of the segmented image&"


def _reference_size(parameters: str, axes: list[int]) -> Size | None:
    """Return (H, W) of the image that a segmentation was drawn on, None where 3D Slicer does not tell."""
    found = re.search(rf"{_GEOMETRY}\|((?:[-+.\deE]{{1,30}};){{22}})", parameters, re.ASCII)
    if found is None:
        return None
    extent = [float(number) for number in found[1].split(";")[16:22]]
    columns, rows = (extent[2 * axis + 1] - extent[2 * axis] + 1 for axis in axes)
    return (int(rows), int(columns)) if 0 < rows < 2**31 and 0 < columns < 2**31 else None


def _read_header(file: BinaryIO) -> tuple[dict[str, str], dict[str, str]]:
    """Return fields and key-value pairs; the file then stands behind the empty line that ends them."""
    if not re.fullmatch(rb"NRRD000[1-5]\r?\n?", file.readline(16)):
        raise ValueError("it does not begin with NRRD0004")
    fields: dict[str, str] = {}
    keys: dict[str, str] = {}
    while True:
        line = file.readline(_MAX_HEADER)
        if not line.strip() and line:
            return fields, keys
        if not line or file.tell() > _MAX_HEADER:
            raise ValueError("its header does not end")
        text = line.decode("utf-8", "replace").strip()
        if text.startswith("#"):
            continue
        name, separator, value = text.partition(":")
        if not separator:
            raise ValueError(f"{text[:40]!r} is no field")
        if value.startswith("="):
            keys[name.strip()] = value[1:].strip()
        else:
            fields[name.strip().lower()] = value.strip()


def _decoded(file: BinaryIO, fields: dict[str, str]) -> Any:
    encoding = _ENCODINGS.get(fields.get("encoding", "").lower())
    if encoding is None:
        raise ValueError(f"its encoding is {fields.get('encoding')!r}")
    if encoding == "raw":
        return file
    # Buffered, because the decoders return less than was asked for at the border of their blocks.
    decoder = gzip.GzipFile(fileobj=file) if encoding == "gzip" else bz2.BZ2File(file)
    return io.BufferedReader(decoder)


def _sizes(fields: dict[str, str]) -> list[int]:
    sizes = [int(size) for size in fields["sizes"].split()]
    if len(sizes) != int(fields["dimension"]) or len(sizes) not in (2, 3, 4) or min(sizes) < 1:
        raise ValueError(f"its sizes are {fields['sizes'][:40]!r}")
    return sizes


def _dtype(fields: dict[str, str]) -> np.dtype[Any]:
    kind = fields["type"].lower()
    code = next((code for code, names in _TYPES.items() if kind in names), None)
    if code is None:
        raise ValueError(f"its type is {kind[:40]!r}, no integer")
    return np.dtype(_ORDERS[fields.get("endian", "little").lower()] + code)


def _numbers(text: str, count: int) -> list[float]:
    numbers = [float(number) for number in re.split(r"[\s,]+", text.strip(" ()"))]
    if len(numbers) != count or not all(abs(number) < 2**31 for number in numbers):
        raise ValueError(f"{text[:40]!r} are not {count} numbers")
    return numbers
