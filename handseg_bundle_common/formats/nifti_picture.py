"""Radiographs in NIfTI files of version 1 or 2: one slice, columns before rows, grey or RGB."""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from io import BufferedReader
from os import PathLike
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.stored import StoredRadiograph, check_size, white_level

_SAVE_AGAIN = "save it again as NIfTI of one slice with 8 or 16 unsigned bits"

_Stream = gzip.GzipFile | BufferedReader

_VERSIONS = (nib.Nifti1Header, nib.Nifti2Header)

# Extensions of a radiograph's header are short; skipping a compressed one of any length could take for ever.
_MAX_OFFSET = 2**20


def read_nifti(path: str | PathLike[str]) -> StoredRadiograph:
    """Read a NIfTI file of one slice, compressed or not, told apart by content.

    Raises:
        HandsegInputError: see `radiograph.read_stored`.
    """
    with _open(path) as (stream, header), np.errstate(all="ignore"):
        voxels = np.asarray(header.data_from_fileobj(stream))
        stream.read(1)  # a compressed file is compared with its checksum at its end
        return _stored(path, np.ascontiguousarray(voxels.reshape(voxels.shape[:2]).T), header)


def read_nifti_size(path: str | PathLike[str]) -> tuple[int, int]:
    """Return the size (H, W) of a NIfTI file of one slice from its header alone.

    Raises:
        HandsegInputError: as `read_nifti`, as far as the header tells.
    """
    with _open(path) as (_, header):
        columns, rows = header.get_data_shape()[:2]
        return rows, columns


@contextmanager
def _open(path: str | PathLike[str]) -> Iterator[tuple[_Stream, Any]]:
    """Open a NIfTI file, check its header, and turn whatever a broken one raises into a HandsegInputError."""
    try:
        with Path(path).open("rb") as file:
            is_compressed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            with gzip.open(file) if is_compressed else nullcontext(file) as stream:
                header = _read_header(stream)
                length = _check_header(path, header)
                if not is_compressed and Path(path).stat().st_size < length:
                    raise ValueError(f"{length} bytes are expected")
                yield stream, header
    except (HandsegInputError, MemoryError):
        raise
    except Exception as error:  # broken bytes make nibabel raise nearly any type
        raise HandsegInputError(path, f"cannot be read as NIfTI ({error})", _SAVE_AGAIN) from error


def _read_header(stream: _Stream) -> Any:
    """Return the header without its extensions; the first number of a NIfTI file is the header's length."""
    block = stream.read(max(version.sizeof_hdr for version in _VERSIONS))
    for version in _VERSIONS:
        header = version(block[: version.sizeof_hdr].ljust(version.sizeof_hdr, b"\0"), check=False)
        if header["sizeof_hdr"] == version.sizeof_hdr and header["magic"].item() == version.single_magic:
            return header
    raise ValueError("it has no header of a single NIfTI file")


def _check_header(path: str | PathLike[str], header: Any) -> int:
    """Refuse what is no radiograph before any data is read; return the length of header and data in bytes."""
    shape, dtype, offset = header.get_data_shape(), header.get_data_dtype(), header.get_data_offset()
    if len(shape) < 2:
        raise HandsegInputError(path, "has no rows and columns", _SAVE_AGAIN)
    columns, rows, *others = shape
    check_size(path, rows, columns)
    slices = math.prod(others)
    if slices != 1:
        raise HandsegInputError(path, f"holds {slices} slices", "save each one in a file of its own")
    if dtype.kind not in "uif" and not _is_colour(dtype):
        raise HandsegInputError(path, f"has pixels of type {header['datatype']}", _SAVE_AGAIN)
    if not header.sizeof_hdr <= offset <= _MAX_OFFSET:
        raise ValueError(f"data cannot begin at byte {offset}")
    return int(offset + rows * columns * dtype.itemsize)


def _is_colour(dtype: np.dtype[Any]) -> bool:
    return dtype.names is not None and dtype.names[:3] == ("R", "G", "B")


def _stored(path: str | PathLike[str], voxels: NDArray[Any], header: Any) -> StoredRadiograph:
    """Return the grey levels of an array (row, column)."""
    if _is_colour(voxels.dtype):
        colours = np.stack([voxels[name] for name in "RGB"], axis=-1)
        return StoredRadiograph(np.asarray(Image.fromarray(colours).convert("L")), 0, 255)
    native = voxels.dtype.newbyteorder("=")
    if native in (np.uint8, np.uint16):
        levels = voxels.astype(native)
        return StoredRadiograph(levels, 0, white_level(levels))
    return StoredRadiograph(_shares(path, voxels, header), 0, 1)


def _shares(path: str | PathLike[str], voxels: NDArray[Any], header: Any) -> NDArray[np.float32]:
    """Return numbers as shares of the header's display range or, without one, of their own."""
    if not np.isfinite(voxels).all():
        raise HandsegInputError(path, "has pixels that are NaN or infinite", _SAVE_AGAIN)
    low, high = float(header["cal_min"]), float(header["cal_max"])
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        low, high = float(voxels.min()), float(voxels.max())
    # Two halves, because the distance of two finite numbers may be infinite.
    shares = (voxels / 2 - low / 2) / ((high / 2 - low / 2) or 1)
    return np.clip(shares, 0, 1).astype(np.float32)
