"""DICOM files, opened with bounded memory and one-sentence errors."""

from __future__ import annotations

import importlib.util
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handseg_bundle_common.errors import HandsegInputError

if TYPE_CHECKING:
    from pydicom import FileDataset
    from pydicom.filebase import DicomBytesIO

EXPORT_AGAIN = "export it again as DICOM of one grey picture, or as PNG"

# Segmentation Storage and Label Map Segmentation Storage (PS3.4, table B.5-1).
SEG_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")

_PREAMBLE = 128
_DEFLATED = "1.2.840.10008.1.2.1.99"
# Values longer than this are not needed to know what a picture is.
_LONG_VALUE = 1 << 20
# What a file may hold beside its pixels: private tags, icons, overlays.
_BESIDE_PIXELS = 64 << 20
# Compressed pixels can be longer than plain ones, but not by much.
_EXPANSION = 2
_WORDS = 200


def is_dicom(path: str | PathLike[str]) -> bool:
    """Tell whether a file begins as DICOM files do (PS3.10, 7.1), whatever its name."""
    try:
        with Path(path).open("rb") as file:
            return file.read(_PREAMBLE + 4)[_PREAMBLE:] == b"DICM"
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


def need_extra(path: str | PathLike[str]) -> None:
    """Refuse to go on without the packages of the extra `dicom`.

    Raises:
        HandsegInputError: one of them is missing.
    """
    for package in ("pydicom", "highdicom"):
        if importlib.util.find_spec(package) is None:
            raise HandsegInputError(path, f"is DICOM, which needs {package}", "pip install 'handseg[dicom]'")


def read_header(path: str | PathLike[str]) -> FileDataset:
    """Return what stands before the pixels of a DICOM file; values longer than 1 MiB are left out.

    Raises:
        HandsegInputError: the file cannot be read, or the extra `dicom` is missing.
    """
    need_extra(path)
    if not is_dicom(path):
        raise HandsegInputError(path, "cannot be read as DICOM (it does not begin as DICOM files do)", EXPORT_AGAIN)
    from pydicom import dcmread  # noqa: PLC0415  # takes a second, and is not there without the extra

    with reading(path):
        inflated = _inflated(path, _BESIDE_PIXELS, whole=False)
        if inflated is not None:
            return dcmread(inflated, stop_before_pixels=True)
        return dcmread(path, stop_before_pixels=True, defer_size=_LONG_VALUE)


def read_whole(path: str | PathLike[str], pixel_bytes: int) -> FileDataset:
    """Return a DICOM file with its pixels.

    Args:
        path: a file of which `read_header` could read the header.
        pixel_bytes: how many its pixels take when they are not compressed.

    Raises:
        HandsegInputError: the file cannot be read, or is much larger than its picture.
    """
    from pydicom import dcmread  # noqa: PLC0415

    limit = _EXPANSION * pixel_bytes + _BESIDE_PIXELS
    with reading(path):
        if Path(path).stat().st_size > limit:
            raise HandsegInputError(path, "is much larger than its picture", EXPORT_AGAIN)
        return dcmread(_inflated(path, limit, whole=True) or path)


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


def _inflated(path: str | PathLike[str], limit: int, *, whole: bool) -> DicomBytesIO | None:
    """Return a deflated file as it was before (PS3.5, A.5), with the name of its encoding changed; None for others.

    It is cut off at `limit` bytes, or refused if all of it is needed.
    """
    from pydicom.filebase import DicomBytesIO  # noqa: PLC0415
    from pydicom.filereader import read_file_meta_info  # noqa: PLC0415
    from pydicom.filewriter import write_file_meta_info  # noqa: PLC0415
    from pydicom.uid import ExplicitVRLittleEndian  # noqa: PLC0415

    meta = read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") != _DEFLATED:
        return None
    with Path(path).open("rb") as file:
        content = file.read(limit)
    # Preamble, mark, and the element that holds the length of the rest of the group.
    start = _PREAMBLE + 4 + 12 + int(meta.FileMetaInformationGroupLength)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    plain = inflater.decompress(content[start:], limit)
    if whole and not inflater.eof:
        raise HandsegInputError(path, "is cut off, or much larger than its picture once it is inflated", EXPORT_AGAIN)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    inflated = DicomBytesIO()
    inflated.write(bytes(_PREAMBLE) + b"DICM")
    write_file_meta_info(inflated, meta, enforce_standard=False)
    inflated.write(plain)
    inflated.seek(0)
    return inflated
