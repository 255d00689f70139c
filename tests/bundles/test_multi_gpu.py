"""Two processes train the bundle as one process does with batches twice the size."""

from __future__ import annotations

import csv
import os
import subprocess
import sys

import mlflow
import pytest
import torch
from monai.bundle import ConfigWorkflow

from handseg_bundle_common.metrics import read_scores

# Six windows an epoch: one step of two processes with three windows each, or of two accumulated batches of three.
SETTINGS = {"image_size": 64, "batch_size": 3, "num_workers": 0, "max_epochs": 1}


def _folders(folder):
    return {
        "ckpt_dir": str(folder / "models"),
        "output_dir": str(folder / "output"),
        "tracking_uri": f"sqlite:///{folder}/mlflow.db",
    }


def _metrics(folder):
    with (folder / "output" / "metrics.csv").open(newline="") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


def _torchrun(repository, folder, bundle="effisegnet", overlays=(), **overrides):
    configs = repository / "bundles" / bundle / "configs"
    files = [f"{configs}/{name}.json" for name in ("train", *overlays, "multi_gpu_train")]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command += ["-m", "monai.bundle", "run", "training"]
    command += ["--config_file", str(files)]
    for key, value in (SETTINGS | {"backend": "gloo", "device": "cpu"} | _folders(folder) | overrides).items():
        command += [f"--{key}", str(value)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    assert result.returncode == 0, result.stderr


def _in_this_process(repository, files, folder, run_id, **overrides):
    configs = repository / "bundles" / "effisegnet" / "configs"
    workflow = ConfigWorkflow(
        config_file=[str(configs / name) for name in (*files, "no_tracking.json")],
        logging_file=False,
        run_id=run_id,
        workflow_type="train",
        device="cpu",
        **(SETTINGS | _folders(folder) | overrides),
    )
    workflow.initialize()
    workflow.run()


@pytest.fixture(scope="module")
def together(repository, tmp_path_factory):
    """A folder after one epoch on two processes."""
    folder = tmp_path_factory.mktemp("together")
    _torchrun(repository, folder)
    return folder


@pytest.fixture(scope="module")
def alone(repository, tmp_path_factory):
    """A folder after one epoch on one process that accumulates two batches a step."""
    folder = tmp_path_factory.mktemp("alone")
    _in_this_process(repository, ["train.json"], folder, "training", accumulation_steps=2)
    return folder


def test_the_first_step_is_that_of_one_process_with_the_same_batches(together, alone):
    """The loss is the mean over processes or batches, and AdamW's first moment a tenth of the clipped gradient.

    The weights themselves are no measure: AdamW's first step is the learning rate times the gradient's sign, rounding
    of a zero gradient included.
    """
    (found,), (expected,) = _metrics(together), _metrics(alone)
    assert found["train_loss"] == pytest.approx(expected["train_loss"], abs=1e-4)
    states = [
        torch.load(folder / "models" / "checkpoint.pt", weights_only=True)["optimizer"]["state"]
        for folder in (together, alone)
    ]
    gradients = [torch.cat([state[n]["exp_avg"].flatten() for n in sorted(state)]) / 0.1 for state in states]
    assert [state[0]["step"].item() for state in states] == [1, 1]
    difference = (gradients[0] - gradients[1]).norm() / gradients[1].norm()
    assert difference < 1e-4


def test_metrics_equal_those_of_one_process_with_the_same_weights(repository, together, tmp_path):
    weights = str(together / "models" / "model.pt")
    _in_this_process(repository, ["train.json", "evaluate.json"], tmp_path, "evaluating", weights=weights)
    (found,), (expected,) = _metrics(together), _metrics(tmp_path)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-9)


def test_one_process_writes_everything_once(together):
    client = mlflow.MlflowClient(f"sqlite:///{together}/mlflow.db")
    experiment = client.get_experiment_by_name("handseg")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert {"config.json", "metrics.csv", "overlays"} <= {file.path for file in client.list_artifacts(run.info.run_id)}
    assert sorted(path.name for path in (together / "models").iterdir()) == ["checkpoint.pt", "model.pt"]
    written = sorted(path.name for path in (together / "output").iterdir())
    assert written == [
        *("config.json", "environment.json", "figures", "metrics.csv", "mlflow_run.json", "overlays", "scores.csv")
    ]
    assert len(read_scores(together / "output" / "scores.csv").image_names) == 2
    assert len(list((together / "output" / "overlays").rglob("*.png"))) == 2


@pytest.mark.parametrize(
    ("bundle", "overlays"),
    [("swin_unetr", ["swa", "ema"]), ("segformer", ["tversky"]), ("unetplusplus", ["swa", "ema"])],
)
def test_the_other_bundles_train_on_two_processes_too(repository, tmp_path, small_networks, bundle, overlays):
    """No parameter is left without a gradient, averages are validated together, and one process writes."""
    averages = {"swa_start": 0} if "swa" in overlays else {}
    _torchrun(repository, tmp_path, bundle, overlays, **small_networks[bundle], **averages)
    (row,) = _metrics(tmp_path)
    assert ("swa_mean_dice" in row) == ("swa" in overlays)
    written = {"checkpoint.pt", "model.pt"} | ({"swa.pt"} if "swa" in overlays else set())
    assert {path.name for path in (tmp_path / "models").iterdir()} == written
