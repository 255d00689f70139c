"""Parameters of a run: settings, worked-out arithmetic, classes, versions; never a path, a person or an expression."""

from __future__ import annotations

import pytest

from handseg_bundle_common.engine.run_parameters import (
    bundle_of,
    environment_parameters,
    run_parameters,
    top_level_parameters,
)


def test_parameters_are_the_plain_values_at_the_top_of_a_configuration():
    config = {
        "learning_rate": 0.1,
        "model_name": "efficientnet-b0",
        "flip": False,
        "recipe": ["effisegnet", "swa"],
        "members": [{"name": "one", "bundle": "effisegnet"}, {"name": "two", "bundle": "segformer"}],
        "bone_weights": {"Pisiform": 2.0},
        "bce_weight": [[1, 5.0], [9, 1.0]],
        "dice_weight": [[1, 1.0], ["@max_epochs", 5.0]],
        "training": ["$@train#trainer.run()"],
        "resume": False,
        "device": "$torch.device('cpu')",
        "dataset_dir": "@data_dir",
        "network": {"_target_": "torch.nn.Identity"},
        "_meta_": {"name": "effisegnet", "version": "1.2.3"},
    }
    assert top_level_parameters(config) == {
        "learning_rate": 0.1,
        "model_name": "efficientnet-b0",
        "flip": False,
        "recipe": "effisegnet+swa",
        "members": "one+two",
        "bone_weights": '{"Pisiform": 2.0}',
        "bce_weight": "[[1, 5.0], [9, 1.0]]",
        "bundle": "effisegnet",
        "bundle_version": "1.2.3",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("data_dir", "hands"),
        ("cache_dir", "cache"),
        ("folds", "folds.json"),
        ("weights", "model.pt"),
        ("initial_weights", "best.pt"),
        ("pretrained_path", "encoder.pt"),
        ("bundle_root", "bundles"),
        ("tracking_uri", "sqlite:///mlflow.db"),
        ("anything", "/home/jane/hands"),
        ("anything", "~/hands"),
        ("anything", r"C:\Users\jane"),
        ("model_name", "/home/jane/encoder"),
        ("extra_data", [{"data": "hands", "weight": 2}]),
        ("list", ["/home/jane/a"]),
        ("run_name", "trial"),
        ("experiment_name", "handseg"),
        ("parent_run", "0123"),
        ("log_model", True),
        ("tracking", True),
    ],
)
def test_places_and_settings_of_the_recording_are_no_parameters(name, value):
    assert top_level_parameters({name: value}) == {}


def test_a_model_of_a_hub_is_no_path():
    assert top_level_parameters({"model_name": "nvidia/mit-b0"}) == {"model_name": "nvidia/mit-b0"}


def test_arithmetic_of_other_settings_is_worked_out():
    config = {
        "max_epochs": 16,
        "learning_rate": 0.002,
        "swa_start": "$@max_epochs * 2 // 3",
        "swa_anneal_epochs": "$@max_epochs - @swa_start",
        "swa_learning_rate": "$@learning_rate / 10",
        "negative": "$-@max_epochs % 5 + 1",
    }
    found = top_level_parameters(config)
    assert found["swa_start"] == 10
    assert found["swa_anneal_epochs"] == 6
    assert found["swa_learning_rate"] == pytest.approx(0.0002)
    assert found["negative"] == -16 % 5 + 1


@pytest.mark.parametrize(
    "expression",
    [
        "$__import__('os').getcwd()",
        "$@max_epochs * len(@train#dataloader)",
        "$@train#sampler",
        "$@itself + 1",
        "$1 / 0",
        "$2 ** 9999",
        "$True",
        "$'text'",
        "$",
    ],
)
def test_other_expressions_are_not_run(expression):
    assert top_level_parameters({"itself": expression}) == {}


def test_the_parts_are_told_by_their_classes_and_a_loss_by_its_own_settings():
    config = {
        "bce_weight": 5.0,
        "network_def": {"_target_": "handseg_bundle_common.networks.EffiSegNet", "in_channels": 1},
        "loss": {"_target_": "handseg_bundle_common.losses.DiceFocalLoss", "gamma": 2.0, "bce_weight": "@bce_weight"},
        "optimizer": {"_target_": "torch.optim.AdamW", "lr": 0.1},
    }
    assert run_parameters(config) == {
        "bce_weight": 5.0,
        "network": "EffiSegNet",
        "loss": "DiceFocalLoss",
        "optimizer": "AdamW",
        "loss_gamma": 2.0,
    }


def test_the_environment_adds_versions_machine_and_data():
    environment = {
        "git_revision": "0123456789ab",
        "packages": {"torch": "2.13.0", "monai": "1.6.1"},
        "python": "3.11.7",
        "data_fingerprint": "sha256:00",
        "data_images": 8,
    }
    assert environment_parameters(environment) == {
        "git_revision": "0123456789ab",
        "version_torch": "2.13.0",
        "version_monai": "1.6.1",
        "python": "3.11.7",
        "data_fingerprint": "sha256:00",
        "data_images": 8,
    }
    assert run_parameters({"seed": 1}, {"git_revision": None}) == {"seed": 1}


def test_the_bundle_is_found_by_its_folder_or_name(repository):
    folder = repository / "bundles" / "effisegnet"
    by_function = {"_target_": "handseg_bundle_common.weights.find_bundle", "name": "effisegnet"}
    for root in (str(folder), by_function, "$@somewhere", "/nowhere/effisegnet"):
        assert bundle_of({"bundle_root": root, "_meta_": {"name": "effisegnet"}}) == folder
    assert bundle_of({"bundle_root": "/nowhere"}) is None
