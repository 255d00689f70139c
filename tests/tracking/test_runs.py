"""Runs of MLflow found by name or identifier."""

from __future__ import annotations

import mlflow
import numpy as np
import pytest

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.metrics import ImageScores, write_scores
from handseg_bundle_common.tracking.runs import experiment_runs, find_run, metric_history


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    return mlflow.MlflowClient(f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db")


@pytest.fixture(scope="module")
def runs(client, tmp_path_factory):
    """Identifiers of runs: one with all there is, two of one name, one that runs, one of another experiment."""
    folder = tmp_path_factory.mktemp("artifacts")
    handseg = client.create_experiment("handseg", artifact_location=folder.as_uri())
    other = client.create_experiment("other", artifact_location=folder.as_uri())
    created = {}
    for key, name, experiment in (
        ("full", "effisegnet-1", handseg),
        ("twin", "again", handseg),
        ("other twin", "again", handseg),
        ("open", 'it\'s 100 % "open"', handseg),
        ("foreign", "effisegnet-1", other),
    ):
        created[key] = client.create_run(experiment, run_name=name, tags={"handseg.kind": "training"}).info.run_id
    full = created["full"]
    client.log_param(full, "image_size", 256)
    for step, value in ((1, 0.5), (2, 0.6), (3, 0.4)):
        client.log_metric(full, "val_mean_dice", value, step=step, timestamp=step)
    client.log_metric(full, "val_mean_dice", 0.7, step=2, timestamp=9)
    write_scores(folder / "scores.csv", ImageScores(["a/1", "b/1"], np.full((2, NUM_BONES), 0.5)))
    client.log_artifact(full, str(folder / "scores.csv"))
    client.set_terminated(full)
    return created


@pytest.mark.parametrize("key", ["name", "identifier"])
def test_a_run_is_read_with_all_it_has(client, runs, key) -> None:
    run = find_run(client, "handseg", "effisegnet-1" if key == "name" else runs["full"])
    assert (run.run_id, run.name, run.experiment, run.status) == (runs["full"], "effisegnet-1", "handseg", "FINISHED")
    assert run.parameters == {"image_size": "256"}
    assert run.metrics == {"val_mean_dice": pytest.approx(0.4)}
    assert run.tags["handseg.kind"] == "training"
    assert run.scores.image_names == ["a/1", "b/1"]
    assert run.scores.mean() == 0.5
    assert run.is_over
    assert 0 <= (run.ended - run.started).total_seconds() < 60


def test_a_run_that_goes_on_has_no_end_and_no_scores(client, runs) -> None:
    run = find_run(client, "handseg", 'it\'s 100 % "open"')
    assert not run.is_over
    assert run.ended is None
    assert run.scores is None


def test_an_identifier_finds_runs_of_any_experiment(client, runs) -> None:
    assert find_run(client, "handseg", runs["foreign"]).experiment == "other"


def test_an_epoch_that_was_logged_again_counts_once(client, runs) -> None:
    assert metric_history(client, runs["full"], "val_mean_dice") == [(1, 0.5), (2, 0.7), (3, 0.4)]
    assert metric_history(client, runs["full"], "absent") == []


def test_all_runs_are_found_page_by_page(client, runs, monkeypatch) -> None:
    monkeypatch.setattr("handseg_bundle_common.tracking.runs._PAGE", 2)
    found = [run.info.run_id for run in experiment_runs(client, "handseg")]
    assert sorted(found) == sorted(runs[key] for key in ("full", "twin", "other twin", "open"))


@pytest.mark.parametrize(
    ("experiment", "name", "message"),
    [
        ("handseg", "effisegnet-2", "no run of 'handseg' has this name or identifier; did you mean 'effisegnet-1'"),
        ("handseg", "0" * 32, "no run of 'handseg' has this name or identifier"),
        ("handseg", "again", "2 runs of 'handseg' have this name; choose by [0-9a-f]{32}, [0-9a-f]{32}"),
        ("hands", "effisegnet-1", "no experiment 'hands'; choose one of .*'handseg'"),
    ],
)
def test_what_cannot_be_found_is_named(client, runs, experiment, name, message) -> None:
    with pytest.raises(HandsegInputError, match=message):
        find_run(client, experiment, name)


def test_a_deleted_run_and_damaged_scores_are_refused(client, runs) -> None:
    handseg = client.get_experiment_by_name("handseg").experiment_id
    run_id = client.create_run(handseg, run_name="damaged").info.run_id
    client.log_text(run_id, "not scores", "scores.csv")
    with pytest.raises(HandsegInputError, match=r"scores\.csv of run damaged: has other columns"):
        find_run(client, "handseg", "damaged")
    client.delete_run(run_id)
    with pytest.raises(HandsegInputError, match="this run was deleted"):
        find_run(client, "handseg", run_id)
    with pytest.raises(HandsegInputError, match="no run of 'handseg'"):
        find_run(client, "handseg", "damaged")
