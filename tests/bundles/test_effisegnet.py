"""The EffiSegNet bundle through MONAI's own commands, at sizes that take seconds."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys

import mlflow
import pytest
import torch
from monai.bundle import ConfigWorkflow, verify_metadata, verify_net_in_out

from handseg_bundle_common.anatomy import BONE_NAMES, NUM_BONES

SMALL = {"image_size": 64, "batch_size": 3, "num_workers": 0, "max_epochs": 1, "device": "cpu"}


@pytest.fixture(scope="module")
def bundle(repository):
    return repository / "bundles" / "effisegnet"


def _run(bundle, files, run_id, **overrides):
    workflow = ConfigWorkflow(
        config_file=[str(bundle / "configs" / name) for name in files],
        logging_file=False,
        run_id=run_id,
        workflow_type="train" if "train.json" in files else "infer",
        **overrides,
    )
    workflow.initialize()
    workflow.run()
    return workflow


def _folders(folder):
    return {
        "ckpt_dir": str(folder / "models"),
        "output_dir": str(folder / "output"),
        "tracking_uri": f"sqlite:///{folder}/mlflow.db",
    }


@pytest.fixture(scope="module")
def trained(bundle, tmp_path_factory):
    """A folder after one epoch of training with everything as in the bundle, but small."""
    folder = tmp_path_factory.mktemp("trained")
    workflow = _run(bundle, ["train.json"], "training", **SMALL, **_folders(folder))
    return folder, workflow


def _metrics(folder):
    with (folder / "output" / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_training_leaves_weights_metrics_and_pictures(trained):
    folder, _ = trained
    weights = torch.load(folder / "models" / "model.pt", weights_only=True)
    assert weights["bones"] == list(BONE_NAMES)
    assert weights["settings"]["image_size"] == 64
    (row,) = _metrics(folder)
    assert 0 <= float(row["mean_dice"]) <= 1
    assert {f"dice/{bone}" for bone in BONE_NAMES} <= set(row)
    assert len(list((folder / "output" / "overlays").rglob("*.png"))) == 2  # both hands of one patient


def test_training_is_one_mlflow_run_with_parameters_and_artifacts(trained):
    folder, _ = trained
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("handseg")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["learning_rate"] == "0.002"
    assert run.data.params["image_size"] == "64"
    assert {f"val_dice/{bone}" for bone in BONE_NAMES} <= set(run.data.metrics)
    artifacts = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"config.json", "metrics.csv", "overlays"} <= artifacts


def test_the_executed_configuration_can_be_read_back(trained):
    folder, _ = trained
    config = json.loads((folder / "output" / "config.json").read_text())
    assert config["image_size"] == 64
    assert config["train"]["trainer"]["max_epochs"] == "@max_epochs"


def test_the_workflow_has_every_property_that_monai_requires(trained):
    _, workflow = trained
    assert not workflow.check_properties()


def test_a_training_resumes_after_its_last_epoch(bundle, trained, tmp_path):
    folder, _ = trained
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "checkpoint.pt").write_bytes((folder / "models" / "checkpoint.pt").read_bytes())
    settings = SMALL | {"max_epochs": 2, "resume": True}
    workflow = _run(bundle, ["train.json", "no_tracking.json"], "run", **_folders(tmp_path), **settings)
    assert workflow.parser.get_parsed_content("train#trainer").state.epoch == 2
    assert [row["epoch"] for row in _metrics(tmp_path)] == ["2"]


def test_evaluation_writes_the_per_bone_table(bundle, trained, tmp_path):
    folder, _ = trained
    overrides = _folders(tmp_path) | {"ckpt_dir": str(folder / "models")}
    _run(bundle, ["train.json", "evaluate.json"], "evaluating", **SMALL, **overrides)
    with (tmp_path / "output" / "per_bone.csv").open(newline="") as file:
        assert set(BONE_NAMES) <= {row["name"] for row in csv.DictReader(file)}
    assert {"mean_dice", "overlap_dice"} <= set(_metrics(tmp_path)[0])


def test_inference_writes_overlays_and_a_submission(bundle, trained, sample_data, tmp_path):
    folder, _ = trained
    settings = {key: value for key, value in SMALL.items() if key != "max_epochs"}
    workflow = _run(
        bundle,
        ["inference.json"],
        "inferring",
        weights=str(folder / "models" / "model.pt"),
        output_dir=str(tmp_path),
        **settings,
    )
    assert not workflow.check_properties()
    images = sorted(path.name for path in (sample_data / "DCM").rglob("*.png"))
    with (tmp_path / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == NUM_BONES * len(images)
    assert sorted({row["image_name"] for row in rows}) == images
    assert sorted(path.name for path in (tmp_path / "overlays").iterdir()) == images


def test_metadata_follows_the_schema(bundle, repository):
    verify_metadata(
        meta_file=str(bundle / "configs" / "metadata.json"),
        filepath=str(repository / "tests" / "schemas" / "meta_schema_20240725.json"),
    )


def test_the_network_takes_and_returns_what_metadata_says(bundle):
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(bundle / "configs" / "metadata.json"),
        config_file=str(bundle / "configs" / "inference.json"),
        device="cpu",
        n=3,
    )


def test_metadata_names_the_bones_and_the_tested_versions(bundle, repository):
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    channels = metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
    assert list(channels.values()) == list(BONE_NAMES)
    assert list(channels) == [str(channel) for channel in range(NUM_BONES)]
    lines = (repository / "constraints.txt").read_text().splitlines()
    tested = dict(line.split("==") for line in lines if "==" in line)
    claimed = {
        "torch": metadata["pytorch_version"],
        "monai": metadata["monai_version"],
        "numpy": metadata["numpy_version"],
        **metadata["required_packages_version"],
    }
    assert claimed == {name: tested[name] for name in claimed}
    assert metadata["version"] in metadata["changelog"]


def test_the_command_line_works_from_another_folder_without_mlflow(bundle, tmp_path):
    """One epoch through `python -m monai.bundle`, with mlflow not importable and tracking switched off."""
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "__init__.py").write_text("raise ImportError('mlflow is not installed')")
    files = f"['{bundle}/configs/train.json','{bundle}/configs/no_tracking.json']"
    command = [sys.executable, "-m", "monai.bundle", "run", "training", "--config_file", files]
    overrides = {**SMALL, "bundle_root": bundle, "ckpt_dir": tmp_path / "models", "output_dir": tmp_path / "output"}
    for key, value in overrides.items():
        command += [f"--{key}", str(value)]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    assert result.returncode == 0, result.stderr
    assert len(_metrics(tmp_path)) == 1
    assert not (tmp_path / "mlflow.db").exists()


def test_bad_data_ends_a_run_with_one_sentence_and_exit_code_2(bundle, tmp_path):
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(bundle / "configs" / "train.json")]
    command += ["--data_dir", str(tmp_path / "nowhere")]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603
    assert result.returncode == 2
    assert "nowhere" in result.stderr
    assert "Traceback" not in result.stderr
