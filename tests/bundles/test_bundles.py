"""What every bundle does alike: train, resume, evaluate and predict, from any folder, as its metadata says."""

from __future__ import annotations

import csv
import json
import shutil

import mlflow
import pytest
import torch
from monai.bundle import verify_metadata, verify_net_in_out

from handseg_bundle_common.anatomy import BONE_NAMES, NUM_BONES
from handseg_bundle_common.inference import load_predictor
from handseg_bundle_common.packaging.verify.declared import SCHEMA
from handseg_bundle_common.weights import find_bundle

ONE_EPOCH = {"batch_size": 3, "max_epochs": 1}


@pytest.fixture(scope="module")
def trained(bundle, run_bundle, folders, tmp_path_factory):
    """A folder after one epoch of training with everything as in the bundle, but small."""
    folder = tmp_path_factory.mktemp(f"{bundle.name}-trained")
    workflow = run_bundle(bundle, ["train.json"], "training", **ONE_EPOCH, **folders(folder))
    return folder, workflow


def read_json(path):
    return json.loads(path.read_text())


class TestTraining:
    """One epoch of two steps on the sample hands."""

    def test_it_leaves_weights_metrics_and_pictures(self, trained, metrics_of):
        folder, _ = trained
        weights = torch.load(folder / "models" / "model.pt", weights_only=True)
        assert weights["bones"] == list(BONE_NAMES)
        assert weights["settings"]["image_size"] == 64
        (row,) = metrics_of(folder)
        assert 0 <= float(row["mean_dice"]) <= 1
        assert {f"dice/{bone}" for bone in BONE_NAMES} <= set(row)
        assert len(list((folder / "output" / "overlays").rglob("*.png"))) == 2  # both hands of one patient

    def test_it_is_one_mlflow_run_with_parameters_and_artifacts(self, bundle, trained):
        folder, _ = trained
        client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
        experiment = client.get_experiment_by_name("handseg")
        (run,) = client.search_runs([experiment.experiment_id])
        assert run.info.status == "FINISHED"
        assert run.info.run_name.startswith(f"{bundle.name}-")
        assert run.data.params["recipe"] == bundle.name
        assert float(run.data.params["learning_rate"]) == read_json(bundle / "configs" / "train.json")["learning_rate"]
        assert {f"val_dice/{bone}" for bone in BONE_NAMES} <= set(run.data.metrics)
        artifacts = {file.path for file in client.list_artifacts(run.info.run_id)}
        assert {"config.json", "metrics.csv", "overlays"} <= artifacts

    def test_the_executed_configuration_can_be_read_back(self, trained):
        folder, _ = trained
        config = read_json(folder / "output" / "config.json")
        assert config["image_size"] == 64
        assert config["train"]["trainer"]["max_epochs"] == "@max_epochs"

    def test_the_workflow_has_every_property_that_monai_requires(self, trained):
        _, workflow = trained
        assert not workflow.check_properties()

    def test_it_resumes_after_its_last_epoch(self, bundle, run_bundle, folders, trained, metrics_of, tmp_path):
        folder, _ = trained
        shutil.copytree(folder / "models", tmp_path / "models")
        settings = ONE_EPOCH | {"max_epochs": 2, "resume": True}
        files = ["train.json", "no_tracking.json"]
        workflow = run_bundle(bundle, files, "run", **folders(tmp_path), **settings)
        assert workflow.parser.get_parsed_content("train#trainer").state.epoch == 2
        assert [row["epoch"] for row in metrics_of(tmp_path)] == ["2"]


def test_evaluation_writes_the_per_bone_table(bundle, run_bundle, folders, trained, metrics_of, tmp_path):
    folder, _ = trained
    overrides = folders(tmp_path) | {"ckpt_dir": str(folder / "models")}
    run_bundle(bundle, ["train.json", "evaluate.json"], "evaluating", **overrides)
    with (tmp_path / "output" / "per_bone.csv").open(newline="") as file:
        assert set(BONE_NAMES) <= {row["name"] for row in csv.DictReader(file)}
    (row,) = metrics_of(tmp_path)
    assert {"mean_dice", "overlap_dice"} <= set(row)
    (during_training,) = metrics_of(folder)
    assert float(row["mean_dice"]) == pytest.approx(float(during_training["mean_dice"]), abs=1e-6)


def test_inference_from_another_folder_writes_overlays_and_a_submission(
    bundle, run_bundle, trained, sample_data, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    folder, _ = trained
    weights = str(folder / "models" / "model.pt")
    workflow = run_bundle(bundle, ["inference.json"], "inferring", weights=weights, output_dir="predictions")
    assert not workflow.check_properties()
    images = sorted(path.name for path in (sample_data / "DCM").rglob("*.png"))
    with (tmp_path / "predictions" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == NUM_BONES * len(images)
    assert sorted({row["image_name"] for row in rows}) == images
    assert sorted(path.name for path in (tmp_path / "predictions" / "overlays").iterdir()) == images


def test_prediction_takes_size_and_network_over_from_the_weights(bundle, trained):
    """`handseg predict` needs no settings: those of the small network stand beside its weights."""
    folder, _ = trained
    predictor = load_predictor(bundle.name, weights=folder / "models" / "model.pt", device="cpu")
    assert tuple(predictor.inferer.roi_size) == (64, 64)
    logits = predictor.network(torch.rand(1, 1, 64, 64))
    assert logits.shape == (1, NUM_BONES, 64, 64)


class TestMetadata:
    """`metadata.json` against MONAI's schema, the network and the versions that are tested."""

    def test_it_follows_the_schema(self, bundle):
        verify_metadata(
            meta_file=str(bundle / "configs" / "metadata.json"),
            filepath=str(SCHEMA),
        )

    @pytest.mark.parametrize("n", [1, 3])
    def test_the_network_takes_and_returns_what_it_says(self, bundle, small_networks, n):
        verify_net_in_out(
            net_id="network_def",
            meta_file=str(bundle / "configs" / "metadata.json"),
            config_file=str(bundle / "configs" / "inference.json"),
            device="cpu",
            n=n,
            **small_networks[bundle.name],
        )

    def test_it_names_the_bundle_the_bones_and_the_tested_versions(self, bundle, repository):
        metadata = read_json(bundle / "configs" / "metadata.json")
        assert metadata["name"] == bundle.name
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


def test_names_of_bundles_are_their_folders(bundle):
    assert find_bundle(bundle.name) == str(bundle)
    for name in ("train.json", "inference.json"):
        assert read_json(bundle / "configs" / name)["bundle_root"]["name"] == bundle.name


def test_training_and_inference_build_the_same_network(bundle):
    """Every setting that a file of weights needs stands in both, with the same value."""
    train, inference = (read_json(bundle / "configs" / name) for name in ("train.json", "inference.json"))
    assert train["network_def"]["_target_"] == inference["network_def"]["_target_"]
    settings = train["best_weights"]["settings"]
    assert set(inference["network_def"]) - {"_target_"} <= set(settings)
    assert inference["network"]["settings"] == settings
    assert {name: train[name] for name in settings} == {name: inference[name] for name in settings}
