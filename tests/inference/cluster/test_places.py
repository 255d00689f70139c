"""Places of results: every file is complete or absent, wherever they are."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest
from fsspec.implementations.arrow import ArrowFSWrapper
from pyarrow.fs import LocalFileSystem, S3FileSystem, SubTreeFileSystem

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.inference.cluster import places
from handseg_bundle_common.inference.cluster.places import Place, file_system, local_path, shown_address, state_of


@pytest.fixture(params=["path", "file", "memory", "folder", "arrow"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A folder by its path, by two kinds of addresses, by a chain of addresses, and in a file system of pyarrow."""
    inside = uuid4().hex
    if request.param == "arrow":
        below = ArrowFSWrapper(SubTreeFileSystem(str(tmp_path), LocalFileSystem()))
        monkeypatch.setattr(places, "file_system", lambda _: (below, "results"))
    yield Place(
        {
            "path": str(tmp_path / "results"),
            "file": f"file://{tmp_path}/results",
            "memory": f"memory://{inside}/results",
            "folder": f"dir://results::file://{tmp_path}",
            "arrow": "arrow://anywhere/results",
        }[request.param]
    )
    if request.param == "memory":
        fsspec.filesystem("memory").rm(f"/{inside}", recursive=True)


def test_files_come_back_and_go(place: Place) -> None:
    assert place.names("parts") == []
    place.put("parts/b.bin", b"first")
    place.put("parts/b.bin", b"second")
    place.put("parts/a.bin", b"")
    # No temporary file is left.
    assert place.names("parts") == ["a.bin", "b.bin"]
    with place.open("parts/b.bin") as file:
        assert file.read() == b"second"
    place.remove("parts/b.bin")
    place.remove("parts/b.bin")
    assert place.names("parts") == ["a.bin"]
    place.remove("parts")
    assert place.names("parts") == []


def test_what_is_staged_is_there_when_all_is_well(place: Place) -> None:
    with place.staged() as folder:
        (folder / "masks").mkdir(parents=True)
        (folder / "masks" / "coco.json").write_bytes(b"{}")
    with place.open("masks/coco.json") as file:
        assert file.read() == b"{}"


def test_a_place_can_be_sent_to_another_process(place: Place) -> None:
    place.put("a.bin", b"here")
    with pickle.loads(pickle.dumps(place)).open("a.bin") as file:  # noqa: S301
        assert file.read() == b"here"


def test_what_is_staged_is_not_sent_after_an_error() -> None:
    place = Place(f"memory://{uuid4().hex}/results")
    with pytest.raises(ZeroDivisionError), place.staged() as folder:
        (folder / "coco.json").write_bytes(b"{}")
        raise ZeroDivisionError
    assert place.names("") == []


def test_a_file_that_is_not_there_is_told_with_its_address() -> None:
    with pytest.raises(HandsegInputError, match=r"memory://nowhere/a\.bin: cannot be read \(FileNotFoundError"):
        Place("memory://nowhere").open("a.bin")


def test_a_place_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    for address in (str(tmp_path / "file"), f"dir://file::file://{tmp_path}"):
        with pytest.raises(HandsegInputError, match="cannot be written"):
            Place(address).put("a.bin", b"")


@pytest.mark.parametrize("address", ["nonsense://bucket/hands", "zip://hands::file:///absent.zip"])
def test_an_address_that_nothing_can_open_is_told(address: str) -> None:
    with pytest.raises(HandsegInputError, match="cannot be opened"):
        file_system(address)


def test_pyarrow_opens_what_fsspec_lacks_a_package_for() -> None:
    files, path = file_system("s3://bucket/hands?region=eu-central-1&endpoint_override=localhost:9")
    assert path == "bucket/hands"
    assert isinstance(getattr(files, "fs", None), S3FileSystem)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("s3://key:secret@bucket/hands?region=x", "s3://bucket/hands"),
        ("zip://a/b::s3://key:secret@bucket/hands.zip", "zip://a/b::s3://bucket/hands.zip"),
        ("/plain/path", "/plain/path"),
    ],
)
def test_secrets_are_not_shown(address: str, shown: str) -> None:
    assert shown_address(address) == shown
    assert str(Place(address)) == shown


@pytest.mark.parametrize(
    ("text", "path"),
    [("a/b", Path("a/b")), ("file:///a%20b", Path("/a b")), ("local:///a", Path("/a")), ("s3://a/b", None)],
)
def test_paths_of_this_machine_are_known(text: str, path: Path | None) -> None:
    assert local_path(text) == path


def test_a_state_changes_with_the_file() -> None:
    first = {"size": 3, "mtime": 1.5}
    assert state_of(first) == state_of(dict(first))
    assert len({state_of(first), state_of({**first, "size": 4}), state_of({**first, "mtime": 2})}) == 3
    assert state_of({**first, "ETag": "x"}) == state_of({"size": 3, "mtime": 9, "ETag": "x"})
