"""An MLflow store that all records share, and runs in it with scores that each test chooses."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.metrics import ImageScores, write_scores
from handseg_bundle_common.tracking.records import Source

PATIENTS = 6


@dataclass(frozen=True)
class Store:
    """A store and what it is called."""

    client: Any
    uri: str
    experiment_id: str

    def source(self, run: str | None = None, parent: str | None = None) -> Source:
        return Source(self.uri, "handseg", run, parent)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """MLflow takes seconds to create its tables, so every test adds its runs to the same ones."""
    folder = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{folder}/mlflow.db"
    client = mlflow.MlflowClient(uri)
    return Store(client, uri, client.create_experiment("handseg", artifact_location=(folder / "artifacts").as_uri()))


@pytest.fixture(autouse=True)
def no_other_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert "MLFLOW_TRACKING_URI" not in os.environ


@pytest.fixture(scope="session")
def make_run(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Log a run with scores, parameters and validations, and return its name."""
    numbers = count()

    def make(
        dice: np.ndarray | None = None,
        *,
        name: str | None = None,
        parameters: Mapping[str, object] | None = None,
        validations: tuple[float, ...] = (0.5, 0.7, 0.6),
        status: str | None = "FINISHED",
    ) -> str:
        name = name or f"run-{next(numbers)}"
        run_id = store.client.create_run(store.experiment_id, run_name=name).info.run_id
        for key, value in (parameters or {}).items():
            store.client.log_param(run_id, key, value)
        for epoch, value in enumerate(validations, 1):
            store.client.log_metric(run_id, "val_mean_dice", value, step=epoch)
        if dice is not None:
            names = [f"sim{k // 2}/sim{k // 2}_{'LR'[k % 2]}.png" for k in range(len(dice))]
            path = tmp_path_factory.mktemp("scores") / "scores.csv"
            write_scores(path, ImageScores(names, dice))
            store.client.log_artifact(run_id, str(path))
        if status is not None:
            store.client.set_terminated(run_id, status)
        return name

    return make


@pytest.fixture(scope="session")
def dice() -> np.ndarray:
    """Dice of two images of each patient."""
    return np.random.default_rng(0).uniform(0.7, 0.95, (2 * PATIENTS, NUM_BONES))


@pytest.fixture(scope="session")
def pair(make_run: Callable[..., str], dice: np.ndarray) -> tuple[str, str]:
    """A run that gains on its parent run, and the parent run."""
    gain = np.random.default_rng(1).normal(0.01, 0.02, dice.shape)
    digest = f"sha256:{'d41d8cd9' * 8}"
    shared = {"image_size": 256, "data_fingerprint": digest, "data_images": 80, "fold": 0, "git_revision": "0123"}
    parent = make_run(dice, name="whole", parameters={**shared, "recipe": "effisegnet", "version_torch": "2.13.0"})
    other = {"recipe": "effisegnet+swa", "swa_start": 8, "version_torch": "2.13.1", "bundle_version": "0.1.0"}
    return make_run(np.clip(dice + gain, 0, 1), name="averaged", parameters={**shared, **other}), parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Folder of the records of one test."""
    return tmp_path / "records"
