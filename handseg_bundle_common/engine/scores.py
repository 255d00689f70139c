"""Scores of a validation by bone and by image: as metrics, as a table and as a file."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.utils import string_list_all_gather

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.engine.checkpoints import BestWeights
from handseg_bundle_common.engine.distributed import on_main_process
from handseg_bundle_common.engine.records import epoch_metrics
from handseg_bundle_common.metrics import ImageScores, per_bone_table, write_scores, write_table

logger = logging.getLogger(__name__)


class _ImageNames:
    """Names `patient/image` of the images of an evaluator's epoch, in the order of its scores."""

    def __init__(self) -> None:
        self._names: list[str] = []

    def attach(self, evaluator: Engine) -> None:
        evaluator.add_event_handler(Events.EPOCH_STARTED, self._names.clear)
        evaluator.add_event_handler(Events.ITERATION_COMPLETED, self._note)

    def _note(self, evaluator: Engine) -> None:
        self._names += [f"{item['patient']}/{item['image_name']}" for item in evaluator.state.batch]

    def gathered(self) -> list[str]:
        """Return those of all processes, all of which must call this."""
        # MONAI gathers the scores in the same order: those of the first process first.
        return list(string_list_all_gather(self._names))


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
        self._images = _ImageNames()

    def attach(self, evaluator: Engine) -> None:
        """Write on the end of the evaluation."""
        self._images.attach(evaluator)
        evaluator.add_event_handler(Events.COMPLETED, self._gather_and_write)

    def _gather_and_write(self, evaluator: Engine) -> None:
        self._write(evaluator, self._images.gathered())

    @on_main_process
    def _write(self, evaluator: Engine, image_names: list[str]) -> None:
        values = torch.as_tensor(evaluator.state.metric_details[self.metric]).double()
        write_table(self.path, per_bone_table(values, image_names))
        means = values.nanmean(dim=0)
        worst = ", ".join(f"{BONE_NAMES[i]} {means[i]:.3f}" for i in means.argsort()[: self._WORST].tolist())
        scores = ", ".join(f"{name} {value:.4f}" for name, value in epoch_metrics(evaluator).items() if "/" not in name)
        logger.info("%s over %d images; worst: %s", scores, len(values), worst)
        logger.info("per-bone table: %s", self.path)


class ScoresFile:
    """Write the Dice of every image and bone to a CSV: of an evaluation, or of the validation of the best weights.

    Needs batches of decollated items with `patient` and `image_name`, as the bundles' evaluators have them.

    Args:
        path: file to write, see `metrics.write_scores`.
        metric: name of an `IgniteMetricHandler` with `save_details`.
        best_weights: attached before this; only validations of weights that it keeps are written. None writes all.
    """

    def __init__(self, path: str, metric: str = "mean_dice", *, best_weights: BestWeights | None = None) -> None:
        self.path = Path(path)
        self.metric = metric
        self.best_weights = best_weights
        self._images = _ImageNames()

    def attach(self, evaluator: Engine) -> None:
        """Write on the end of every validation."""
        self._images.attach(evaluator)
        evaluator.add_event_handler(Events.EPOCH_COMPLETED, self._gather_and_write)

    def _gather_and_write(self, evaluator: Engine) -> None:
        if self.best_weights is None or self.best_weights.has_improved:
            self._write(evaluator, self._images.gathered())

    @on_main_process
    def _write(self, evaluator: Engine, image_names: list[str]) -> None:
        dice = torch.as_tensor(evaluator.state.metric_details[self.metric]).cpu().numpy()
        write_scores(self.path, ImageScores(image_names, dice.astype(np.float64)))
