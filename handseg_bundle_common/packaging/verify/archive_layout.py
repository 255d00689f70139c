"""How the entries of a ZIP archive lie: one behind the other, with nothing hidden before, between or behind them."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from typing import BinaryIO

_LOCAL = struct.Struct("<4s5H3I2H")
_END = struct.Struct("<4s4H2IH")
_FIELD = struct.Struct("<2H")
_STREAMED = 8  # flag of an entry whose size was not known before
_DESCRIPTORS = {12, 16, 20, 24}  # bytes behind such an entry
# Large files (zip64), times and owners. Others can give an entry a second name that only some programs read.
_EXTRAS = {0x0001, 0x000A, 0x5455, 0x5855, 0x7855, 0x7875}


def layout_problems(file: BinaryIO, archive: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    """Yield entries that share bytes, by which a small archive unpacks to a large one, and whatever is in no entry.

    Args:
        file: the archive.
        archive: the same, opened.

    Yields:
        Name of the entry, empty for the archive as a whole, and what is wrong, as a part of a sentence.
    """
    entries = sorted(archive.infolist(), key=lambda entry: entry.header_offset)
    if archive.comment or any(entry.comment for entry in entries):
        yield "", "holds a comment, in which something can be hidden"
    if entries and entries[0].header_offset != 0:
        yield "", "has something in front of its first file, as a program that unpacks itself"
    for first, second in pairwise(entries):
        if first.header_offset + first.compress_size >= second.header_offset:
            yield second.filename, f"shares bytes of the archive with {first.filename!r}"
            return
    starts = [*(entry.header_offset for entry in entries[1:]), archive.start_dir]
    for entry, following in zip(entries, starts, strict=False):
        problem = _entry_problem(file, entry, following)
        if problem is not None:
            yield entry.filename, problem
    file.seek(archive.start_dir)
    if not _is_list(file.read(), archive.start_dir, len(entries)):
        yield "", "has something hidden behind its files"


def _entry_problem(file: BinaryIO, entry: zipfile.ZipInfo, following: int) -> str | None:
    """Return what is wrong with what lies between the begin of an entry and that of the following."""
    file.seek(entry.header_offset)
    header = file.read(_LOCAL.size)
    if len(header) < _LOCAL.size or not header.startswith(b"PK\x03\x04"):
        return "is damaged (it has no header)"
    *_, flags, _, _, _, _, _, _, name_length, extra_length = _LOCAL.unpack(header)
    file.seek(name_length, 1)
    if not (_is_known(file.read(extra_length)) and _is_known(entry.extra)):
        return "has a field in its header that can hide another name"
    gap = following - (entry.header_offset + _LOCAL.size + name_length + extra_length + entry.compress_size)
    if gap != 0 and not (gap in _DESCRIPTORS and flags & _STREAMED):
        return "has something hidden behind it"
    return None


def _is_known(extra: bytes) -> bool:
    """Return whether the additional fields of a header are complete and of known kinds."""
    while extra:
        if len(extra) < _FIELD.size:
            return False
        kind, length = _FIELD.unpack_from(extra)
        if kind not in _EXTRAS or len(extra) < _FIELD.size + length:
            return False
        extra = extra[_FIELD.size + length :]
    return True


def _is_list(content: bytes, start: int, count: int) -> bool:
    """Return whether the end of an archive is its list of files and nothing else."""
    if len(content) < _END.size:
        return False
    end = _END.unpack(content[-_END.size :])
    signature, disk, list_disk, here, total, size, offset, comment = end
    return (signature, disk, list_disk, comment) == (b"PK\x05\x06", 0, 0, 0) and (here, total, size, offset) == (
        count,
        count,
        len(content) - _END.size,
        start,
    )
