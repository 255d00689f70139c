"""Files that are either complete or absent, JSON, and CSV with any file name."""

from __future__ import annotations

import csv
import errno
import os
import re
import stat
import subprocess
import sys
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


def test_long_names_have_temporary_names_too(tmp_path: Path) -> None:
    target = tmp_path / f"{'x' * 250}.png"
    with write_atomically(target) as temporary:
        assert temporary.suffix == ".png"
    assert list(tmp_path.iterdir()) == [target]


KILLED = """
import os, signal, sys
from pathlib import Path
from handseg_bundle_common.files import write_atomically, write_folder_atomically
with write_atomically(Path(sys.argv[1], "mask.png")), write_folder_atomically(Path(sys.argv[1], "masks")):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def abandoned(tmp_path: Path) -> list[Path]:
    """What a process leaves that is killed while it writes."""
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)  # noqa: S603
    left = sorted(tmp_path.iterdir())
    assert {path.name.rpartition("-")[2] for path in left} == {"mask.png", "masks"}
    return sorted(left, key=Path.is_dir)


@pytest.mark.skipif(os.name != "posix", reason="only these systems tell of other processes")
def test_what_a_killed_process_left_is_removed(tmp_path: Path, abandoned: list[Path]) -> None:
    with write_atomically(tmp_path / "other.csv") as temporary:
        temporary.touch()
    assert [path.name for path in tmp_path.iterdir()] == ["other.csv"]


@pytest.mark.skipif(os.name != "posix", reason="only these systems tell of other processes")
def test_what_is_not_known_to_be_left_stays(tmp_path: Path, abandoned: list[Path]) -> None:
    """Files of running processes and of other machines, files of other names, and what was to be replaced."""
    number = re.search(r"-(\d+)-", abandoned[0].name)
    assert number is not None
    folder = next(path for path in abandoned if path.is_dir())
    (folder / "old").mkdir()
    names = [
        abandoned[0].name.replace(number[0], f"-{os.getpid()}-"),
        abandoned[0].name.replace(number[0], "-1-"),
        re.sub(r"handseg-\w+-", "handseg-01234567-", abandoned[0].name),
        ".handseg-notes.txt",
        ".hidden",
        "mask.png",
    ]
    for name in names:
        (tmp_path / name).touch()
    with write_atomically(tmp_path / "other.csv") as temporary:
        temporary.touch()
    assert {path.name for path in tmp_path.iterdir()} == {*names, folder.name, "other.csv"}


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


def test_json_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    path.write_text("[1, 2]")
    assert read_json(path, "split it", max_bytes=6) == [1, 2]
    with path.open("r+b") as file:
        file.truncate(2**28 + 1)  # a sparse file: no disk is filled
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("read before its size was looked at"))
    with pytest.raises(HandsegInputError, match=r"x\.json: has more than 268,435,456 bytes; split it\.$"):
        read_json(path, "split it")


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
