"""Stores of MLflow that cannot be used: one sentence, within seconds, and nothing created."""

from __future__ import annotations

import socket
import sqlite3
import time
from contextlib import closing

import pytest
from mlflow import MlflowClient

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.tracking.store import find_experiment, open_store, store_errors


@pytest.fixture(autouse=True)
def default_store(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def test_a_missing_database_is_not_created(tmp_path):
    with pytest.raises(HandsegInputError, match=r"there is no MLflow database .*mlflow\.db; train with tracking first"):
        open_store(f"sqlite:///{tmp_path}/deep/mlflow.db")
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "mlflow.db").write_text("no database at all, but long enough to look like one" * 100)
    with pytest.raises(HandsegInputError, match=r"mlflow\.db: MLflow cannot use it \(.*not a database"):
        open_store(f"sqlite:///{tmp_path}/mlflow.db")


def test_a_database_of_something_else_is_left_as_it_is(tmp_path):
    with closing(sqlite3.connect(tmp_path / "addresses.db")) as connection:
        connection.execute("CREATE TABLE people (name TEXT)")
    before = (tmp_path / "addresses.db").read_bytes()
    with pytest.raises(HandsegInputError, match=r"addresses\.db: is no database of MLflow"):
        open_store(f"sqlite:///{tmp_path}/addresses.db")
    assert (tmp_path / "addresses.db").read_bytes() == before


def test_a_server_that_does_not_run_is_told_within_seconds():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = time.monotonic()
    with pytest.raises(HandsegInputError, match=rf"http://127\.0\.0\.1:{port}: MLflow cannot use it") as caught:
        open_store(f"http://user:secret@127.0.0.1:{port}")
    assert time.monotonic() - start < 20
    assert "secret" not in str(caught.value)


def test_the_environment_decides_before_the_option(monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
    with pytest.raises(HandsegInputError, match=r"other\.db"):
        open_store("sqlite:///mlflow.db")


def test_a_deleted_experiment_is_told_from_an_unknown_one(tmp_path):
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    client.delete_experiment(client.create_experiment("gone"))
    store = open_store(f"sqlite:///{tmp_path}/mlflow.db")
    with pytest.raises(HandsegInputError, match="'gone' was deleted in MLflow"):
        find_experiment(store, "gone")


def test_errors_of_the_user_pass_unchanged():
    with pytest.raises(HandsegInputError, match="file: is empty"), store_errors("sqlite:///mlflow.db"):
        raise HandsegInputError("file", "is empty", "fill it")
