"""DICOM files, opened with bounded memory and one-sentence errors."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.dicom.bounded import EXPORT_AGAIN, PREAMBLE, opened

if TYPE_CHECKING:
    from pydicom import FileDataset

# Segmentation Storage and Label Map Segmentation Storage (PS3.4, table B.5-1).
SEG_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")

_PIXELS = 0x7FE00010
_WORDS = 200

T = TypeVar("T")

_logger = logging.getLogger(__name__)


def is_dicom(path: str | PathLike[str]) -> bool:
    """Tell whether a file begins as DICOM files do (PS3.10, 7.1), whatever its name."""
    try:
        with Path(path).open("rb") as file:
            return file.read(PREAMBLE + 4)[PREAMBLE:] == b"DICM"
    except OSError:
        return False


def is_dicom_seg(path: str | PathLike[str]) -> bool:
    """Tell whether a file is a DICOM segmentation.

    Raises:
        HandsegInputError: it is a DICOM file that cannot be read.
    """
    return is_dicom(path) and sop_class(read_header(path)) in SEG_CLASSES


@contextmanager
def reading(path: str | PathLike[str]) -> Iterator[None]:
    """Turn whatever a broken file raises into a HandsegInputError, and keep pydicom's remarks on it quiet."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except HandsegInputError:
        raise
    except Exception as error:  # broken bytes make pydicom and its decoders raise nearly any type
        # Broken bytes may be anything, and stand in some messages of pydicom.
        text = "".join(sign if sign.isprintable() else " " for sign in str(error))
        reason = " ".join(text.split())[:_WORDS] or type(error).__name__
        raise HandsegInputError(path, f"cannot be read as DICOM ({reason})", EXPORT_AGAIN) from error


def sensible(path: str | PathLike[str], name: str, work: Callable[[], T]) -> T | None:
    """Return what `work` makes of elements of a file, None with a warning if they make no sense."""
    try:
        return work()
    except Exception:  # broken values make pydicom raise nearly any type
        warn_once(f"{path}: its {name} makes no sense and is left out.")
        return None


@cache
def warn_once(message: str) -> None:
    """Log a warning that every epoch would repeat."""
    _logger.warning(message)


def need_extra(path: str | PathLike[str]) -> None:
    """Refuse to go on without the packages of the extra `dicom`.

    Raises:
        HandsegInputError: one of them is missing.
    """
    for package in ("pydicom", "highdicom"):
        if importlib.util.find_spec(package) is None:
            raise HandsegInputError(path, f"is DICOM, which needs {package}", "pip install 'handseg[dicom]'")


def read_header(path: str | PathLike[str]) -> FileDataset:
    """Return what stands before the pixels of a DICOM file; values longer than 1 MiB are empty.

    Raises:
        HandsegInputError: the file cannot be read, its header is far too large, or the extra `dicom` is missing.
    """
    need_extra(path)
    if not is_dicom(path):
        raise HandsegInputError(path, "cannot be read as DICOM (it does not begin as DICOM files do)", EXPORT_AGAIN)
    from pydicom.filereader import read_partial  # noqa: PLC0415  # takes a second, and is not there without the extra

    with reading(path), opened(path, 0) as source:
        return read_partial(source, lambda tag, vr, length: tag >= _PIXELS)


def read_whole(path: str | PathLike[str], pixel_bytes: int) -> FileDataset:
    """Return a DICOM file as `read_header` does, but with its pixels; what follows them is not read.

    Args:
        path: a file of which `read_header` could read the header.
        pixel_bytes: how many its pixels take when they are not compressed.

    Raises:
        HandsegInputError: the file cannot be read, or its pixels are much longer than that.
    """
    from pydicom.filereader import read_partial  # noqa: PLC0415

    with reading(path), opened(path, pixel_bytes) as source:

        def is_behind_pixels(tag: int, vr: str | None, length: int) -> bool:
            if tag == _PIXELS:
                source.allow_pixels()
            return source.allows_pixels and tag != _PIXELS

        return read_partial(source, is_behind_pixels)


def sop_class(dataset: FileDataset) -> str:
    """Return the UID of what a file holds, an empty string where it does not say."""
    meta: Any = getattr(dataset, "file_meta", {})
    return str(dataset.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID") or "")


def name_of(uid: str) -> str:
    """Return what a UID of the standard means, or a word for others, which may be broken bytes."""
    from pydicom.uid import UID  # noqa: PLC0415

    name = UID(uid).name
    return "something unnamed" if name == uid else name


def transfer_syntax(dataset: FileDataset) -> Any:
    """Return the UID of how a file is encoded.

    Raises:
        ValueError: the file does not say.
    """
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if not syntax:
        raise ValueError("it has no transfer syntax")
    return syntax
