"""A bundle through `python -m monai.bundle`, as users start it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SMALL = {"image_size": 64, "batch_size": 3, "num_workers": 0, "max_epochs": 1, "device": "cpu"}


@pytest.fixture(scope="module")
def configs(repository):
    return repository / "bundles" / "effisegnet" / "configs"


def test_it_works_from_another_folder_without_mlflow(configs, metrics_of, tmp_path):
    """One epoch with mlflow not importable and tracking switched off."""
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "__init__.py").write_text("raise ImportError('mlflow is not installed')")
    files = f"['{configs}/train.json','{configs}/no_tracking.json']"
    command = [sys.executable, "-m", "monai.bundle", "run", "training", "--config_file", files]
    overrides = {**SMALL, "bundle_root": configs.parent}
    overrides |= {"ckpt_dir": tmp_path / "models", "output_dir": tmp_path / "output"}
    for key, value in overrides.items():
        command += [f"--{key}", str(value)]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    assert result.returncode == 0, result.stderr
    assert len(metrics_of(tmp_path)) == 1
    assert not (tmp_path / "mlflow.db").exists()


def test_bad_data_ends_a_run_with_one_sentence_and_exit_code_2(configs, tmp_path):
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(configs / "train.json")]
    command += ["--data_dir", str(tmp_path / "nowhere")]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603
    assert result.returncode == 2
    assert "nowhere" in result.stderr
    assert "Traceback" not in result.stderr
