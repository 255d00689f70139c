"""Masks in NIfTI files: one volume a bone, (columns, rows, 1, 29) of 0 and 1, so that bones may overlap.

The world is that of the display, which `nifti_picture` reads radiographs by: NIfTI's axes point right, anterior and
superior, columns run against the first and rows against the last of them. Whether a hand lay that way is not said.
A comment in the header tells the bones in the order of the volumes, the image's name and the spacing as it was given.
"""

from __future__ import annotations

import gzip
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from os import PathLike
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONE_NAMES, NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import write_atomically
from handseg_bundle_common.formats.mask_image import (
    PLACEHOLDER,
    MaskImage,
    Size,
    Spacing,
    bone_bits,
    channel_of,
    known_spacing,
    missing_note,
    origin_of,
    origin_text,
    united_note,
    unknown_note,
)
from handseg_bundle_common.formats.nifti_picture import MAX_OFFSET, Stream, display_orientation, read_header
from handseg_bundle_common.formats.stored import check_size

SUFFIXES = (".nii.gz", ".nii")

_WRITE_AGAIN = f"write it again as volumes of 0 and 1, columns x rows x 1 x {NUM_BONES}"
_COMMENT = 6  # code of a header extension that is text (nifti1.h)
_LEVEL = 6
# Sides of NIfTI-1 are 16-bit integers.
_MOST_NIFTI_1 = 2**15 - 1
# More volumes than segmentations of hands have, named in the header.
_MOST_VOLUMES = 256


def write_nifti(path: str | PathLike[str], image: MaskImage) -> None:
    """Write masks as `.nii` or, a hundredth of its size, `.nii.gz`; one bone at a time.

    Raises:
        HandsegInputError: the file cannot be written.
    """
    header = _header(image)
    is_compressed = str(path).lower().endswith(".gz")
    with write_atomically(path) as temporary, temporary.open("wb") as file:
        # Neither name nor time in the archive: the same masks give the same bytes.
        packer = gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) if is_compressed else nullcontext(file)
        with packer as stream:
            header.write_to(stream)
            for channel in range(NUM_BONES):
                stream.write(bone_bits(image.masks, channel).astype(np.uint8).tobytes())


def read_nifti_masks(path: str | PathLike[str], size: Size | None = None) -> MaskImage:
    """Read masks, one volume at a time, turned to the display as a radiograph would be.

    Volumes are named by the header's comment; without one there must be 29, in channel order.

    Args:
        path: the file, compressed or not.
        size: (H, W) that the image must have, if it is known.

    Raises:
        HandsegInputError: the file cannot be read, is too large, has another number of volumes, another size, or
            values other than 0 and one more.
    """
    with _open(path) as (stream, header, comment), np.errstate(all="ignore"):
        names = _names(path, header, comment)
        channels = {number: channel for number, name in enumerate(names) if (channel := channel_of(name)) is not None}
        columns, rows = header.get_data_shape()[:2]
        turn = display_orientation(header)
        masks = None
        for number in range(len(names)):
            mask = _read_volume(path, stream, header, (columns, rows))
            if number in channels:
                upright = nib.orientations.apply_orientation(mask, turn).T
                masks = np.zeros(upright.shape, np.uint32) if masks is None else masks
                masks |= upright.astype(np.uint32) << np.uint32(channels[number])
        stream.read(1)  # a compressed file is compared with its checksum at its end
    if masks is None:
        raise HandsegInputError(path, "holds no volume with the name of a bone", _WRITE_AGAIN)
    if size is not None and masks.shape != size:
        problem = f"is of {masks.shape[1]} x {masks.shape[0]} px, its image of {size[1]} x {size[0]}"
        raise HandsegInputError(path, problem, "name the images that were segmented")
    notes = missing_note("volume", list(channels.values()))
    notes += unknown_note("volume", [name for number, name in enumerate(names) if number not in channels])
    notes += united_note("volumes", list(channels.values()))
    return MaskImage(comment.get("image", ""), masks, _spacing(header, comment, turn), notes)


def is_nifti_masks(path: str | PathLike[str]) -> bool:
    """Tell by the header whether a file that can be read holds masks, not a radiograph."""
    try:
        with _open(path) as (_, header, comment):
            return "bones" in comment or NUM_BONES in header.get_data_shape()[2:]
    except HandsegInputError:
        return False


def float32_spacing(spacing: Spacing | None) -> Spacing | None:
    """Return a spacing as NIfTI's 32-bit numbers keep it: to seven digits."""
    return None if spacing is None else (_shortest(spacing[0]), _shortest(spacing[1]))


def _header(image: MaskImage) -> Any:
    height, width = image.masks.shape
    header = nib.Nifti1Header() if max(height, width) <= _MOST_NIFTI_1 else nib.Nifti2Header()
    header.set_data_dtype(np.uint8)
    header.set_data_shape((width, height, 1, NUM_BONES))
    rows, columns = image.spacing_mm or (PLACEHOLDER, PLACEHOLDER)
    affine = np.array([[-columns, 0, 0, 0], [0, 0, PLACEHOLDER, 0], [0, -rows, 0, 0], [0, 0, 0, 1]], float)
    header.set_sform(affine, "scanner")
    header.set_qform(affine, "scanner")
    header.set_xyzt_units("mm" if image.spacing_mm else "unknown")
    comment = origin_text(image, bones=list(BONE_NAMES)).encode()
    header.extensions.append(nib.nifti1.Nifti1Extension(_COMMENT, comment))
    return header


@contextmanager
def _open(path: str | PathLike[str]) -> Iterator[tuple[Stream, Any, dict[str, Any]]]:
    """Open a file where its data begin, its header checked; turn what a broken one raises into a HandsegInputError."""
    try:
        with Path(path).open("rb") as file:
            is_compressed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            with gzip.open(file) if is_compressed else nullcontext(file) as stream:
                header = read_header(stream)
                offset = header.get_data_offset()
                if not header.sizeof_hdr <= offset <= MAX_OFFSET:
                    raise ValueError(f"data cannot begin at byte {offset}")
                stream.seek(0)
                yield stream, header, _comment(stream.read(int(offset)), header)
    except (HandsegInputError, MemoryError):
        raise
    except Exception as error:  # broken bytes make nibabel raise nearly any type
        raise HandsegInputError(path, f"cannot be read as NIfTI masks ({error})", _WRITE_AGAIN) from error


def _comment(head: bytes, header: Any) -> dict[str, Any]:
    """Return the comment of a header that `write_nifti` wrote; empty without one."""
    place = header.sizeof_hdr + 4
    is_extended = head[header.sizeof_hdr : place][:1] not in (b"", b"\0")
    while is_extended and place + 8 <= len(head):
        length, code = struct.unpack(f"{header.endianness}ii", head[place : place + 8])
        if length < 8:
            break
        found = origin_of(head[place + 8 : place + length].rstrip(b"\0")) if code == _COMMENT else {}
        if found:
            return found
        place += length
    return {}


def _names(path: str | PathLike[str], header: Any, comment: dict[str, Any]) -> list[str]:
    """Return the names of the volumes, after refusing what cannot be masks."""
    shape, dtype = header.get_data_shape(), header.get_data_dtype()
    if len(shape) < 2:
        raise HandsegInputError(path, "has no rows and columns", _WRITE_AGAIN)
    check_size(path, shape[1], shape[0])
    volumes = math.prod(shape[2:])
    names = comment.get("bones", list(BONE_NAMES))
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        names = []
    if len(names) != volumes or volumes > _MOST_VOLUMES:
        raise HandsegInputError(path, f"holds {volumes} volumes, not {len(names) or NUM_BONES}", _WRITE_AGAIN)
    if dtype.kind not in "uif":
        raise HandsegInputError(path, f"has pixels of type {header['datatype']}", _WRITE_AGAIN)
    return names


def _read_volume(path: str | PathLike[str], stream: Stream, header: Any, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return one volume as a mask (columns, rows), as it is stored."""
    dtype = header.get_data_dtype()
    length = shape[0] * shape[1] * dtype.itemsize
    content = stream.read(length)
    if len(content) < length:
        raise ValueError("it ends too early")
    values = np.frombuffer(content, dtype)
    mask = values != 0
    if mask.any() and not (values[mask] == values[mask][0]).all():
        raise HandsegInputError(
            path, "has values other than 0 and one more in a volume, so it is no mask", _WRITE_AGAIN
        )
    volume: NDArray[np.bool_] = mask.reshape(shape, order="F")
    return volume


def _spacing(header: Any, comment: dict[str, Any], turn: NDArray[np.float64]) -> Spacing | None:
    """Return the spacing of rows and columns as displayed; the exact one if the header still says the same."""
    first, second = (_shortest(zoom) for zoom in header.get_zooms()[:2])
    rows, columns = (first, second) if turn[0, 0] == 1 else (second, first)
    spacing = known_spacing(rows, columns) if header.get_xyzt_units()[0] == "mm" else None
    exact: Spacing | None = comment.get("spacing_mm")
    return exact if exact is not None and float32_spacing(exact) == spacing else spacing


def _shortest(value: float) -> float:
    """Return the decimal number of the fewest digits that is the same 32-bit one: 0.14, not 0.14000000059604645."""
    return float(str(np.float32(value)))
