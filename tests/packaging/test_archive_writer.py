"""Archives that are the same bytes for the same files, and complete or absent."""

from __future__ import annotations

import hashlib
import stat
import zipfile

import pytest

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.packaging.archive_writer import content_digest, write_archive


@pytest.mark.parametrize("stored", [False, True])
def test_equal_files_are_equal_bytes(tmp_path, stored):
    """Whatever the order, the time and permissions of the files that are copied, and the archive's own name."""
    for name, mode in {"first": 0o600, "second": 0o755}.items():
        (tmp_path / name).write_bytes(b"weights" * 1000)
        (tmp_path / name).chmod(mode)
    write_archive(tmp_path / "a.zip", {"x/b": tmp_path / "first", "x/a": b"text"}, stored=stored)
    write_archive(tmp_path / "other.zip", {"x/a": b"text", "x/b": tmp_path / "second"}, stored=stored)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "other.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == ["x/a", "x/b"]
        assert archive.read("x/b") == b"weights" * 1000
        for entry in archive.infolist():
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)
            assert entry.external_attr >> 16 == stat.S_IFREG | 0o644


def test_the_digest_is_that_of_the_file_to_be(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    expected = hashlib.sha256(b"content").hexdigest()
    assert content_digest(b"content") == content_digest(tmp_path / "file") == expected


def test_what_cannot_be_read_leaves_no_archive(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"before")
    with pytest.raises(HandsegInputError, match=r"a\.zip"):
        write_archive(tmp_path / "a.zip", {"a": b"text", "b": tmp_path / "gone"})
    assert (tmp_path / "a.zip").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
