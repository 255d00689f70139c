"""Radiographs as pictures: PNG, JPEG or TIFF, grey or colour, read as one canonical array."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, TiffImagePlugin
from PIL.Image import Transpose

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import write_atomically

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")

# Five times a 4 k x 4 k detector, and below the 89 million at which Pillow itself begins to warn.
MAX_PIXELS = 80_000_000

_FORMATS = ("PNG", "JPEG", "TIFF")
_EXPORT_AGAIN = "export it again as PNG, JPEG or TIFF with 8 or 16 bits"

# How a stored picture is turned upright, by its EXIF orientation (Exif 2.3, tag 0x0112).
_UPRIGHT: dict[int | None, Transpose] = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
_SWAPS_AXES = (5, 6, 7, 8)


def read_radiograph(path: str | PathLike[str]) -> NDArray[np.float32]:
    """Read a radiograph as float32 (1, H, W), bone bright, 0..1, turned upright by its EXIF orientation.

    The grey levels are divided by the largest that the bit depth allows; colour becomes luminance, transparency
    is dropped, and a TIFF in which white is 0 is inverted.

    Raises:
        HandsegInputError: the file is missing, empty, broken, of another format or of more than `MAX_PIXELS`,
            holds several pages, or has pixels without a known white level.
    """
    with _open(path) as image:
        image.load()
        # Pillow turns a TIFF upright while it decodes it, and only a TIFF.
        tags = _tiff_tags(image)
        turn = None if tags else _UPRIGHT.get(_orientation(image))
        levels = _grey_levels(path, image if turn is None else image.transpose(turn), tags)
    return np.ascontiguousarray(levels, np.float32)[None]


def read_size(path: str | PathLike[str]) -> tuple[int, int]:
    """Return the size (H, W) that `read_radiograph` gives, from the header alone.

    Raises:
        HandsegInputError: as `read_radiograph`, as far as the header tells.
    """
    with _open(path) as image:
        width, height = _stored_size(image)
        return (width, height) if _orientation(image) in _SWAPS_AXES else (height, width)


def write_radiograph(path: str | PathLike[str], image: NDArray[np.float32], bits: int = 16) -> None:
    """Write a radiograph (1, H, W) or (H, W), 0..1; values beyond are clipped.

    Args:
        path: PNG, TIFF or, with 8 bits only, JPEG, by its suffix.
        image: the radiograph.
        bits: 8 or 16 a pixel.

    Raises:
        HandsegInputError: the suffix or bit depth is not supported, a pixel is NaN or the file cannot be written.
    """
    _check_suffix(path)
    is_jpeg = Path(path).suffix.lower() in (".jpg", ".jpeg")
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


@contextmanager
def _open(path: str | PathLike[str]) -> Iterator[Image.Image]:
    """Open a picture, check its header, and turn whatever a broken one raises into a HandsegInputError."""
    file = Path(path)
    if not file.is_file():
        raise HandsegInputError(path, "is not there or not a file", "check the path")
    _check_suffix(path)
    if file.stat().st_size == 0:
        raise HandsegInputError(path, "is empty", "copy or export it again")
    try:
        # Not by name: a TIFF that Pillow maps into memory by its name comes out garbled if it is to be turned.
        with file.open("rb") as stream, Image.open(stream, formats=_FORMATS) as image:
            _check_header(path, image)
            yield image
    except (HandsegInputError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(path) from error
    except Exception as error:  # broken bytes make Pillow's decoders raise nearly any type
        raise HandsegInputError(path, f"cannot be read as a picture ({error})", _EXPORT_AGAIN) from error


def _check_suffix(path: str | PathLike[str]) -> None:
    if Path(path).suffix.lower() not in SUFFIXES:
        raise HandsegInputError(path, "has an unsupported suffix", f"use one of {', '.join(SUFFIXES)}")


def _check_header(path: str | PathLike[str], image: Image.Image) -> None:
    width, height = _stored_size(image)
    if width < 1 or height < 1:
        raise HandsegInputError(path, "has no pixels", _EXPORT_AGAIN)
    if width * height > MAX_PIXELS:
        raise _too_large(path)
    # A JPEG of several pictures is one picture and its previews.
    pages = getattr(image, "n_frames", 1) if image.format in ("PNG", "TIFF") else 1
    if pages > 1:
        raise HandsegInputError(path, f"holds {pages} pictures", "save each one in a file of its own")


def _too_large(path: str | PathLike[str]) -> HandsegInputError:
    return HandsegInputError(path, f"has more than {MAX_PIXELS:,} pixels", "crop or shrink it")


def _tiff_tags(image: Image.Image) -> Mapping[int, Any]:
    """Return the tags of a TIFF; other pictures have none."""
    return image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}


def _stored_size(image: Image.Image) -> tuple[int, int]:
    """Return (width, height) before the picture is turned upright."""
    tags = _tiff_tags(image)
    return (tags[TiffImagePlugin.IMAGEWIDTH], tags[TiffImagePlugin.IMAGELENGTH]) if tags else image.size


def _orientation(image: Image.Image) -> int | None:
    """Return the EXIF orientation; the base class's reader, because that of PNG decodes the whole picture."""
    tags = _tiff_tags(image) or Image.Image.getexif(image)
    return tags.get(ExifTags.Base.Orientation)


def _grey_levels(path: str | PathLike[str], image: Image.Image, tags: Mapping[int, Any]) -> NDArray[np.float32]:
    """Return the pixels of an upright picture as 0..1 (H, W)."""
    # Pillow inverts pictures of up to 8 bits by itself.
    white_is_zero = tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0
    if image.mode.startswith("I;16"):
        bits = tags.get(TiffImagePlugin.BITSPERSAMPLE, (16,))[0]  # 12 in some TIFF files
        levels = np.asarray(image).astype(np.float32) / np.float32(2**bits - 1)
        return 1 - levels if white_is_zero else levels
    if image.mode == "1":
        return np.asarray(image).astype(np.float32)
    if image.mode == "F":
        levels = np.asarray(image)
        if not ((levels >= 0) & (levels <= 1)).all():
            raise HandsegInputError(path, "has floating-point pixels that are NaN or outside 0..1", _EXPORT_AGAIN)
        return 1 - levels if white_is_zero else levels
    if image.mode == "I":
        raise HandsegInputError(path, "has signed or 32-bit pixels, without a known white level", _EXPORT_AGAIN)
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA")
    return np.asarray(image.convert("L")).astype(np.float32) / np.float32(255)
