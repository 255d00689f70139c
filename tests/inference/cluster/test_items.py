"""Which radiographs a cluster gets, and under which names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.inference.cluster.items import find_items, without_bad_names


@pytest.fixture
def hands() -> Iterator[str]:
    memory = fsspec.filesystem("memory")
    for name in ("one/a.png", "one/.hidden.png", "one/notes.txt", "two/b.DCM", "two/.git/c.png"):
        memory.makedirs("/hands/" + name.rpartition("/")[0], exist_ok=True)
        memory.pipe_file(f"/hands/{name}", b"x")
    yield "memory://hands"
    memory.rm("/hands", recursive=True)


def test_an_address_is_searched_with_all_below_it(hands: str) -> None:
    items = find_items([hands])
    assert [(item.name, item.file) for item in items] == [
        ("a.png", "memory://hands/one/a.png"),
        ("b.DCM", "memory://hands/two/b.DCM"),
    ]
    assert {item.base for item in items} == {hands}
    assert [item.name for item in find_items([hands], keep_folders=True)] == ["one/a.png", "two/b.DCM"]


def test_a_file_may_be_named_and_counts_once(hands: str) -> None:
    assert [item.name for item in find_items([f"{hands}/one/a.png", hands])] == ["a.png", "b.DCM"]


def test_files_of_this_machine_and_addresses_come_together(hands: str, images: Path) -> None:
    items = find_items([str(images), f"file://{images}/0.png", f"{hands}/one"])
    assert [item.name for item in items] == [*(f"{number}.png" for number in range(5)), "a.png"]
    assert items[0].file == items[0].path == str(images / "0.png")
    assert not items[0].base


def test_a_state_changes_with_the_file(images: Path) -> None:
    before = find_items([str(images)])
    os.utime(images / "0.png", (1, 1))
    after = find_items([str(images)])
    assert [one.state == other.state for one, other in zip(before, after, strict=True)] == [False] + [True] * 4


@pytest.mark.parametrize(
    ("images", "problem"),
    [
        (["memory://nowhere"], "holds no image"),
        (["memory://hands/one/notes.txt"], "holds no image"),
        ([], "no radiograph is named"),
    ],
)
def test_what_holds_no_radiograph_is_told(hands: str, images: list[str], problem: str) -> None:
    with pytest.raises(HandsegInputError, match=problem):
        find_items(images)


def test_two_radiographs_of_one_name_are_refused(hands: str) -> None:
    fsspec.filesystem("memory").pipe_file("/hands/two/a.png", b"x")
    with pytest.raises(HandsegInputError, match=r"has the same name as memory://hands/one/a\.png"):
        find_items([hands])
    assert len(find_items([hands], keep_folders=True)) == 3


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_names_that_are_no_text_are_failures(images: Path) -> None:
    (images / "0.png").rename(os.fsdecode(os.fsencode(images) + b"/\xff.png"))
    good, failures = without_bad_names(find_items([str(images)]))
    assert [item.name for item in good] == [f"{number}.png" for number in range(1, 5)]
    assert [failure.name for failure in failures] == [r"\udcff.png"]
