"""Files that are either complete or absent, JSON, and CSV with any file name."""

from __future__ import annotations

import csv
import errno
import os
import stat
from pathlib import Path

import pytest

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import (
    make_folder,
    open_csv,
    printable,
    read_json,
    write_atomically,
    write_csv,
    write_folder_atomically,
)


def test_make_folder_creates_parents_and_accepts_what_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert make_folder(folder) == folder
    assert make_folder(str(folder)) == folder
    assert folder.is_dir()


def test_make_folder_refuses_a_path_through_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HandsegInputError, match=r"file.*cannot be written.*choose a folder"):
        make_folder(tmp_path / "file" / "folder")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="an administrator may write anywhere")
def test_make_folder_refuses_one_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(HandsegInputError, match="permission denied"):
        make_folder(tmp_path)


def test_file_appears_only_when_the_block_succeeds(tmp_path: Path) -> None:
    target = tmp_path / "new" / "mask.png"
    with write_atomically(target) as temporary:
        assert temporary.suffix == ".png"
        assert temporary.parent == target.parent
        temporary.write_text("done")
        assert not target.exists()
    assert target.read_text() == "done"
    assert list(target.parent.iterdir()) == [target]


def test_temporary_names_keep_suffixes_of_two_parts(tmp_path: Path) -> None:
    with write_atomically(tmp_path / "mask.nii.gz") as temporary:
        assert temporary.name.endswith(".nii.gz")
        assert temporary.name.startswith(".")
        temporary.touch()
    assert [path.name for path in tmp_path.iterdir()] == ["mask.nii.gz"]


def test_a_folder_is_replaced_only_when_the_block_succeeds(tmp_path: Path) -> None:
    target = tmp_path / "new" / "masks"
    for content in ("first", "second"):
        with write_folder_atomically(target) as temporary:
            (temporary / content).touch()
        assert [path.name for path in target.iterdir()] == [content]
    with pytest.raises(RuntimeError), write_folder_atomically(target) as temporary:
        (temporary / "third").touch()
        raise RuntimeError
    with pytest.raises(HandsegInputError, match="cannot be written"), write_folder_atomically(target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert [path.name for path in target.iterdir()] == ["second"]
    assert list(target.parent.iterdir()) == [target]


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "mask.png"
    target.write_text("old")
    with pytest.raises(RuntimeError, match="interrupted"), write_atomically(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError("interrupted")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_full_disk_is_told_in_one_sentence(tmp_path: Path) -> None:
    message = r"mask\.png: cannot be written .*choose a folder .*free space"
    with pytest.raises(HandsegInputError, match=message), write_atomically(tmp_path / "mask.png"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


def test_file_gets_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    with write_atomically(tmp_path / "atomic") as temporary:
        temporary.touch()
    (tmp_path / "plain").touch()
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("atomic", "plain")}
    assert len(modes) == 1


# A file name in Latin-1, as Python gives it on a system in UTF-8.
ODD_NAME = os.fsdecode(b"h\xff.png")


def test_csv_keeps_any_file_name(tmp_path: Path) -> None:
    rows = [["image_name", "note"], [ODD_NAME, 'a,"b"'], ["\u00e9.png", "two\nlines"]]
    with write_csv(tmp_path / "x.csv") as file:
        csv.writer(file).writerows(rows)
    with open_csv(tmp_path / "x.csv") as file:
        assert list(csv.reader(file)) == rows
    content = (tmp_path / "x.csv").read_bytes()
    assert content.startswith(b'image_name,note\r\nh\xff.png,"a,""b"""\r\n\xc3\xa9.png,')


def test_csv_of_a_spreadsheet_has_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("image_name\r\n", encoding="utf-8-sig")
    with open_csv(tmp_path / "x.csv") as file:
        assert next(csv.reader(file)) == ["image_name"]


def test_csv_appears_only_when_the_block_succeeds(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="interrupted"), write_csv(tmp_path / "x.csv") as file:
        file.write("half")
        raise RuntimeError("interrupted")
    assert list(tmp_path.iterdir()) == []


def test_read_json_returns_the_content_with_or_without_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path.write_text('{"a": [1, "\u00e9"]}', encoding=encoding)
        assert read_json(path, "write it again") == {"a": [1, "\u00e9"]}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b'{"a": ', "is not JSON"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "is not JSON"),
        (b"[" * 200_000, "is not JSON"),
    ],
    ids=["missing", "empty", "blank", "truncated", "binary", "nested too deeply"],
)
def test_unusable_json(tmp_path: Path, content: bytes | None, problem: str) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(HandsegInputError, match=rf"x\.json: {problem}.*; write it again\.$"):
        read_json(path, "write it again")


def test_bytes_that_are_no_characters_are_written_as_escapes() -> None:
    assert printable(b"caf\xe9.png".decode(errors="surrogateescape")) == "caf\\udce9.png"
