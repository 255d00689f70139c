"""Radiographs from files, PNG, JPEG, TIFF, NIfTI or DICOM, grey or colour, read as one canonical array."""

from __future__ import annotations

import logging
import re
from functools import cache
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handseg_bundle_common.anatomy import Side
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import write_atomically
from handseg_bundle_common.formats.dicom import is_dicom, read_dicom, read_dicom_size
from handseg_bundle_common.formats.inversion import is_inverted
from handseg_bundle_common.formats.nifti_picture import read_nifti, read_nifti_size
from handseg_bundle_common.formats.picture import read_picture, read_picture_size
from handseg_bundle_common.formats.stored import MAX_PIXELS, StoredRadiograph

__all__ = [
    "MAX_PIXELS",
    "SUFFIXES",
    "StoredRadiograph",
    "has_radiograph_suffix",
    "is_radiograph_file",
    "radiograph_stem",
    "read_radiograph",
    "read_size",
    "read_stored",
    "side_of_name",
    "write_radiograph",
]

_PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_NIFTI = (".nii", ".nii.gz")
_DICOM = ".dcm"
SUFFIXES = (*_PICTURES, *_NIFTI, _DICOM)
# The table of contents of a disc, a DICOM file without pixels.
_DICOMDIR = "DICOMDIR"

_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_SIDE = re.compile(r"_(l|r|left|right)(?=[_\-. ]|$)", re.IGNORECASE)

_logger = logging.getLogger(__name__)


def read_radiograph(path: str | PathLike[str], inverted: bool | None = None) -> NDArray[np.float32]:
    """Read a radiograph as float32 (1, H, W), bone bright, 0..1; see `read_stored`."""
    return read_stored(path, inverted).grey()[None]


def read_stored(path: str | PathLike[str], inverted: bool | None = None) -> StoredRadiograph:
    """Read a radiograph in its file's bit depth, turned upright by its EXIF orientation.

    Black is level 0 and white the largest level of the bit depth, which for 16 bits is judged by the levels
    (`stored.white_level`); colour becomes luminance, transparency is dropped, and a TIFF in which white is 0 is
    turned. NIfTI files are turned by their affine (`nifti_picture`); their numbers other than unsigned ones of 8 or 16
    bits reach from `cal_min` to `cal_max`, or from the smallest to the largest where the header leaves these out. DICOM
    files are shown as a workstation shows them (`dicom.read_dicom`).

    Args:
        path: the file; its suffix is one of `SUFFIXES`, its content decides between PNG, JPEG and TIFF. DICOM files
            may have any other suffix or none.
        inverted: whether bone is dark in the file; None looks at the picture (`inversion.is_inverted`).

    Raises:
        HandsegInputError: the file is missing, empty, broken, of another format or of more than `MAX_PIXELS`,
            holds several pictures, or has pixels without a known white level.
    """
    suffix = _check_file(path)
    read = read_nifti if suffix in _NIFTI else read_dicom if suffix == _DICOM else read_picture
    radiograph = read(path)
    if inverted is None:
        inverted = is_inverted(radiograph)
        if inverted:
            _warn_once(f"{path}: bone looks dark, so black and white are exchanged.")
    return radiograph.turned() if inverted else radiograph


def read_size(path: str | PathLike[str]) -> tuple[int, int]:
    """Return the size (H, W) that `read_radiograph` gives, from the header alone.

    Raises:
        HandsegInputError: as `read_stored`, as far as the header tells.
    """
    suffix = _check_file(path)
    if suffix == _DICOM:
        return read_dicom_size(path)
    return read_nifti_size(path) if suffix in _NIFTI else read_picture_size(path)


def has_radiograph_suffix(path: str | PathLike[str]) -> bool:
    """Tell whether a file's name ends in one of `SUFFIXES`, in lower or upper case."""
    return _suffix(path) is not None


def is_radiograph_file(path: str | PathLike[str]) -> bool:
    """Tell whether a file's name ends in one of `SUFFIXES`, or it is DICOM under another name than `DICOMDIR`.

    Archives name DICOM files by numbers and UIDs, without a suffix.
    """
    return has_radiograph_suffix(path) or (Path(path).name.upper() != _DICOMDIR and is_dicom(path))


def radiograph_stem(path: str | PathLike[str]) -> str:
    """Return a file's name without its suffix, where `.nii.gz` is one suffix and the last number of a UID is none."""
    name, suffix = Path(path).name, _suffix(path)
    if suffix is None:
        return name if _UID.fullmatch(name) else Path(path).stem
    return name[: -len(suffix)]


def side_of_name(name: str | PathLike[str]) -> Side | None:
    """Return the side that a file's name tells by `_L`, `_R`, `_left` or `_right`, in any case.

    The mark ends the name or is followed by `_`, `-`, `.` or a space, and folders do not count.

    Returns:
        The side, or None without a mark or with marks of both sides.
    """
    sides = {Side(mark[0].upper()) for mark in _SIDE.findall(radiograph_stem(name))}
    return sides.pop() if len(sides) == 1 else None


def write_radiograph(path: str | PathLike[str], image: NDArray[np.float32], bits: int = 16) -> None:
    """Write a radiograph (1, H, W) or (H, W), 0..1; values beyond are clipped.

    Args:
        path: PNG, TIFF or, with 8 bits only, JPEG, by its suffix.
        image: the radiograph.
        bits: 8 or 16 a pixel.

    Raises:
        HandsegInputError: the suffix or bit depth is not supported, a pixel is NaN or the file cannot be written.
    """
    suffix = _suffix(path)
    if suffix not in _PICTURES:
        raise HandsegInputError(path, "has an unsupported suffix", f"use one of {', '.join(_PICTURES)}")
    is_jpeg = suffix in (".jpg", ".jpeg")
    if bits not in (8, 16) or (is_jpeg and bits == 16):
        raise HandsegInputError(path, f"cannot hold {bits} bits a pixel", "choose PNG or TIFF with 8 or 16 bits")
    if np.isnan(image).any():
        raise HandsegInputError(path, "would hold pixels that are not numbers", "replace NaN before writing")
    levels = np.rint(np.clip(image, 0, 1) * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)
    picture = Image.fromarray(levels.reshape(levels.shape[-2:]))
    with write_atomically(path) as temporary:
        if is_jpeg:
            picture.save(temporary, quality=95)
        else:
            picture.save(temporary)


def _suffix(path: str | PathLike[str]) -> str | None:
    """Return which of `SUFFIXES` ends a file's name; a name needs more than that."""
    name = Path(path).name.lower()
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix) and name != suffix), None)


def _check_file(path: str | PathLike[str]) -> str:
    """Return the suffix of a file that is there and not empty, that of DICOM for DICOM under another."""
    file = Path(path)
    if not file.is_file():
        raise HandsegInputError(path, "is not there or not a file", "check the path")
    suffix = _suffix(path) or (_DICOM if is_dicom(path) else None)
    if suffix is None:
        raise HandsegInputError(path, "has an unsupported suffix", f"use one of {', '.join(SUFFIXES)}")
    if file.stat().st_size == 0:
        raise HandsegInputError(path, "is empty", "copy or export it again")
    return suffix


@cache
def _warn_once(message: str) -> None:
    """Log a warning that every epoch would repeat."""
    _logger.warning(message)
