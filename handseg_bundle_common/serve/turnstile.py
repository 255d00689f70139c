"""One segmentation at a time, and a queue that does not grow without end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from handseg_bundle_common.serve.problems import RefusedError

_RETRY_SECONDS = 5


class Turnstile:
    """Lets one thread through at a time.

    Args:
        waiting: threads that may wait; a further one is refused.
    """

    def __init__(self, waiting: int) -> None:
        self._inside = threading.Lock()
        self._places = threading.BoundedSemaphore(1 + waiting)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for one's turn, which lasts as long as the block.

        Raises:
            RefusedError: too many wait already.
        """
        if not self._places.acquire(blocking=False):
            raise RefusedError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "the server",
                "is segmenting, and enough radiographs wait already",
                "try again in a few seconds",
                {"Retry-After": str(_RETRY_SECONDS)},
            )
        try:
            with self._inside:
                yield
        finally:
            self._places.release()
