"""Files that are either complete or absent, JSON read with one-sentence errors, and CSV with any file name in it."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TextIO

from handseg_bundle_common.errors import HandsegInputError

# Outlines of 29 bones take 100 KB, those of noise 100 MB. JSON takes eight to twenty times its size in memory.
MAX_JSON = 2**28
# Python's own way with file names that are not valid Unicode (PEP 383).
_NAMES = "surrogateescape"
# So many characters of a name end that of its temporary file, so that file systems take both.
_KEPT = 40


def make_folder(folder: str | os.PathLike[str]) -> Path:
    """Create `folder` with its parents and return it.

    Raises:
        HandsegInputError: it cannot be created or written to.
    """
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_writable(path, error) from error
    if not os.access(path, os.W_OK):
        raise _not_writable(path, PermissionError("permission denied"))
    return path


@contextmanager
def write_atomically(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes the name `path` only when the block succeeds.

    The temporary name ends like `path`, because image writers choose the format by the suffix, which may have two
    parts, as that of `.nii.gz`. It also names the process: what one that was killed has left in the folder is removed.

    Raises:
        HandsegInputError: the folder cannot be created or the file cannot be written.
    """
    target = Path(path)
    make_folder(target.parent)
    try:
        _remove_abandoned(target.parent.absolute())
        handle, name = tempfile.mkstemp(prefix=_prefix(), suffix=f"-{target.name[-_KEPT:]}", dir=target.parent)
    except OSError as error:
        raise _not_writable(target, error) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    except OSError as error:
        raise _not_writable(target, error) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def write_folder_atomically(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary folder beside `folder`; it takes the place of what is there only when the block succeeds.

    Raises:
        HandsegInputError: the folder or a file in it cannot be written.
    """
    target = Path(folder)
    make_folder(target.parent)
    try:
        _remove_abandoned(target.parent.absolute())
        with tempfile.TemporaryDirectory(
            prefix=_prefix(), suffix=f"-{target.name[-_KEPT:]}", dir=target.parent
        ) as name:
            written, replaced = Path(name, "new"), Path(name, "old")
            written.mkdir()
            yield written
            if target.exists():
                target.rename(replaced)
            written.rename(target)
    except OSError as error:
        raise _not_writable(target, error) from error


@contextmanager
def write_csv(path: str | os.PathLike[str]) -> Iterator[TextIO]:
    """Yield a text file for `csv.writer`, UTF-8; it takes the name `path` only when the block succeeds.

    File names that are not valid Unicode keep their bytes.

    Raises:
        HandsegInputError: the folder cannot be created or the file cannot be written.
    """
    with (
        write_atomically(path) as temporary,
        temporary.open("w", encoding="utf-8", errors=_NAMES, newline="") as file,  # csv ends its lines itself
    ):
        yield file


def open_csv(path: str | os.PathLike[str]) -> TextIO:
    """Open a file of `write_csv`, or one that a spreadsheet saved as UTF-8, for `csv.reader`.

    Raises:
        OSError: the file is missing or cannot be read.
    """
    return Path(path).open(encoding="utf-8-sig", errors=_NAMES, newline="")


def read_json(path: str | os.PathLike[str], remedy: str, max_bytes: int = MAX_JSON) -> Any:
    """Return what a JSON file holds.

    Args:
        path: the file.
        remedy: what the user can do about a file that cannot be used, without a full stop.
        max_bytes: a larger file is not read.

    Raises:
        HandsegInputError: the file is missing, empty, too large or not JSON.
    """
    try:
        if Path(path).stat().st_size > max_bytes:
            raise HandsegInputError(path, f"has more than {max_bytes:,} bytes", remedy)
        content = Path(path).read_bytes()
    except OSError as error:
        raise HandsegInputError(path, f"cannot be read ({error.strerror})", remedy) from error
    if not content.strip():
        raise HandsegInputError(path, "is empty", remedy)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise HandsegInputError(path, f"is not JSON ({error})", remedy) from error


def printable(name: str) -> str:
    """Return a file's name as characters; bytes that are none are written as escapes."""
    return name.encode(errors="backslashreplace").decode()


def _prefix() -> str:
    """Return how names of this process's temporary files begin."""
    return f".handseg-{_machine()}-{os.getpid()}-"


@lru_cache(maxsize=1)
def _machine() -> str:
    """Return a short name of where a process number means this process: a machine, or a container on it."""
    space = ""
    with suppress(OSError):
        space = os.readlink("/proc/self/ns/pid")  # noqa: PTH115  it leads nowhere
    return hashlib.sha256(f"{platform.node()} {space}".encode()).hexdigest()[:8]


@lru_cache(maxsize=4096)
def _remove_abandoned(folder: Path) -> None:
    """Remove from a folder, once in a process, what processes of this machine were writing when they were killed.

    A folder that holds what it was about to replace is left: nobody else has that.
    """
    if os.name != "posix":  # elsewhere, asking for a process may end it
        return
    own = re.compile(rf"\.handseg-{_machine()}-(\d+)-[a-z0-9_]{{8}}-.*", re.DOTALL)
    for entry in os.scandir(folder):
        found = own.fullmatch(entry.name)
        if found is not None and not _is_running(int(found[1])):
            with suppress(OSError):  # another process may remove it as well
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)  # noqa: PTH108
                elif not Path(entry.path, "old").exists():
                    shutil.rmtree(entry.path)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def _umask() -> int:
    """Return the process's umask; reading it means setting it for a moment."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _not_writable(path: Path, error: OSError) -> HandsegInputError:
    reason = error.strerror or str(error)
    return HandsegInputError(
        path, f"cannot be written ({reason})", "choose a folder with write permission and free space"
    )
