"""Where studies are kept, for how long, and how they go."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from handseg_bundle_common.serve.limits import Limits
from handseg_bundle_common.serve.problems import RefusedError
from handseg_bundle_common.serve.study import Study

_PREFIX, _OWNER = "handseg-serve-", "process"


@dataclass
class _Kept:
    """A study, when it was used last, and who uses it now."""

    study: Study
    used: float
    lock: threading.Lock = field(default_factory=threading.Lock)


class StudyStore:
    """Studies in a private folder, which is deleted with all of them when the block ends.

    Ids are random and cannot be guessed, so that nobody else on this computer finds a study. What a killed process left
    behind is deleted by the next one.

    Args:
        limits: how many studies are kept, and for how long.
        clock: tells the seconds.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()
        self.root = Path()

    def __enter__(self) -> StudyStore:
        _delete_abandoned(Path(tempfile.gettempdir()))
        self.root = Path(tempfile.mkdtemp(prefix=_PREFIX))
        (self.root / _OWNER).write_text(str(os.getpid()))
        return self

    def __exit__(self, *_: object) -> None:
        for identity in list(self._kept):
            self._remove(identity)
        shutil.rmtree(self.root, ignore_errors=True)

    def __len__(self) -> int:
        return len(self._kept)

    @contextmanager
    def new_folder(self) -> Iterator[tuple[str, Path]]:
        """Yield an id and its folder, which is deleted after an exception."""
        identity = secrets.token_hex(16)
        folder = self.root / identity
        folder.mkdir(mode=0o700)
        try:
            yield identity, folder
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def add(self, study: Study) -> None:
        """Keep a study; the least recently used ones make room."""
        with self._lock:
            self._kept[study.answer.id] = _Kept(study, self._clock())
            surplus = list(self._kept)[: -self._limits.studies]
        for identity in surplus:
            self._remove(identity)

    @contextmanager
    def using(self, identity: str) -> Iterator[Study]:
        """Yield a study, which nobody deletes or uses meanwhile.

        Raises:
            RefusedError: it is not there, or not any more.
        """
        self.sweep()
        with self._lock:
            kept = self._kept.get(identity)
            if kept is not None:
                kept.used = self._clock()
                self._kept.move_to_end(identity)
        if kept is None:
            raise _gone(self._limits)
        with kept.lock:
            if not kept.study.folder.exists():
                raise _gone(self._limits)
            yield kept.study

    def delete(self, identity: str) -> None:
        """Delete a study.

        Raises:
            RefusedError: it is not there.
        """
        if not self._remove(identity):
            raise _gone(self._limits)

    def sweep(self) -> None:
        """Delete the studies that were not used for too long."""
        oldest = self._clock() - 60 * self._limits.minutes
        with self._lock:
            expired = [identity for identity, kept in self._kept.items() if kept.used < oldest]
        for identity in expired:
            self._remove(identity)

    def _remove(self, identity: str) -> bool:
        """Delete a study as soon as nobody uses it; tell whether it was there."""
        with self._lock:
            kept = self._kept.pop(identity, None)
        if kept is None:
            return False
        with kept.lock:
            shutil.rmtree(kept.study.folder, ignore_errors=True)
        return True


def _gone(limits: Limits) -> RefusedError:
    why = f"is not there: studies go after {limits.minutes:g} minutes without use, or when {limits.studies} newer came"
    return RefusedError(HTTPStatus.NOT_FOUND, "the study", why, "segment the radiograph again")


def _delete_abandoned(place: Path) -> None:
    """Delete folders of processes of this user that were killed before they could."""
    for folder in place.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError, ValueError):
            if folder.is_symlink() or (hasattr(os, "getuid") and folder.stat().st_uid != os.getuid()):
                continue
            if not _is_running(int((folder / _OWNER).read_text())):
                shutil.rmtree(folder, ignore_errors=True)


def _is_running(process: int) -> bool:
    """Tell whether a process is there; one of another user is."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
