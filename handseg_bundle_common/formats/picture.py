"""Pictures as Pillow reads them: PNG, JPEG and TIFF, turned upright, as grey levels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError
from PIL.Image import Transpose

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.stored import EXPORT_AGAIN, StoredRadiograph, check_size, too_large, white_level

_FORMATS = ("PNG", "JPEG", "TIFF")

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


def read_picture(path: str | PathLike[str]) -> StoredRadiograph:
    """Read a PNG, JPEG or TIFF, told apart by content.

    Raises:
        HandsegInputError: see `radiograph.read_stored`.
    """
    with _open(path) as image:
        image.load()
        # Pillow turns a TIFF upright while it decodes it, and only a TIFF.
        tags = _tiff_tags(image)
        turn = None if tags else _UPRIGHT.get(_orientation(image))
        return _stored(path, image if turn is None else image.transpose(turn), tags)


def read_picture_size(path: str | PathLike[str]) -> tuple[int, int]:
    """Return the size (H, W) of an upright picture from its header alone.

    Raises:
        HandsegInputError: as `read_picture`, as far as the header tells.
    """
    with _open(path) as image:
        width, height = _stored_size(image)
        return (width, height) if _orientation(image) in _SWAPS_AXES else (height, width)


@contextmanager
def _open(path: str | PathLike[str]) -> Iterator[Image.Image]:
    """Open a picture, check its header, and turn whatever a broken one raises into a HandsegInputError."""
    try:
        # Not by name: a TIFF that Pillow maps into memory by its name comes out garbled if it is to be turned.
        with Path(path).open("rb") as stream, Image.open(stream, formats=_FORMATS) as image:
            _check_header(path, image)
            yield image
    except (HandsegInputError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise too_large(path) from error
    except UnidentifiedImageError as error:
        raise HandsegInputError(path, "cannot be read as a picture (no PNG, JPEG or TIFF)", EXPORT_AGAIN) from error
    except Exception as error:  # broken bytes make Pillow's decoders raise nearly any type
        raise HandsegInputError(path, f"cannot be read as a picture ({error})", EXPORT_AGAIN) from error


def _check_header(path: str | PathLike[str], image: Image.Image) -> None:
    width, height = _stored_size(image)
    check_size(path, height, width)
    # A JPEG of several pictures is one picture and its previews.
    pages = getattr(image, "n_frames", 1) if image.format in ("PNG", "TIFF") else 1
    if pages > 1:
        raise HandsegInputError(path, f"holds {pages} pictures", "save each one in a file of its own")


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


def _stored(path: str | PathLike[str], image: Image.Image, tags: Mapping[int, Any]) -> StoredRadiograph:
    """Return the grey levels of an upright picture."""
    if image.mode == "1":
        return StoredRadiograph(np.asarray(image).astype(np.uint8), 0, 1)
    if image.mode == "I":
        raise HandsegInputError(path, "has signed or 32-bit pixels, without a known white level", EXPORT_AGAIN)
    if image.mode.startswith("I;16") or image.mode == "F":
        stored = _deep(path, image, tags)
        # Pillow exchanges black and white by itself in pictures of up to 8 bits.
        return stored.turned() if tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0 else stored
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA")
    return StoredRadiograph(np.asarray(image.convert("L")), 0, 255)


def _deep(path: str | PathLike[str], image: Image.Image, tags: Mapping[int, Any]) -> StoredRadiograph:
    """Return the levels of a grey picture of more than 8 bits, black being 0."""
    if image.mode == "F":
        shares = np.asarray(image)
        if not ((shares >= 0) & (shares <= 1)).all():
            raise HandsegInputError(path, "has floating-point pixels that are NaN or outside 0..1", EXPORT_AGAIN)
        return StoredRadiograph(shares, 0, 1)
    levels = np.asarray(image).astype(np.uint16, copy=False)
    (bits,) = tags.get(TiffImagePlugin.BITSPERSAMPLE, (16,))
    # 16 bits are what the file holds, 12 are what the detector gave.
    return StoredRadiograph(levels, 0, white_level(levels) if bits == 16 else 2**bits - 1)
