"""DICOM files as streams that end with an error before a malicious one takes much memory."""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

from handseg_bundle_common.errors import HandsegInputError

EXPORT_AGAIN = "export it again as DICOM of one grey picture, or as PNG"

# Bytes before the mark of DICOM files (PS3.10, 7.1).
PREAMBLE = 128
# What a header may take: bytes in all and of one value, calls of a read, which is at least one an element, and items
# of sequences, each of which pydicom makes an object of a kilobyte. Radiographs have less than a hundredth of it.
_HEADER = 16 << 20
_LONG_VALUE = 1 << 20
_READS = 100_000
_ITEMS = 20_000
_ITEM_TAGS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
# Compressed pixels can be longer than plain ones, but not by much, and pydicom may look at them twice.
_EXPANSION = 2
_CHUNK = 1 << 16


class Bounded:
    """A stream for pydicom that ends with an error before a malicious file takes much memory."""

    def __init__(self, stream: BinaryIO, pixel_bytes: int, *, is_cut: bool = False) -> None:
        """Take a stream; `is_cut` tells that it goes on where it ends, because that is more than any header."""
        self._stream, self._pixel_bytes, self._is_cut = stream, pixel_bytes, is_cut
        self._bytes, self._reads, self._items = _HEADER, _READS, _ITEMS
        self._longest, self.allows_pixels, self.is_spent = _LONG_VALUE, False, False

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, none of a value that is longer than any that is needed.

        Raises:
            ValueError: the bounds are reached, or all is asked for, which pydicom does to inflate a file.
        """
        if size > self._longest:
            self._spend(not self.allows_pixels)
            self._stream.seek(size, os.SEEK_CUR)
            return b""
        self._spend(size >= 0)
        found = self._stream.read(size)
        self._bytes, self._reads = self._bytes - len(found), self._reads - 1
        if not self.allows_pixels:
            self._items -= sum(map(found.count, _ITEM_TAGS))
        self._spend(min(self._bytes, self._reads, self._items) >= 0)
        self._spend(len(found) == size or not self._is_cut)
        return found

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move as any stream does."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._stream.tell()

    def allow_pixels(self) -> None:
        """Let the next value be as long as compressed pixels may be."""
        self.allows_pixels = True
        self._longest = _EXPANSION * self._pixel_bytes + _LONG_VALUE
        self._bytes += _EXPANSION * self._longest

    def _spend(self, is_within: bool) -> None:
        if not is_within:
            self.is_spent = True
            raise ValueError("it is too large")


@contextmanager
def opened(path: str | PathLike[str], pixel_bytes: int) -> Iterator[Any]:
    """Yield a file as a bounded stream, inflated if it is deflated."""
    with Path(path).open("rb") as file:
        source = Bounded(file, pixel_bytes)
        try:
            inflated = _inflated(source, file, _HEADER + _EXPANSION * pixel_bytes)
            if inflated is not None:
                plain, is_cut = inflated
                source = Bounded(plain, pixel_bytes, is_cut=is_cut)
            else:
                source.seek(0)
            yield source
        except Exception as error:
            if source.is_spent:  # pydicom hides some errors behind its own
                problem = f"holds much more than its picture and a header of {_HEADER >> 20} MiB"
                raise HandsegInputError(path, problem, EXPORT_AGAIN) from error
            raise


def _inflated(source: Bounded, file: BinaryIO, limit: int) -> tuple[BinaryIO, bool] | None:
    """Return a deflated file as it was before (PS3.5, A.5), with the name of its encoding changed; None for others.

    The second value tells whether it was cut off at `limit` bytes.
    """
    from pydicom.dataset import FileMetaDataset  # noqa: PLC0415
    from pydicom.filebase import DicomIO  # noqa: PLC0415
    from pydicom.filereader import read_dataset  # noqa: PLC0415
    from pydicom.filewriter import write_file_meta_info  # noqa: PLC0415
    from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian  # noqa: PLC0415

    source.seek(PREAMBLE + 4)
    stream: Any = source
    meta = read_dataset(stream, False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return None
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    plain = io.BytesIO()
    plain.write(bytes(PREAMBLE) + b"DICM")
    write_file_meta_info(DicomIO(plain), FileMetaDataset(meta), enforce_standard=False)
    inflater, left = zlib.decompressobj(-zlib.MAX_WBITS), limit
    while left > 0 and not inflater.eof and (chunk := inflater.unconsumed_tail or file.read(_CHUNK)):
        left -= plain.write(inflater.decompress(chunk, min(left, _CHUNK)))
    if left > 0:  # the end of a file that is cut off
        plain.write(inflater.flush())
    plain.seek(0)
    return plain, left <= 0 and not inflater.eof
