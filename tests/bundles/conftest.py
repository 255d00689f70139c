"""The bundles at sizes that take seconds, and how tests run them."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigWorkflow

# What makes each bundle's network small enough for a test.
SMALL_NETWORKS: dict[str, dict[str, Any]] = {
    "effisegnet": {"decoder_channels": 16},
    "swin_unetr": {"feature_size": 12},
    "segformer": {"decoder_channels": 16},
    "unetplusplus": {},
}


@pytest.fixture(autouse=True)
def exception_hook(monkeypatch):
    """Bundles install a hook for uncaught errors; take it off again."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)


@pytest.fixture(scope="session")
def small_networks() -> dict[str, dict[str, Any]]:
    """Settings of a small network by bundle."""
    return SMALL_NETWORKS


@pytest.fixture(scope="module", params=SMALL_NETWORKS)
def bundle(request, repository) -> Path:
    """The folder of each bundle in turn."""
    return repository / "bundles" / request.param


@pytest.fixture(scope="session")
def run_bundle() -> Callable[..., ConfigWorkflow]:
    """A function that runs a bundle's configurations, laid over each other, in this process.

    `prepare` is called with the workflow when all its parts are there and nothing has run.
    """

    def run(
        bundle: Path,
        files: list[str],
        run_id: str = "run",
        prepare: Callable[[ConfigWorkflow], None] = lambda workflow: None,
        **overrides: Any,
    ) -> ConfigWorkflow:
        workflow = ConfigWorkflow(
            config_file=[str(bundle / "configs" / name) for name in files],
            logging_file=False,
            run_id=run_id,
            workflow_type="train" if files[0] == "train.json" else "infer",
            **({"device": "cpu", "num_workers": 0, "image_size": 64} | SMALL_NETWORKS[bundle.name] | overrides),
        )
        workflow.initialize()
        prepare(workflow)
        workflow.run()
        return workflow

    return run


@pytest.fixture(scope="session")
def folders() -> Callable[[Path], dict[str, str]]:
    """A function that gives the ids with which a run keeps to a folder."""

    def ids(folder: Path) -> dict[str, str]:
        return {
            "ckpt_dir": str(folder / "models"),
            "output_dir": str(folder / "output"),
            "tracking_uri": f"sqlite:///{folder}/mlflow.db",
        }

    return ids


@pytest.fixture(scope="session")
def metrics_of() -> Callable[[Path], list[dict[str, str]]]:
    """A function that reads the metrics which a run left in its folder."""

    def read(folder: Path) -> list[dict[str, str]]:
        with (folder / "output" / "metrics.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    return read
