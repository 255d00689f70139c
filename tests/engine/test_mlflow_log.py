"""What MLflow gets: experiments whose artifacts lie beside the database, and as many values as there are."""

from __future__ import annotations

import mlflow
import pytest

from handseg_bundle_common.engine.mlflow_log import experiment_id, log_metrics, log_parameters, new_run
from handseg_bundle_common.errors import HandsegInputError


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    return mlflow.MlflowClient(f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db")


@pytest.fixture(scope="module")
def run_id(client):
    run = new_run(client, experiment_id(client, "handseg"), "trial", "training", parent="0123", start_ms=1000)
    return run.info.run_id


def test_artifacts_lie_beside_the_database(client, run_id, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    experiment = client.get_experiment(experiment_id(client, "other"))
    assert experiment.artifact_location == "file://" + client.tracking_uri.removeprefix("sqlite:///").replace(
        "mlflow.db", "mlruns"
    )
    assert experiment_id(client, "other") == experiment.experiment_id


def test_a_deleted_experiment_is_named(client):
    client.delete_experiment(experiment_id(client, "lost"))
    with pytest.raises(HandsegInputError, match="'lost' was deleted in MLflow"):
        experiment_id(client, "lost")


def test_a_run_has_its_kind_parent_and_start(client, run_id):
    run = client.get_run(run_id)
    assert run.data.tags == {
        "handseg.kind": "training",
        "mlflow.parentRunId": "0123",
        "mlflow.runName": "trial",
    }
    assert run.info.start_time == 1000


def test_more_values_than_one_request_takes(client, run_id):
    log_parameters(client, run_id, {f"p{number}": number for number in range(150)} | {"long": "x" * 7000})
    log_metrics(client, run_id, [(when, when, {f"m{number}": when for number in range(600)}) for when in (1, 2)])
    run = client.get_run(run_id)
    assert len(run.data.params) == 151
    assert len(run.data.params["long"]) == 6000
    history = client.get_metric_history(run_id, "m599")
    assert [(point.step, point.timestamp, point.value) for point in history] == [(1, 1, 1.0), (2, 2, 2.0)]
