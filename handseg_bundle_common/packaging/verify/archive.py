"""ZIP archives from elsewhere: looked at before anything of them is written."""

from __future__ import annotations

import re
import shutil
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from handseg_bundle_common.packaging.verify.archive_layout import layout_problems
from handseg_bundle_common.packaging.verify.findings import Check, Finding, error

MAX_FILES = 5_000
MAX_FILE_BYTES = 2 * 2**30
MAX_BYTES = 4 * 2**30
MAX_RATIO = 200
"""Of unpacked to packed size; text as repetitive as label tables reaches 50, a bomb 1000."""

_SMALL = 2**20  # below this a high ratio does no harm
_MAX_NAME = 240
MAX_PART = 255
"""Bytes of a part of a path, on most file systems."""
# Categories of signs that nobody sees, some of which turn the order of letters, and of halves of signs.
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_REPOSITORY = ".git"  # git starts programs that its settings name
_ASK = "ask its sender for an archive that handseg export has made"
# Names that Windows keeps for devices, with any suffix.
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_FOREIGN = set('<>:"|?*')
_UNREADABLE = (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error)
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def is_archive(path: Path) -> bool:
    """Return whether a path is a file that may be an archive of a bundle, by its suffix or its content."""
    return path.is_file() and (path.suffix.lower() == ".zip" or zipfile.is_zipfile(path))


def archive_findings(path: Path) -> list[Finding]:
    """Look at an archive's list of files: names, links, sizes, ratios and how entries lie; nothing is unpacked.

    Args:
        path: the archive.

    Returns:
        Errors only; none for an archive that can be unpacked.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            return _list_findings(file, archive)
    except _UNREADABLE as problem:
        return [_error("", f"is no ZIP archive that can be read ({problem})")]


def unpack(path: Path, folder: Path) -> list[Finding]:
    """Unpack an archive into an empty folder, if nothing is wrong with its list of files.

    The list that is looked at is the one that is unpacked, even if somebody changes the file meanwhile. Links, owners
    and permissions of the archive are not taken over.

    Returns:
        Errors of the list, with which nothing is written, or of entries that differ from it; the folder is then of no
        use.

    Raises:
        OSError: the folder cannot be written to.
    """
    with path.open("rb") as file:
        try:
            archive = zipfile.ZipFile(file)
        except _UNREADABLE as problem:
            return [_error("", f"is no ZIP archive that can be read ({problem})")]
        with archive:
            return _list_findings(file, archive) or [
                _error(entry.filename, damage)
                for entry in archive.infolist()
                if (damage := _unpack_entry(archive, entry, folder)) is not None
            ]


def _list_findings(file: BinaryIO, archive: zipfile.ZipFile) -> list[Finding]:
    entries = archive.infolist()
    if len(entries) > MAX_FILES:
        return [_error("", f"holds {len(entries)} files, more than {MAX_FILES}")]
    problems = [_error(entry.filename, text) for entry in entries for text in _entry_problems(entry)]
    layout = [_error(name, text) for name, text in layout_problems(file, archive)]
    return [*problems, *_collisions(entries), *_sizes(entries), *layout]


def _unpack_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path) -> str | None:
    target = folder.joinpath(*PurePosixPath(entry.filename).parts)
    if entry.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return None
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source = archive.open(entry)
    except (*_DAMAGED, NotImplementedError, RuntimeError, ValueError, struct.error) as problem:
        return f"is damaged ({problem})"
    with source, target.open("xb") as file:
        try:
            shutil.copyfileobj(source, file, 2**20)
        except _DAMAGED as problem:
            return f"is damaged ({problem})"
    return None if target.stat().st_size == entry.file_size else "is shorter than the archive's list says"


def bundle_root(folder: Path) -> Path | None:
    """Return where a bundle lies in an unpacked archive: at the top, or in the only folder there."""
    inside = list(folder.iterdir())
    candidates = [folder, *(inside if len(inside) == 1 and inside[0].is_dir() else [])]
    return next((root for root in candidates if (root / "configs" / "metadata.json").is_file()), None)


def name_problem(name: str) -> str | None:
    """Return what is wrong with a name in an archive, as a part of a sentence."""
    parts = name.removesuffix("/").split("/")
    foreign = any(part.endswith((".", " ")) or _DEVICE.fullmatch(part) or set(part) & _FOREIGN for part in parts)
    repository = any(part.casefold() == _REPOSITORY for part in parts)
    problems = {
        "has a control character in its name": any(unicodedata.category(sign) in _UNSEEN for sign in name),
        "has a backslash in its name, which is a folder on some systems": "\\" in name,
        "has an absolute name": name.startswith("/") or re.match(r"[A-Za-z]:", name) is not None,
        "has a name that leads through . or .. or an empty folder": not {"", ".", ".."}.isdisjoint(parts),
        f"has a name of {len(name)} characters": len(name) > _MAX_NAME,
        f"has a name with a part of more than {MAX_PART} bytes": max(map(_bytes, parts)) > MAX_PART,
        "has a name that not all systems allow": foreign,
        "is a part of a git repository, whose settings can start programs": repository,
    }
    return next((problem for problem, found in problems.items() if found), None)


def _entry_problems(entry: zipfile.ZipInfo) -> Iterator[str]:
    """Yield what is wrong with one entry."""
    # `filename` ends at a NUL, which `orig_filename` still has.
    problem = name_problem(entry.orig_filename) or name_problem(entry.filename)
    if problem is not None:
        yield problem
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind == stat.S_IFLNK:
        yield "is a link"
    elif kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        yield "is a device or a pipe"
    elif entry.is_dir() and (kind == stat.S_IFREG or entry.file_size):
        yield "is named like a folder and holds something"
    elif kind == stat.S_IFDIR and not entry.is_dir():
        yield "is marked as a folder and named like a file"
    if entry.flag_bits & 1:
        yield "is encrypted"
    if entry.compress_type not in _METHODS:
        yield f"is packed by method {entry.compress_type}, neither stored nor deflated"


def _collisions(entries: list[zipfile.ZipInfo]) -> Iterator[Finding]:
    """Yield names that are one file on a system that tells neither case nor composed characters apart."""
    seen: dict[str, str] = {}
    files = {_folded(entry.filename) for entry in entries if not entry.is_dir()}
    for entry in entries:
        folded = _folded(entry.filename)
        if folded in seen:
            same = seen[folded] == entry.filename
            yield _error(entry.filename, "stands twice" if same else f"is {seen[folded]!r} where case does not count")
        seen[folded] = entry.filename
        above = {str(parent) for parent in PurePosixPath(folded).parents}
        if above & files:
            yield _error(entry.filename, "lies in a file as if that were a folder")


def _sizes(entries: list[zipfile.ZipInfo]) -> Iterator[Finding]:
    """Yield what would fill the disk."""
    for entry in entries:
        if entry.file_size > MAX_FILE_BYTES:
            yield _error(entry.filename, f"unpacks to {entry.file_size:,} bytes, more than {MAX_FILE_BYTES:,}")
        elif entry.file_size > max(_SMALL, MAX_RATIO * entry.compress_size):
            yield _error(entry.filename, f"unpacks to more than {MAX_RATIO} times its size, as a bomb does")
    total, packed = sum(entry.file_size for entry in entries), sum(entry.compress_size for entry in entries)
    if total > MAX_BYTES:
        yield _error("", f"unpacks to {total:,} bytes, more than {MAX_BYTES:,}")
    elif total > max(_SMALL, MAX_RATIO * packed):
        yield _error("", f"unpacks to more than {MAX_RATIO} times its size, as a bomb does")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name.removesuffix("/")).casefold()


def _bytes(part: str) -> int:
    return len(part.encode("utf-8", "surrogatepass"))


def _error(name: str, problem: str) -> Finding:
    return error(Check.ARCHIVE, name, problem, _ASK)
