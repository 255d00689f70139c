"""An MLflow store of runs that were never trained: parameters, curves and scores made up, so that all is known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient

from handseg_bundle_common.anatomy import CHANNEL, NUM_BONES
from handseg_bundle_common.metrics import ImageScores, write_scores

# A run's name is the user's own, and may be a script.
HOSTILE_NAME = '<script>document.title="taken"</script> $a_b$ | *c*'
IMAGES = tuple(f"patient{number // 2}/image{number}.png" for number in range(12))
EXPERIMENT = "trials"


@dataclass(frozen=True)
class Store:
    """The store, the identifiers of its runs by name, and the Dice of those with scores of images."""

    uri: str
    client: MlflowClient
    ids: dict[str, str]
    dice: dict[str, Any]
    experiment: str = EXPERIMENT
    images: tuple[str, ...] = IMAGES
    hostile_name: str = HOSTILE_NAME


class Maker:
    """Makes runs of an experiment."""

    def __init__(self, folder: Path, client: MlflowClient, experiment: str) -> None:
        self.folder, self.client = folder, client
        location = (folder / "artifacts").as_uri()
        self.experiment_id = client.create_experiment(experiment, artifact_location=location)
        self.ids: dict[str, str] = {}
        self.dice: dict[str, Any] = {}

    def run(
        self, name, *, params=None, curves=None, metrics=None, dice=None, images=IMAGES, status="FINISHED", tags=None
    ):
        """Log one run; curves are values of epochs from 1, dice is (N, 29)."""
        start = 1_700_000_000_000 + 3_600_000 * len(self.ids)
        tags = {"handseg.kind": "training"} | (tags or {})
        run_id = self.client.create_run(self.experiment_id, start, tags, name).info.run_id
        for key, value in (params or {}).items():
            self.client.log_param(run_id, key, value)
        for key, values in (curves or {}).items():
            for epoch, value in enumerate(values, 1):
                self.client.log_metric(run_id, key, value, step=epoch, timestamp=start + epoch)
        for key, value in (metrics or {}).items():
            self.client.log_metric(run_id, key, value)
        if dice is not None:
            path = self.folder / "scores.csv"
            write_scores(path, ImageScores(list(images), np.asarray(dice)))
            self.client.log_artifact(run_id, str(path))
            self.dice[name] = dice
        if status != "RUNNING":
            self.client.set_terminated(run_id, status, start + 90_000)
        self.ids[name] = run_id
        return run_id


@pytest.fixture(scope="package")
def store(tmp_path_factory) -> Store:
    """Seven runs that can be compared, and one of every kind that cannot."""
    folder = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{folder}/mlflow.db"
    client = MlflowClient(uri)
    make = Maker(folder, client, EXPERIMENT)
    rng = np.random.default_rng(0)
    hard = rng.uniform(0.6, 0.95, (12, NUM_BONES))
    hard[:3, CHANNEL["Pisiform"]] = np.nan  # not in the picture
    better = hard + rng.uniform(0, 0.04, hard.shape)
    better[:, CHANNEL["Radius"]] = hard[:, CHANNEL["Radius"]] - 0.02
    common = {"model_name": "b0", "threshold": 0.5, "data_fingerprint": "aaaa", "version_torch": "2.13.0"}
    curves = {"val_mean_dice": [0.3, 0.6, 0.7], "train_loss": [2.0, 1.0, 0.5]}
    make.run("plain", params=common | {"loss": "bce", "run_name": "plain"}, curves=curves, dice=hard)
    make.run(
        "averaged",
        params=common | {"loss": "dice-focal", "image_size": 256, "run_name": "averaged"},
        curves=curves | {"val_mean_dice": [0.4, 0.65, 0.75], "swa_mean_dice": [0.5, 0.7, 0.77]},
        dice=better,
    )
    make.run(HOSTILE_NAME, params=common | {"loss": "<b>bce</b>"}, dice=hard[:8] + 0.01, images=IMAGES[:8])
    make.run(
        "elsewhere", params=common | {"data_fingerprint": "bbbb"}, dice=hard[:4], images=["x/1", "x/2", "y/1", "y/2"]
    )
    make.run("curve only", params=common, curves={"val_mean_dice": [0.5, 0.72, 0.71]})
    final = {"mean_dice": 0.8, "mean_dice_low": 0.7, "mean_dice_high": 0.85, "small_bone_dice": 0.6}
    make.run("numbers only", params=common, metrics=final)
    parent = make.run("folds", dice=hard, tags={"handseg.kind": "cross-validation"})
    make.run("fold 0", dice=hard[:6], images=IMAGES[:6], tags={"mlflow.parentRunId": parent})
    make.run("unfinished", curves=curves, status="RUNNING")
    make.run("broken off", curves=curves, status="FAILED")
    make.run("silent")
    make.run("earlier comparison", metrics={"mean_dice": 1.0}, tags={"handseg.kind": "comparison"})
    Maker(folder, client, "empty")
    return Store(uri, client, make.ids, make.dice)
