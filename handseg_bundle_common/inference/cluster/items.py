"""Which radiographs a cluster is to segment: files and folders of this machine, and addresses."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import printable
from handseg_bundle_common.formats.radiograph import SUFFIXES, has_radiograph_suffix
from handseg_bundle_common.inference.cluster.places import (
    LINK,
    address_in,
    file_system,
    local_path,
    reason_of,
    shown_address,
    state_of,
)
from handseg_bundle_common.inference.segmenter import Failure
from handseg_bundle_common.inference.sources import find_sources


@dataclass(frozen=True)
class Item:
    """A radiograph that every machine can reach.

    Attributes:
        name: its name in the results.
        file: its path, or its address without user and password.
        base: the address by which its file system is opened; empty for a path.
        path: its path in that file system.
        state: changes when the file does.
    """

    name: str
    file: str
    base: str
    path: str
    state: str


def find_items(images: Sequence[str], *, keep_folders: bool = False, exclude: Sequence[Path] = ()) -> list[Item]:
    """Return the radiographs among files, folders and addresses, each once.

    Files and folders are those of `find_sources`. Behind an address files are known by their suffixes alone, because
    to look into each would mean to fetch it; hidden ones are left out.

    Args:
        images: paths, and addresses of files or of folders, which are searched recursively.
        keep_folders: name radiographs by their paths below the deepest folder that holds everything given.
        exclude: folders of this machine that are not searched.

    Raises:
        HandsegInputError: as `find_sources`; a place cannot be opened, or two radiographs would have one name.
    """
    paths = [path for text in images if (path := local_path(text)) is not None]
    addresses = [text for text in images if local_path(text) is None]
    items: dict[str, Item] = {}
    if paths or not addresses:
        for source in find_sources(paths, keep_folders=keep_folders, exclude=exclude):
            items[str(source.path)] = Item(source.name, str(source.path), "", str(source.path), _state(source.path))
    found = [entry for address in addresses for entry in _below(address)]
    # What follows in a chain of addresses says where the file system lies.
    own = [item.file.partition(LINK)[0] for item in found]
    top = _top(own) if keep_folders else ""
    for item, file in zip(found, own, strict=True):
        name = file[len(top) :].lstrip("/") if keep_folders else posixpath.basename(file)
        items.setdefault(item.file, replace(item, name=name))
    _check_names(list(items.values()))
    return list(items.values())


def without_bad_names(items: Sequence[Item]) -> tuple[list[Item], list[Failure]]:
    """Return the radiographs whose names are text, and why the others cannot be segmented."""
    bad = [item for item in items if printable(item.name + item.file) != item.name + item.file]
    problem, remedy = "has bytes in its name that are no characters", "rename it"
    failures = [
        Failure(printable(item.name), printable(item.file), f"{printable(item.file)}: {problem}; {remedy}.")
        for item in bad
    ]
    refused = {item.file for item in bad}
    return [item for item in items if item.file not in refused], failures


def _below(address: str) -> Iterator[Item]:
    """Yield the radiographs below an address, or the one that it names; without a name yet."""
    files, path = file_system(address)
    files.invalidate_cache()
    try:
        found: dict[str, Any] = files.find(path, detail=True)
    except Exception as error:  # every file system has its own exceptions
        problem = f"cannot be listed ({reason_of(error)})"
        raise HandsegInputError(shown_address(address), problem, "check the address and the rights to it") from error
    is_any = False
    for inside in sorted(found):
        below = inside[len(path) :] if inside.startswith(path) else inside
        if has_radiograph_suffix(inside) and not any(part.startswith(".") for part in below.split("/")):
            is_any = True
            yield Item("", address_in(address, inside), address, inside, state_of(found[inside]))
    if not is_any:
        raise HandsegInputError(shown_address(address), f"holds no image ({', '.join(SUFFIXES)})", "check the address")


def _top(files: Sequence[str]) -> str:
    """Return the deepest folder that holds all files."""
    folders = [file.partition("://") for file in map(posixpath.dirname, files)]
    schemes = {scheme for scheme, _, _ in folders}
    if len(schemes) > 1:
        raise HandsegInputError("images", "have no folder in common", "leave out --keep-folders")
    return f"{schemes.pop()}://{posixpath.commonpath([folder for _, _, folder in folders])}" if folders else ""


def _check_names(items: Sequence[Item]) -> None:
    first: dict[str, Item] = {}
    for item in items:
        other = first.setdefault(item.name, item)
        if other is not item:
            problem = f"has the same name as {other.file}"
            raise HandsegInputError(item.file, problem, "rename one of them or use --keep-folders")


def _state(path: Path) -> str:
    try:
        found = path.stat()
    except OSError:  # what cannot be looked at is told when it is read
        return ""
    return state_of({"size": found.st_size, "mtime": found.st_mtime_ns})
