"""A real MLflow server: a training and a run logged afterwards, found through its REST interface."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.error import URLError

import mlflow
import numpy as np
import pytest
from ignite.engine import Engine

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.engine import MLflowTracker
from handseg_bundle_common.metrics import ImageScores, write_scores
from handseg_bundle_common.tracking import log_run

_PATIENCE_S = 90


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Address of a server with a SQLite database, which keeps the artifacts itself."""
    place = tmp_path_factory.mktemp("server")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", f"sqlite:///{place}/mlflow.db", "--artifacts-destination", str(place / "kept")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    # Processes for evaluations of language models take seconds to start.
    environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    with (place / "log.txt").open("w") as log:
        process = subprocess.Popen(  # noqa: S603
            [*command, *stores], cwd=place, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait_for(address, process, place / "log.txt")
        yield address
    finally:
        # Its worker is a process of its own.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for(address, process, log):
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2) as answer:  # noqa: S310
                if answer.status == 200:
                    return
        except (URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"the server did not start:\n{log.read_text()}")


@pytest.fixture(scope="module")
def client(server):
    return mlflow.MlflowClient(server)


def _write_run(folder, name):
    folder.mkdir(parents=True)
    scores = ImageScores(["p1/a.png", "p2/b.png"], np.full((2, NUM_BONES), 0.5))
    write_scores(folder / "scores.csv", scores)
    (folder / "config.json").write_text(json.dumps({"recipe": [name], "max_epochs": 2, "data_dir": "/home/jane"}))


def test_a_training_is_logged_as_it_goes(server, client, tmp_path):
    _write_run(tmp_path / "training", "live")
    tracker = MLflowTracker(server, "live", str(tmp_path / "training"))
    trainer = Engine(lambda engine, _: engine.state.metrics.update(train_loss=1 / engine.state.epoch))
    tracker.attach(trainer)
    trainer.run([0], max_epochs=2)
    run = client.get_run(json.loads((tmp_path / "training" / "mlflow_run.json").read_text())["run_id"])
    assert (run.info.run_name, run.info.status) == ("live", "FINISHED")
    assert [point.value for point in client.get_metric_history(run.info.run_id, "train_loss")] == [1, 0.5]
    assert run.data.metrics["mean_dice"] == 0.5
    assert {"config.json", "scores.csv"} <= {file.path for file in client.list_artifacts(run.info.run_id)}


def test_a_run_is_logged_afterwards(server, client, tmp_path):
    _write_run(tmp_path / "training", "later")
    (tmp_path / "training" / "metrics.csv").write_text("epoch,train_loss,mean_dice\n1,0.5,\n2,0.25,0.5\n")
    done = log_run(tmp_path / "training", tracking_uri=server)
    run = client.get_run(done.run_id)
    assert run.data.params["recipe"] == "later"
    assert [point.step for point in client.get_metric_history(done.run_id, "train_loss")] == [1, 2]
    kept = client.download_artifacts(done.run_id, "config.json", str(tmp_path))
    assert json.loads(Path(kept).read_text())["data_dir"] == "jane"
    assert not log_run(tmp_path / "training", tracking_uri=server).is_new
