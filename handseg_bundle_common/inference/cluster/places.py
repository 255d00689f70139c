"""Folders and files that may lie anywhere: on a disk, in an object store, wherever fsspec or pyarrow finds them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from fsspec import AbstractFileSystem, filesystem
from fsspec.core import url_to_fs
from fsspec.implementations.arrow import ArrowFSWrapper
from pyarrow.fs import FileSystem

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import write_atomically

# Under such names fsspec, pyarrow and browsers know the files of this machine.
_LOCAL = ("file", "local")
# Stands between the addresses of a chain, as in `zip://hands::s3://bucket/hands.zip`.
LINK = "::"
_INSTALL = "check the address, or install what fsspec needs for it, such as gcsfs or adlfs"


def is_address(text: str) -> bool:
    """Tell whether a text is an address such as `s3://bucket/hands`, and not a path."""
    return "://" in text


def local_path(text: str) -> Path | None:
    """Return the path that a text means, or None for an address that leads away from this machine's files."""
    if not is_address(text):
        return Path(text)
    parts = urlsplit(text)
    return Path(unquote(parts.path)) if parts.scheme in _LOCAL else None


@cache
def file_system(address: str) -> tuple[AbstractFileSystem, str]:
    """Return the file system of an address and the path in it, by fsspec, or by pyarrow where fsspec lacks a package.

    Raises:
        HandsegInputError: neither can open it.
    """
    path = local_path(address)
    if path is not None:
        return filesystem("file"), str(path.absolute())
    try:
        found, inside = url_to_fs(address)
        return found, str(inside)
    except (ImportError, ValueError):  # a package is missing, or the scheme is none of fsspec's
        pass
    except Exception as error:  # every file system has its own ways to refuse an address
        raise _unreachable(address, error) from error
    try:
        arrow, inside = FileSystem.from_uri(address)
    except Exception as error:  # as above
        raise _unreachable(address, error) from error
    return ArrowFSWrapper(arrow), str(inside)


def shown_address(address: str) -> str:
    """Return an address, or a chain of them, without users, passwords and options, which must not stand in tables."""
    first, link, rest = address.partition(LINK)
    if is_address(first):
        parts = urlsplit(first)
        first = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return f"{first}{link}{shown_address(rest)}" if link else first


def address_in(address: str, inside: str) -> str:
    """Return what to show for a path in the file system of an address."""
    first, link, rest = address.partition(LINK)
    scheme = first.partition("://")[0]
    own = inside if is_address(inside) else f"{scheme}://{inside.lstrip('/')}"
    return shown_address(f"{own}{link}{rest}")


class Place:
    """A folder for results, in which every file is complete or absent.

    It can be pickled: the copy in another process opens the same folder there.

    Args:
        address: a path of this machine, or an address.

    Attributes:
        address: as it was given, paths made absolute.
        folder: its path, None where it is not one of this machine.
    """

    def __init__(self, address: str) -> None:
        self.folder = local_path(address)
        self.address = address.rstrip("/") if self.folder is None else str(self.folder.absolute())

    def __str__(self) -> str:
        return shown_address(self.address)

    def put(self, name: str, content: bytes) -> None:
        """Write a file.

        Args:
            name: its path below the folder, with `/` between folders.
            content: what it holds.

        Raises:
            HandsegInputError: it cannot be written.
        """
        if self.folder is not None:
            with write_atomically(self.folder / name) as temporary:
                temporary.write_bytes(content)
            return
        with self._replaced(name) as (files, temporary_path):
            files.pipe_file(temporary_path, content)

    def open(self, name: str) -> IO[bytes]:
        """Open a file to read.

        Raises:
            HandsegInputError: it cannot be read.
        """
        files, path = self._find(name)
        with self._explained(name, "read"):
            stream: IO[bytes] = files.open(path, "rb")
            return stream

    def has(self, name: str) -> bool:
        """Tell whether a file or folder is there."""
        files, path = self._find(name)
        with self._explained(name, "read"):
            return bool(files.exists(path))

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, sorted; none if it is not there."""
        files, path = self._find(folder)
        with self._explained(folder, "read"):
            if not files.exists(path):
                return []
            files.invalidate_cache(path)
            return sorted(str(entry).rpartition("/")[2] for entry in files.ls(path, detail=False))

    def remove(self, name: str) -> None:
        """Remove a file, or a folder with all in it, if it is there."""
        files, path = self._find(name)
        with self._explained(name, "removed"):
            if files.exists(path):
                files.rm(path, recursive=True)

    @contextmanager
    def staged(self) -> Iterator[Path]:
        """Yield a folder of this machine; what is written there stands in this place when the block succeeds.

        Raises:
            HandsegInputError: a file cannot be written.
        """
        if self.folder is not None:
            yield self.folder
            return
        with tempfile.TemporaryDirectory(prefix="handseg-") as name:
            yield Path(name)
            for path in sorted(file for file in Path(name).rglob("*") if file.is_file()):
                with self._replaced(path.relative_to(name).as_posix()) as (files, temporary_path):
                    files.put_file(str(path), temporary_path)

    def _find(self, name: str) -> tuple[AbstractFileSystem, str]:
        files, root = file_system(self.address)
        return files, f"{root.rstrip('/')}/{name}"

    @contextmanager
    def _replaced(self, name: str) -> Iterator[tuple[AbstractFileSystem, str]]:
        """Yield a path beside a file, whose place it takes; some file systems show a file before it is whole."""
        files, path = self._find(name)
        folder, _, last = path.rpartition("/")
        temporary = f"{folder}/.handseg-{uuid4().hex}-{last}"
        with self._explained(name, "written"):
            files.makedirs(folder, exist_ok=True)
            yield files, temporary
            files.mv(temporary, path)

    @contextmanager
    def _explained(self, name: str, done: str) -> Iterator[None]:
        try:
            yield
        except HandsegInputError:
            raise
        except Exception as error:  # every file system has its own exceptions
            problem = f"cannot be {done} ({reason_of(error)})"
            raise HandsegInputError(f"{self}/{name}", problem, "check the place and the rights to it") from error


def state_of(entry: dict[str, Any]) -> str:
    """Return what changes when a file does: its size and the first of ETag, checksum and time that are told of it."""
    known = (
        "ETag",
        "etag",
        "md5Hash",
        "content_md5",
        "CRC",
        "mtime",
        "LastModified",
        "last_modified",
        "updated",
        "created",
    )
    mark = next((str(entry[name]) for name in known if entry.get(name) is not None), "")
    return f"{entry.get('size')} {mark}"


def _unreachable(address: str, error: Exception) -> HandsegInputError:
    return HandsegInputError(shown_address(address), f"cannot be opened ({reason_of(error)})", _INSTALL)


def reason_of(error: Exception) -> str:
    """Return what an exception says, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
