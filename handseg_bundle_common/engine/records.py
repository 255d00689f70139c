"""Records of a run as plain files: the executed configuration and the metrics of every epoch."""

from __future__ import annotations

import csv
import inspect
import json
import logging
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.bundle import ConfigParser
from monai.engines import Evaluator

from handseg_bundle_common.engine.distributed import on_main_process
from handseg_bundle_common.engine.environment import run_environment
from handseg_bundle_common.files import open_csv, write_atomically, write_csv

logger = logging.getLogger(__name__)

CONFIG_FILE, ENVIRONMENT_FILE = "config.json", "environment.json"


def executed_config() -> dict[str, Any]:
    """Return the configuration, overlays and overrides included, that is being instantiated right now.

    MONAI hands its components no reference to the parser that builds them, so this walks up the call stack to it.

    Returns:
        A copy of the parser's raw content, or an empty dictionary outside a `ConfigParser`.
    """
    frame = inspect.currentframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, ConfigParser):
            return dict(json.loads(json.dumps(owner.config, default=str)))
        frame = frame.f_back
    return {}


class ExecutedConfig:
    """Write what an engine runs with when it starts: `config.json` as executed, and `environment.json`.

    Args:
        output_dir: folder of the run.
        data_dir: data set whose fingerprint goes into the environment, see `run_environment`.
    """

    def __init__(self, output_dir: str, data_dir: str | None = None) -> None:
        self.output_dir = Path(output_dir)
        self.data_dir = data_dir
        self.config = executed_config()

    @on_main_process
    def attach(self, engine: Engine) -> None:
        """Write on the start of the engine."""
        engine.add_event_handler(Events.STARTED, self._write)

    def _write(self) -> None:
        documents = {CONFIG_FILE: self.config, ENVIRONMENT_FILE: run_environment(self.data_dir)}
        for name, document in documents.items():
            with write_atomically(self.output_dir / name) as temporary:
                temporary.write_text(json.dumps(document, indent=4) + "\n", encoding="utf-8")


def epoch_metrics(engine: Engine) -> dict[str, float]:
    """Return the scalar metrics of a trainer or evaluator after an epoch, with a trainer's learning rate."""
    metrics = {}
    for name, value in engine.state.metrics.items():
        tensor = torch.as_tensor(value)
        if tensor.numel() == 1:
            metrics[name] = float(tensor)
    optimizer = getattr(engine, "optimizer", None)
    if optimizer is not None:
        metrics["learning_rate"] = float(optimizer.param_groups[0]["lr"])
    return metrics


class MetricsLog:
    """Write one row an epoch, training and validation together, to a CSV; attach it to both engines.

    Rows of earlier epochs are kept when a training is resumed. An evaluation without a trainer writes one row.

    Args:
        path: file to write.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._validation: dict[str, float] = {}
        self._rows: list[dict[str, Any]] = []
        self._has_trainer = False

    @on_main_process
    def attach(self, engine: Engine) -> None:
        """Collect from an evaluator, or write after every epoch of a trainer."""
        if isinstance(engine, Evaluator):
            engine.add_event_handler(Events.EPOCH_COMPLETED, self._collect)
            engine.add_event_handler(Events.COMPLETED, self._write_evaluation)
        else:
            self._has_trainer = True
            engine.add_event_handler(Events.EPOCH_COMPLETED, self._write)

    def _collect(self, evaluator: Engine) -> None:
        self._validation = epoch_metrics(evaluator)

    def _keep_earlier_epochs(self, trainer: Engine) -> None:
        with open_csv(self.path) as file:
            self._rows = [row for row in csv.DictReader(file) if int(row["epoch"]) < trainer.state.epoch]

    def _write_evaluation(self) -> None:
        if not self._has_trainer:
            self._rows = [self._validation]
            self._save()

    def _write(self, trainer: Engine) -> None:
        if not self._rows and trainer.state.epoch > 1 and self.path.exists():
            self._keep_earlier_epochs(trainer)
        row = {"epoch": trainer.state.epoch, **epoch_metrics(trainer), **self._validation}
        self._validation = {}
        self._rows.append(row)
        self._save()
        shown = ("train_loss", "mean_dice", "overlap_dice", "learning_rate")
        logger.info("epoch %d: %s", row["epoch"], ", ".join(f"{name} {row[name]:.4g}" for name in shown if name in row))

    def _save(self) -> None:
        columns = list(dict.fromkeys(name for kept in self._rows for name in kept))
        with write_csv(self.path) as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(self._rows)
