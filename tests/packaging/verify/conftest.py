"""A bundle from elsewhere: a copy that tests may spoil."""

from __future__ import annotations

import json
import resource
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, where archives are unpacked."""
    monkeypatch.setenv("HANDSEG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def bundle(tmp_path: Path, repository: Path) -> Path:
    """A copy of a bundle."""
    ignored = shutil.ignore_patterns("eval", "trained", "__pycache__")
    return Path(shutil.copytree(repository / "bundles" / "effisegnet", tmp_path / "copy", ignore=ignored))


@pytest.fixture
def edit() -> Callable[..., None]:
    """A function that changes values at the top of a JSON file, and takes keys out."""

    def change(path: Path, *removed: str, **values: Any) -> None:
        document = {**json.loads(path.read_text()), **values}
        path.write_text(json.dumps({key: value for key, value in document.items() if key not in removed}))

    return change


@pytest.fixture
def packed() -> Callable[[Path], Path]:
    """A function that packs a folder into an archive beside it."""

    def pack(folder: Path) -> Path:
        path = folder.with_suffix(".zip")
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(folder.rglob("*")):
                archive.write(file, file.relative_to(folder))
        return path

    return pack


@pytest.fixture
def full_disk() -> Callable[[int], AbstractContextManager[None]]:
    """A function that lets no file grow beyond a number of bytes, which writers see as a full disk."""

    @contextmanager
    def limited(size: int) -> Iterator[None]:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    return limited
