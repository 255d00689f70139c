"""Radiographs in NIfTI files of version 1 or 2: one slice, grey or RGB, shown as a viewer of radiographs shows it.

NIfTI's world points right, anterior and superior (RAS+). On a display the patient's right is on the left, anterior or
superior is up, and a lateral picture faces left (DICOM PS3.3, C.7.6.2.1.1): columns and rows run against the world,
and rows along the later of the two world axes of the picture.
"""

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
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray
from PIL import Image

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.stored import StoredRadiograph, check_size, white_level

_SAVE_AGAIN = "save it again as NIfTI of one slice with 8 or 16 unsigned bits"

Stream = gzip.GzipFile | BufferedReader

_VERSIONS = (nib.Nifti1Header, nib.Nifti2Header)

# Extensions of a radiograph's header are short; skipping a compressed one of any length could take for ever.
MAX_OFFSET = 2**20

# Orientation of an array (column, row), as nibabel tells orientations.
AS_STORED = np.array([[0, 1], [1, 1]], float)


def read_nifti(path: str | PathLike[str]) -> StoredRadiograph:
    """Read a NIfTI file of one slice, compressed or not, told apart by content.

    Raises:
        HandsegInputError: see `radiograph.read_stored`.
    """
    with _open(path) as (stream, header), np.errstate(all="ignore"):
        voxels = np.asarray(header.data_from_fileobj(stream))
        stream.read(1)  # a compressed file is compared with its checksum at its end
        upright = nib.orientations.apply_orientation(voxels.reshape(voxels.shape[:2]), display_orientation(header))
        return _stored(path, np.ascontiguousarray(upright.T), header)


def read_nifti_size(path: str | PathLike[str]) -> tuple[int, int]:
    """Return the size (H, W) of a NIfTI file of one slice from its header alone.

    Raises:
        HandsegInputError: as `read_nifti`, as far as the header tells.
    """
    with _open(path) as (_, header):
        first, second = header.get_data_shape()[:2]
        is_transposed = display_orientation(header)[0, 0] == 1
        return (first, second) if is_transposed else (second, first)


@contextmanager
def _open(path: str | PathLike[str]) -> Iterator[tuple[Stream, Any]]:
    """Open a NIfTI file, check its header, and turn whatever a broken one raises into a HandsegInputError."""
    try:
        with Path(path).open("rb") as file:
            is_compressed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            with gzip.open(file) if is_compressed else nullcontext(file) as stream:
                header = read_header(stream)
                length = _check_header(path, header)
                if not is_compressed and Path(path).stat().st_size < length:
                    raise ValueError(f"{length} bytes are expected")
                yield stream, header
    except (HandsegInputError, MemoryError):
        raise
    except Exception as error:  # broken bytes make nibabel raise nearly any type
        raise HandsegInputError(path, f"cannot be read as NIfTI ({error})", _SAVE_AGAIN) from error


def read_header(stream: Stream) -> Any:
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
    if not header.sizeof_hdr <= offset <= MAX_OFFSET:
        raise ValueError(f"data cannot begin at byte {offset}")
    return int(offset + rows * columns * dtype.itemsize)


def display_orientation(header: Any) -> NDArray[np.float64]:
    """Return how the array becomes (column, row) as displayed: new axis and direction of either axis, as nibabel does.

    Files without orientation are (column, row) already.
    """
    if not (header["sform_code"] or header["qform_code"]):
        # dcm2niix turns the rows of any picture; where DICOM gives no orientation, only an unused sform tells.
        step, origin = header["srow_y"][[1, 3]]
        is_turned = step > 0 and origin == -step * (header.get_data_shape()[1] - 1)
        return np.array([[0, 1], [1, -1 if is_turned else 1]], float)
    try:
        affine = header.get_best_affine()
    except (ValueError, HeaderDataError):  # a faulty qform says nothing about the pixels
        return AS_STORED
    if not np.isfinite(affine).all() or _is_placeholder(affine):
        return AS_STORED
    return as_displayed(affine)


def as_displayed(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how the first two axes of an array become (column, row) as displayed, by its affine (4, 4) to RAS+."""
    axes = nib.orientations.io_orientation(affine)[:2]
    return AS_STORED if np.isnan(axes).any() else np.column_stack([axes[:, 0].argsort(), -axes[:, 1]])


def _is_placeholder(affine: NDArray[np.float64]) -> bool:
    """Tell whether an affine is one that programs write for pictures in pixels: an identity, or scales alone."""
    scales = affine.diagonal()[:3]
    is_diagonal = not (affine[:3, :3] - np.diag(scales)).any() and bool((scales > 0).all())
    return is_diagonal and bool((scales == 1).all() or not affine[:3, 3].any())


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
