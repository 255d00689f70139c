"""Work in three stages that overlap: one image is read while another is in the network and a third is written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Read = TypeVar("Read")
Made = TypeVar("Made")
Written = TypeVar("Written")

# So many items wait between two stages for each thread of a stage.
_WAITING = 2


def overlapped(
    items: Iterable[Item],
    read: Callable[[Item], Read],
    make: Callable[[Read], Made],
    write: Callable[[Made], Written],
    threads: int = 1,
) -> Iterator[Written]:
    """Yield `write(make(read(item)))` of every item, in order, while later items are already being read and made.

    `make` runs in the caller's thread, for one item at a time. At most a few items are on their way, however many there
    are. An exception of any stage, and one that the caller's thread gets while it waits, ends the work: what has been
    made is written, what has not is left.

    Args:
        items: what there is to do; it is asked for one after the other.
        read: first stage.
        make: second stage.
        write: third stage.
        threads: threads of the first and of the third stage; with one each, items are written in order.
    """
    rest = iter(items)
    waiting = _WAITING * threads
    with ThreadPoolExecutor(threads, "read") as readers, ThreadPoolExecutor(threads, "write") as writers:
        try:
            reading: deque[Future[Read]] = deque()
            writing: deque[Future[Written]] = deque()
            reading.extend(readers.submit(read, item) for item in islice(rest, waiting))
            while reading:
                first = reading.popleft().result()
                reading.extend(readers.submit(read, item) for item in islice(rest, 1))
                writing.append(writers.submit(write, make(first)))
                del first  # whose memory the next item needs
                while writing and (len(writing) > waiting or writing[0].done()):
                    yield writing.popleft().result()
            while writing:
                yield writing.popleft().result()
        finally:
            readers.shutdown(wait=False, cancel_futures=True)
