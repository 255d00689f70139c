"""How long studies are kept, and that nothing is left of them."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import threading
from types import SimpleNamespace

import pytest

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.serve.limits import Limits
from handseg_bundle_common.serve.problems import RefusedError
from handseg_bundle_common.serve.store import StudyStore

from .conftest import Clock


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(clock):
    with StudyStore(Limits(studies=3, minutes=10), clock) as store:
        yield store


def add(store):
    with store.new_folder() as (identity, folder):
        (folder / "radiograph.png").write_bytes(b"pixels")
        store.add(SimpleNamespace(folder=folder, answer=SimpleNamespace(id=identity)))
    return identity, folder


def is_there(store, identity):
    try:
        with store.using(identity):
            return True
    except RefusedError as error:
        assert error.status_code == 404
        return False


def test_a_study_goes_when_it_was_not_used_for_the_time_told(store, clock):
    (first, folder), (second, other) = add(store), add(store)
    clock.now = 599
    assert is_there(store, first)
    clock.now = 601
    assert not is_there(store, second)
    assert not other.exists()
    clock.now = 599 + 600
    assert is_there(store, first)
    clock.now += 601
    store.sweep()
    assert len(store) == 0
    assert not folder.exists()


def test_the_least_recently_used_study_makes_room(store, clock):
    names = [add(store)[0] for _ in range(3)]
    assert is_there(store, names[0])
    names.append(add(store)[0])
    assert [is_there(store, name) for name in names] == [True, False, True, True]


def test_a_study_is_deleted_at_once_on_request(store):
    identity, folder = add(store)
    store.delete(identity)
    assert not folder.exists()
    with pytest.raises(RefusedError, match="is not there"):
        store.delete(identity)


def test_a_study_in_use_is_deleted_afterwards(store, clock):
    identity, folder = add(store)
    with store.using(identity):
        deleting = threading.Thread(target=store.delete, args=(identity,))
        deleting.start()
        assert (folder / "radiograph.png").exists()
    deleting.join()
    assert not folder.exists()


def test_what_fails_leaves_no_folder(store):
    with pytest.raises(ZeroDivisionError), store.new_folder() as (_, folder):
        raise ZeroDivisionError
    assert not folder.exists()


def test_nobody_else_reads_the_folder_and_ids_cannot_be_guessed(store):
    (first, _), (second, _) = add(store), add(store)
    assert stat.S_IMODE(store.root.stat().st_mode) == 0o700
    assert len(first) == len(second) == 32
    assert sum(a != b for a, b in zip(first, second, strict=True)) > 10


def test_the_end_deletes_everything(temporary):
    with StudyStore(Limits()) as store:
        add(store)
        with store.new_folder():
            pass
    assert list(temporary.iterdir()) == []


def test_a_killed_process_is_cleaned_up_after_and_a_running_one_left_alone(temporary):
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    for name, process in (("dead", ended.stdout.decode()), ("alive", str(os.getpid())), ("odd", "no number")):
        folder = temporary / f"handseg-serve-{name}"
        folder.mkdir()
        (folder / "process").write_text(process)
    with StudyStore(Limits()) as store:
        left = {path.name for path in temporary.iterdir()} - {store.root.name}
    assert left == {"handseg-serve-alive", "handseg-serve-odd"}


@pytest.mark.parametrize("minutes", [0, 0.5, 1441, float("nan")])
def test_a_time_that_makes_no_sense_is_refused(minutes):
    with pytest.raises(HandsegInputError, match="1 to 1440 minutes"):
        Limits(minutes=minutes)


def test_expired_studies_are_deleted_by_the_running_application(served, study):
    assert study["id"] in served.folders()
    served.clock.now += 31 * 60
    assert served.client.get(f"/api/studies/{study['id']}").status_code == 404
    assert served.folders() == set()
