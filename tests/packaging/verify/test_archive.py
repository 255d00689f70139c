"""Archives that would harm are refused by their list of files, before a byte of them is written."""

from __future__ import annotations

import io
import re
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.packaging.verify import checks
from handseg_bundle_common.packaging.verify.archive import archive_findings, bundle_root, name_problem, unpack
from handseg_bundle_common.packaging.verify.checks import verify_bundle
from handseg_bundle_common.packaging.verify.findings import Finding

METADATA = "configs/metadata.json"


def archive(path: Path, *names: str, content: bytes = b"{}", kind: int = 0, **options: int) -> Path:
    """Write an archive of files with these very names, of one kind by their Unix mode."""
    with zipfile.ZipFile(path, "w", **options) as made:
        for name in names:
            entry = zipfile.ZipInfo("placeholder")
            entry.filename, entry.external_attr = name, kind << 16
            entry.compress_type = made.compression
            made.writestr(entry, content)
    return path


def encrypted(path: Path) -> Path:
    archive(path, METADATA)
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    path.write_bytes(content)
    return path


def shared_bytes(path: Path) -> Path:
    """Let two entries point to the same bytes, by which kilobytes can stand for terabytes."""
    archive(path, "first", "other", content=b"0" * 100)
    content = bytearray(path.read_bytes())
    second = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 4)
    content[second + 42 : second + 46] = bytes(4)
    path.write_bytes(content)
    return path


def with_a_program_in_front(path: Path) -> Path:
    archive(path, METADATA)
    path.write_bytes(b"#!/bin/sh\nrm -r /\n" + path.read_bytes())
    return path


def appended(path: Path, *, comment: bytes = b"", file_comment: bytes = b"", extra: bytes = b"") -> Path:
    """Write an archive with bytes in the places where nothing is looked for."""
    with zipfile.ZipFile(path, "w") as made:
        entry = zipfile.ZipInfo(METADATA)
        entry.comment, entry.extra = file_comment, extra
        made.writestr(entry, b"{}")
        made.comment = comment
    return path


def hidden_between(path: Path) -> Path:
    """Move the second entry and the list back, and hide a third entry that no list names."""
    archive(path, METADATA, "LICENSE")
    content = path.read_bytes()
    second, start = content.rindex(b"PK\x03\x04"), content.index(b"PK\x01\x02")
    hidden = content[second:start]
    content = bytearray(content[:second] + hidden + content[second:])
    moved = content.rindex(b"PK\x01\x02")
    content[moved + 42 : moved + 46] = (second + len(hidden)).to_bytes(4, "little")
    content[-6:-2] = (start + len(hidden)).to_bytes(4, "little")
    path.write_bytes(content)
    return path


def hidden_before_the_list(path: Path) -> Path:
    content = archive(path, METADATA).read_bytes()
    start = content.index(b"PK\x01\x02")
    path.write_bytes(content[:start] + b"hidden" + content[start:-6] + (start + 6).to_bytes(4, "little") + b"\0\0")
    return path


def cut(path: Path) -> Path:
    archive(path, METADATA)
    path.write_bytes(path.read_bytes()[:-10])
    return path


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def many(path: Path) -> Path:
    return archive(path, *map(str, range(5001)), content=b"")


MALICIOUS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "absolute": (lambda path: archive(path, "/tmp/ran"), "absolute name"),  # noqa: S108
    "drive": (lambda path: archive(path, "C:/ran"), "absolute name"),
    "upwards": (lambda path: archive(path, "../ran"), r"through \. or \.\."),
    "upwards within": (lambda path: archive(path, "configs/../../ran"), r"through \. or \.\."),
    "current folder": (lambda path: archive(path, "./ran"), r"through \. or \.\."),
    "empty folder": (lambda path: archive(path, "configs//ran"), "empty folder"),
    "backslash": (lambda path: archive(path, "..\\ran"), "backslash"),
    "NUL": (lambda path: archive(path, "model.pt\0.py"), "control character"),
    "line end": (lambda path: archive(path, "configs/a\nb"), "control character"),
    "escape sequence": (lambda path: archive(path, "\x1b[2Jclean"), "control character"),
    "device of Windows": (lambda path: archive(path, "docs/aux.md"), "not all systems"),
    "stream of Windows": (lambda path: archive(path, "LICENSE:hidden"), "not all systems"),
    "trailing dot": (lambda path: archive(path, "docs/x."), "not all systems"),
    "part of a name that is longer in bytes": (lambda path: archive(path, "\u4e2d" * 86), "more than 255 bytes"),
    "sign that turns the order": (lambda path: archive(path, "docs/\u202etxt.yp"), "control character"),
    "sign that nobody sees": (lambda path: archive(path, "configs/train\u200b.json"), "control character"),
    "line separator": (lambda path: archive(path, "docs/a\u2028b"), "control character"),
    "repository": (lambda path: archive(path, METADATA, ".git/config"), "git repository"),
    "repository, other case": (lambda path: archive(path, "docs/.GIT/hooks/post-checkout"), "git repository"),
    "long name": (lambda path: archive(path, "x" * 300), "300 characters"),
    "link": (lambda path: archive(path, "models", content=b"/etc", kind=stat.S_IFLNK | 0o777), "is a link"),
    "device": (lambda path: archive(path, "models/x", kind=stat.S_IFBLK | 0o666), "a device"),
    "pipe": (lambda path: archive(path, "models/x", kind=stat.S_IFIFO | 0o666), "a device or a pipe"),
    "folder with content": (lambda path: archive(path, "configs/"), "named like a folder"),
    "twice": (lambda path: archive(path, METADATA, METADATA), "stands twice"),
    "twice but for case": (lambda path: archive(path, METADATA, "configs/Metadata.JSON"), "case does not count"),
    "twice but for composition": (lambda path: archive(path, "\u00e9", "e\u0301"), "case does not count"),
    "file as folder": (lambda path: archive(path, "models", "models/x.pt"), "as if that were a folder"),
    "many files": (many, "holds 5001 files"),
    "bomb": (
        lambda path: archive(path, "x", content=bytes(2**23), compression=zipfile.ZIP_DEFLATED),
        "200 times its size",
    ),
    "bomb of small files": (
        lambda path: archive(path, *map(str, range(8)), content=bytes(2**20), compression=zipfile.ZIP_DEFLATED),
        "200 times its size",
    ),
    "shared bytes": (shared_bytes, "shares bytes"),
    "encrypted": (encrypted, "is encrypted"),
    "other method": (lambda path: archive(path, "x", compression=zipfile.ZIP_LZMA), "method 14"),
    "program in front": (with_a_program_in_front, "in front of its first file"),
    "comment": (lambda path: appended(path, comment=b"hidden"), "holds a comment"),
    "comment of a file": (lambda path: appended(path, file_comment=b"hidden"), "holds a comment"),
    "something behind": (lambda path: written(path, archive(path, METADATA).read_bytes() + b"\0"), "."),
    "something between files": (hidden_between, "something hidden behind it"),
    "something before the list": (hidden_before_the_list, "something hidden behind it"),
    "another name": (
        lambda path: appended(path, extra=b"\x75\x70\x09\0\x01\0\0\0\0evil"),
        "hide another name",
    ),
    "search path": (lambda path: archive(path, METADATA, "x.pth"), r"x\.pth: is of a kind"),
    "module that Python starts with": (lambda path: archive(path, METADATA, "sitecustomize.py"), "code of its own"),
    "installed package": (lambda path: archive(path, METADATA, "x.dist-info/entry_points.txt"), "installed package"),
    "truncated": (cut, "no ZIP archive"),
    "empty": (lambda path: written(path, b""), "no ZIP archive"),
    "text": (lambda path: written(path, b"PK, the magazine"), "no ZIP archive"),
    "no bundle": (lambda path: archive(path, "README.md"), r"no configs/metadata\.json"),
    "two folders": (lambda path: archive(path, f"a/{METADATA}", f"b/{METADATA}"), r"no configs/metadata\.json"),
}


@pytest.mark.parametrize("case", MALICIOUS)
def test_a_malicious_archive_is_refused_and_leaves_nothing(tmp_path: Path, cache: Path, case: str) -> None:
    make, problem = MALICIOUS[case]
    folder = tmp_path / "received"
    folder.mkdir()
    path = make(folder / "bundle.zip")
    before = sorted(tmp_path.rglob("*"))
    result = verify_bundle(path)
    assert result.exit_code == 3
    assert result.folder is None
    assert re.search(problem, "\n".join(finding.sentence for finding in result.findings))
    left = set(tmp_path.rglob("*")) - set(before)
    assert left <= {cache, cache / "bundles"}


def test_a_declared_size_that_is_a_lie_is_found_while_unpacking(tmp_path: Path) -> None:
    path = archive(tmp_path / "bundle.zip", "x", content=b"0" * 100)
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = (50).to_bytes(4, "little")
    path.write_bytes(content)
    (tmp_path / "out").mkdir()
    assert not archive_findings(path)
    (finding,) = unpack(path, tmp_path / "out")
    assert "damaged" in finding.problem
    assert (tmp_path / "out" / "x").stat().st_size <= 50


def test_archives_of_other_programs_pass(tmp_path: Path) -> None:
    """They write times and owners into the headers, and the size of a file behind it."""
    times = b"UT\x05\0\x01\0\0\0\0"
    with (tmp_path / "bundle.zip").open("wb") as file, zipfile.ZipFile(Unseekable(file), "w") as made:
        entry = zipfile.ZipInfo(METADATA)
        entry.extra = times
        made.writestr(entry, b"{}")
        made.writestr("docs/", b"")
    assert not archive_findings(tmp_path / "bundle.zip")


class Unseekable(io.RawIOBase):
    """A pipe, into which archives are written with the sizes behind the files."""

    def __init__(self, file: io.BufferedWriter) -> None:
        self.file = file

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        return self.file.write(content)


def test_an_archive_that_is_exchanged_while_it_is_read_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is unpacked is what was looked at, and not given the place of another."""
    path = archive(tmp_path / "bundle.zip", METADATA)
    looked_at = checks.archive_findings

    def exchanged(first: Path) -> list[Finding]:
        found = looked_at(first)
        archive(path, METADATA, "../ran")
        return found

    monkeypatch.setattr(checks, "archive_findings", exchanged)
    result = verify_bundle(path)
    assert [one.file for one in result.findings] == ["../ran"]
    assert not list(tmp_path.rglob("ran"))

    def changed(first: Path) -> list[Finding]:
        found = looked_at(first)
        archive(path, METADATA, "LICENSE")
        return found

    monkeypatch.setattr(checks, "archive_findings", changed)
    archive(path, METADATA)
    result = verify_bundle(path)
    assert [one.problem for one in result.findings] == ["has changed while it was read"]
    assert result.folder is None


def test_total_size_is_limited(tmp_path: Path) -> None:
    path = archive(tmp_path / "bundle.zip", "x")
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = (2**32 - 2).to_bytes(4, "little")
    path.write_bytes(content)
    problems = " ".join(finding.problem for finding in archive_findings(path))
    assert "more than 2,147,483,648" in problems
    assert "more than 4,294,967,296" not in problems


def test_names_that_bundles_have_pass() -> None:
    for name in ("LICENSE", METADATA, "models/members/swin_unetr/models/model.pt", "docs/", "configs/logging.conf"):
        assert name_problem(name) is None


@pytest.mark.parametrize("top", ["", "effisegnet/"])
def test_what_is_unpacked_is_what_was_packed_without_its_permissions(tmp_path: Path, top: str) -> None:
    path = tmp_path / "bundle.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        entry = zipfile.ZipInfo(f"{top}{METADATA}")
        entry.external_attr = (stat.S_IFREG | stat.S_ISUID | 0o777) << 16
        made.writestr(entry, b"{}")
    (tmp_path / "out").mkdir()
    assert not archive_findings(path)
    assert not unpack(path, tmp_path / "out")
    root = bundle_root(tmp_path / "out")
    assert root == tmp_path / "out" / top
    assert (root / METADATA).read_bytes() == b"{}"
    assert not (root / METADATA).stat().st_mode & 0o7111


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_archives_are_refused_or_hold_what_was_packed(tmp_path: Path, data: st.DataObject) -> None:
    """Nothing else is raised, and nothing is written beside the folder."""
    path = archive(tmp_path / "damaged.zip", METADATA, "LICENSE", content=b"[1]" * 20, compression=zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=8)):
        content[position] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))])
    before = set(tmp_path.iterdir())
    try:
        result = verify_bundle(path)
    except HandsegInputError as error:  # no longer recognised as an archive
        assert error.source
    else:
        assert result.exit_code != 0
    assert set(tmp_path.iterdir()) - before <= {tmp_path / "cache"}
    assert not list((tmp_path / "cache").rglob("LICENSE"))
