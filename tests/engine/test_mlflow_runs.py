"""Runs that are remembered by a folder: found again, or replaced when MLflow has lost them."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from mlflow import MlflowClient

from handseg_bundle_common.engine.mlflow_runs import (
    RUN_FILE,
    chosen_uri,
    remember_run,
    remembered_run,
    reopened_run,
    wanted_uri,
)
from handseg_bundle_common.errors import HandsegInputError


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    return MlflowClient(chosen_uri(f"sqlite:///{tmp_path_factory.mktemp('store')}/deep/mlflow.db"))


def test_a_finished_run_is_reopened(client, tmp_path):
    run = client.create_run("0")
    client.set_terminated(run.info.run_id)
    remember_run(tmp_path, run.info.run_id)
    assert reopened_run(client, tmp_path).info.run_id == run.info.run_id
    assert client.get_run(run.info.run_id).info.status == "RUNNING"


def test_a_folder_without_a_run_has_none(client, tmp_path):
    assert reopened_run(client, tmp_path) is None


@pytest.mark.parametrize("content", ['{"run_id": "0123"}', "[]", '{"run_id": null}', '{"run_id": "a\'b"}'])
def test_a_run_that_mlflow_does_not_know_is_none(client, tmp_path, caplog, content):
    (tmp_path / RUN_FILE).write_text(content)
    assert reopened_run(client, tmp_path) is None
    assert "logging to a new one" in caplog.text


def test_a_damaged_file_is_named(client, tmp_path):
    (tmp_path / RUN_FILE).write_text("{")
    with pytest.raises(HandsegInputError, match=f"{RUN_FILE}: is not JSON"):
        reopened_run(client, tmp_path)


def test_the_environment_decides_before_the_bundle(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:1")
    assert wanted_uri("sqlite:///mlflow.db") == "http://localhost:1"


def test_a_database_in_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(HandsegInputError, match="choose a folder"):
        chosen_uri(f"sqlite:///{tmp_path}/file/mlflow.db")


def test_a_run_can_be_looked_up_without_reopening_it(client, tmp_path):
    run = client.create_run("0")
    client.set_terminated(run.info.run_id)
    remember_run(tmp_path, run.info.run_id)
    assert remembered_run(client, tmp_path).info.status == "FINISHED"
    assert client.get_run(run.info.run_id).info.status == "FINISHED"


def test_a_server_that_does_not_answer_is_named_without_its_password():
    with pytest.raises(HandsegInputError, match=r"^http://127\.0\.0\.1:9: no MLflow server answers"):
        chosen_uri("http://jane:secret@127.0.0.1:9")


@pytest.fixture
def server():
    """A server that knows no page."""
    httpd = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()


def test_any_answer_is_a_sign_of_life(server):
    assert chosen_uri(server) == server
