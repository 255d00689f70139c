"""Stages that overlap: order, bounds and errors."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from handseg_bundle_common.inference.stages import overlapped


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 30])
def test_results_come_in_order(threads: int, count: int) -> None:
    def slow(item: int) -> int:
        time.sleep(0.002 * (item % 3))
        return item

    assert list(overlapped(range(count), slow, lambda item: item * 10, slow, threads)) == [10 * n for n in range(count)]


def test_the_middle_stage_stays_in_the_callers_thread() -> None:
    def thread(_: object) -> str:
        return threading.current_thread().name

    names = list(overlapped([0], thread, lambda read: (read, thread(read)), lambda made: (*made, thread(made))))
    assert [name.split("_")[0] for name in names[0]] == ["read", threading.current_thread().name, "write"]


def test_the_stages_overlap() -> None:
    """The first stage reads on while the second one works."""
    second_is_read = threading.Event()

    def read(item: int) -> int:
        if item == 1:
            second_is_read.set()
        return item

    def make(item: int) -> bool:
        return second_is_read.wait(10)

    assert all(overlapped(range(2), read, make, lambda made: made))


def test_few_items_are_on_their_way() -> None:
    """However many there are, and however slow the last stage is."""
    begun, ended, most = 0, 0, 0

    def items() -> Iterator[int]:
        nonlocal begun, most
        for item in range(200):
            begun += 1
            most = max(most, begun - ended)
            yield item

    def write(item: int) -> None:
        nonlocal ended
        time.sleep(0.001)
        ended += 1

    assert sum(1 for _ in overlapped(items(), int, int, write)) == 200
    assert most < 12


@pytest.mark.parametrize("stage", [0, 1, 2])
@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_an_exception_ends_the_work(stage: int, kind: type[BaseException]) -> None:
    done: list[int] = []

    def fails(number: int) -> None:
        if number == stage:
            raise kind("bad")

    def at(number: int, item: int) -> int:
        if item == 3:
            fails(number)
        if number == 2:
            done.append(item)
        return item

    stages = (lambda item, number=number: at(number, item) for number in range(3))
    with pytest.raises(kind, match="bad"):
        list(overlapped(range(1000), *stages))
    assert done[:3] == [0, 1, 2]
    assert len(done) < 20
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("read_", "write_"))]
