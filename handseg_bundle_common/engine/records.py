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
from monai.utils import string_list_all_gather

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.engine.distributed import on_main_process
from handseg_bundle_common.engine.environment import run_environment
from handseg_bundle_common.files import open_csv, write_atomically, write_csv
from handseg_bundle_common.metrics import per_bone_table, write_table

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


class PerBoneMetrics:
    """Add the mean over images for every bone, `dice/finger-1` and so on, to the evaluator's metrics.

    Args:
        metric: name of an `IgniteMetricHandler` with `save_details`, whose details have the shape (images, 29).
    """

    def __init__(self, metric: str = "mean_dice") -> None:
        self.metric = metric

    def attach(self, evaluator: Engine) -> None:
        """Add on the end of every validation."""
        evaluator.add_event_handler(Events.EPOCH_COMPLETED, self._add)

    def _add(self, evaluator: Engine) -> None:
        means = torch.as_tensor(evaluator.state.metric_details[self.metric]).nanmean(dim=0)
        for bone, value in zip(BONE_NAMES, means.tolist(), strict=True):
            evaluator.state.metrics[f"dice/{bone}"] = value


class PerBoneTable:
    """Write the per-bone table of an evaluation to a CSV and log its worst bones.

    Needs batches of decollated items with `patient` and `image_name`, as the bundles' evaluators have them.

    Args:
        path: file to write.
        metric: name of an `IgniteMetricHandler` with `save_details`.
    """

    _WORST = 5

    def __init__(self, path: str, metric: str = "mean_dice") -> None:
        self.path = Path(path)
        self.metric = metric
        self._image_names: list[str] = []

    def attach(self, evaluator: Engine) -> None:
        """Write on the end of the evaluation."""
        evaluator.add_event_handler(Events.EPOCH_STARTED, self._image_names.clear)
        evaluator.add_event_handler(Events.ITERATION_COMPLETED, self._note_images)
        evaluator.add_event_handler(Events.COMPLETED, self._gather_and_write)

    def _note_images(self, evaluator: Engine) -> None:
        self._image_names += [f"{item['patient']}/{item['image_name']}" for item in evaluator.state.batch]

    def _gather_and_write(self, evaluator: Engine) -> None:
        # MONAI gathers the details in the same order: those of the first process first.
        self._write(evaluator, string_list_all_gather(self._image_names))

    @on_main_process
    def _write(self, evaluator: Engine, image_names: list[str]) -> None:
        values = torch.as_tensor(evaluator.state.metric_details[self.metric]).double()
        write_table(self.path, per_bone_table(values, image_names))
        means = values.nanmean(dim=0)
        worst = ", ".join(f"{BONE_NAMES[i]} {means[i]:.3f}" for i in means.argsort()[: self._WORST].tolist())
        scores = ", ".join(f"{name} {value:.4f}" for name, value in epoch_metrics(evaluator).items() if "/" not in name)
        logger.info("%s over %d images; worst: %s", scores, len(values), worst)
        logger.info("per-bone table: %s", self.path)


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
