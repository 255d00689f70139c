"""Digests of code change with the code, and with nothing else."""

from __future__ import annotations

import hashlib
import importlib
import sys
from pathlib import Path

import pytest

from handseg_bundle_common.digests import code_digest


@pytest.fixture(autouse=True)
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module `lonely` and a package `crowd` with a package in it."""
    for name, text in (
        ("lonely.py", "1"),
        ("crowd/__init__.py", ""),
        ("crowd/deep/__init__.py", "2"),
        ("other.py", ""),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in ("lonely", "crowd"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def digest(*names: str) -> str:
    code_digest.cache_clear()
    return code_digest(*map(importlib.import_module, names))


def test_modules_and_all_of_a_package_count(sources: Path) -> None:
    assert digest("lonely", "crowd") == hashlib.sha256(b"1" + b"" + b"2").hexdigest()
    before = digest("crowd")
    (sources / "other.py").write_text("another neighbour")
    assert digest("crowd") == before
    (sources / "crowd/deep/__init__.py").write_text("3")
    assert digest("crowd") != before
