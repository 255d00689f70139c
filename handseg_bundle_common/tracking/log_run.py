"""Runs made without tracking, put into MLflow from what they left in their folders."""

from __future__ import annotations

import csv
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from handseg_bundle_common.engine.mlflow_log import (
    ANALYSIS,
    CROSS_VALIDATION,
    EVALUATION,
    PARENT,
    TRAINING,
    experiment_id,
    log_final_scores,
    log_folder,
    log_metrics,
    log_parameters,
    new_run,
)
from handseg_bundle_common.engine.mlflow_model import log_run_as_model
from handseg_bundle_common.engine.mlflow_runs import chosen_uri, remember_run, remembered_run
from handseg_bundle_common.engine.records import CONFIG_FILE
from handseg_bundle_common.engine.run_figures import draw_figures
from handseg_bundle_common.engine.run_folder import (
    BEST_WEIGHTS,
    FIGURES,
    METRICS_FILE,
    REPORT,
    SCORES_FILE,
    RunFolder,
    report_files,
)
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import open_csv, read_json
from handseg_bundle_common.metrics import read_scores
from handseg_bundle_common.tracking.parent_run import log_cross_validation, parent_parameters
from handseg_bundle_common.tracking.store import store_errors

_CROSS_VALIDATION, _SUMMARY, _ANALYSIS = "cross_validation.json", "summary.json", "analysis.json"
_REMEDY = "name the folder that a training, an evaluation, cross-validate or analyze has written"
_FINISHED, _KILLED = "FINISHED", "KILLED"


@dataclass(frozen=True)
class LoggedRun:
    """A run that stands in MLflow.

    Attributes:
        run_id: its identifier.
        name: its name.
        kind: `training`, `evaluation`, `cross-validation` or `analysis`.
        is_new: False if it stood there already.
        model: address of the registered model, None if there is none.
    """

    run_id: str
    name: str
    kind: str
    is_new: bool
    model: str | None = None


@dataclass(frozen=True)
class _Log:
    """Where runs go: the client, the identifier of the experiment, and the run they stand below."""

    client: Any
    experiment: str
    parent: str | None = None

    def run(self, folder: Path, kind: str, name: str | None, *, weights: Path | None) -> LoggedRun:
        """Log a folder as a run, unless MLflow has it."""
        known = remembered_run(self.client, folder)
        if known is not None:
            if self.parent is not None:
                # A fold that was logged before its cross-validation, or below one that was taken back.
                self.client.set_tag(known.info.run_id, PARENT, self.parent)
            # A tracked run ends before anybody can analyse it.
            for path, place in report_files(folder / REPORT):
                self.client.log_artifact(known.info.run_id, str(path), place)
            return LoggedRun(known.info.run_id, known.info.run_name, kind, is_new=False)
        start, end = _times(folder)
        title = name or f"{_prefix(folder, kind)}-{datetime.fromtimestamp(start / 1000, UTC):%Y%m%d-%H%M%S}"
        with self._open(folder, kind, title, start) as run_id:
            if kind == CROSS_VALIDATION:
                status = self._cross_validation(folder, run_id)
            elif kind == ANALYSIS:
                status = self._analysis(folder, run_id, end)
            else:
                with _as_best(weights if kind == TRAINING else None) as models:
                    status = self._engine(RunFolder(folder, models or _models(folder, kind)), run_id, (start, end))
            self.client.set_terminated(run_id, status, end)
        return LoggedRun(run_id, title, kind, is_new=True)

    @contextmanager
    def _open(self, folder: Path, kind: str, name: str, start: int) -> Iterator[str]:
        """Create a run that is remembered when all of it is logged, and taken back when something goes wrong."""
        run_id = new_run(self.client, self.experiment, name, kind, parent=self.parent, start_ms=start).info.run_id
        try:
            yield run_id
            remember_run(folder, run_id)
        except BaseException:
            self.client.delete_run(run_id)
            raise

    def _engine(self, folder: RunFolder, run_id: str, times: tuple[int, int]) -> str:
        """Log a training or an evaluation; return its status."""
        history = folder.history()
        log_parameters(self.client, run_id, folder.parameters())
        # The files do not tell when an epoch ended: they are spread evenly over the run.
        moments = np.linspace(*times, len(history) + 1)[1:].astype(int).tolist()
        log_metrics(self.client, run_id, [(when, *epoch) for when, epoch in zip(moments, history, strict=True)])
        if not (folder.path / FIGURES).is_dir():
            draw_figures(folder)
        log_folder(self.client, run_id, folder, times[1])
        last = history[-1][0] if history else 0
        epochs = folder.config().get("max_epochs", last) if _kind(folder.path) == TRAINING else last
        return _FINISHED if not isinstance(epochs, int) or last >= epochs else _KILLED

    def _cross_validation(self, folder: Path, run_id: str) -> str:
        """Log a cross-validation with its folds below; return its status."""
        log_parameters(self.client, run_id, parent_parameters(_document(folder / _CROSS_VALIDATION)))
        summary = _document(folder / _SUMMARY) if (folder / _SUMMARY).exists() else {}
        log_cross_validation(self.client, run_id, summary, folder)
        below = _Log(self.client, self.experiment, run_id)
        for training in sorted(folder.glob(f"fold*/training/{METRICS_FILE}")):
            fold = training.parents[1].name
            below.run(training.parent, TRAINING, f"{_prefix(training.parent, TRAINING)}-{fold}", weights=None)
        is_complete = len(summary.get("fold_dice", ())) == summary.get("num_folds")
        return _FINISHED if summary and is_complete else _KILLED

    def _analysis(self, folder: Path, run_id: str, end: int) -> str:
        """Log the scores and the report of an analysis; return its status."""
        scores = read_scores(folder / SCORES_FILE)
        if not scores.image_names:
            raise HandsegInputError(folder / SCORES_FILE, "holds no scores", "analyse again")
        log_final_scores(self.client, run_id, scores, end)
        self.client.log_artifact(run_id, str(folder / SCORES_FILE))
        for path, place in report_files(folder):
            self.client.log_artifact(run_id, str(path), place)
        return _FINISHED


def log_run(
    folder: str | PathLike[str],
    *,
    tracking_uri: str = "sqlite:///mlflow.db",
    experiment: str = "handseg",
    name: str | None = None,
    weights: str | PathLike[str] | None = None,
    log_model: bool = False,
) -> LoggedRun:
    """Put a finished run into MLflow as it would stand there had it been tracked; a second call finds it there.

    Args:
        folder: `output_dir` of a training or evaluation, or the output of a cross-validation or analysis.
        tracking_uri: SQLite database or server; `MLFLOW_TRACKING_URI` wins over it.
        experiment: name of the experiment, which is made if there is none.
        name: name of the run; by default recipe, date and time.
        weights: the best weights of a training, if they lie neither in `models` in or beside its folder nor where its
            configuration says.
        log_model: register the bundle with the weights of the run as a model.

    Raises:
        HandsegInputError: the folder holds no run, a file of it is damaged, or the store cannot be used; MLflow then
            shows no half of it.
    """
    place = Path(folder)
    kind = _kind(place)
    best = None if weights is None else Path(weights)
    if best is not None and not best.is_file():
        raise HandsegInputError(best, "is not there or not a file", "name the model.pt that the training wrote")
    if log_model and kind not in (TRAINING, EVALUATION):
        raise HandsegInputError(place, f"is of {kind}, which has no model", "name a training or an evaluation")
    uri = chosen_uri(tracking_uri)
    from mlflow import MlflowClient  # noqa: PLC0415  seconds, which a wrong folder need not cost

    with store_errors(uri):
        client = MlflowClient(uri)
        done = _Log(client, experiment_id(client, experiment)).run(place, kind, name, weights=best)
        if not log_model:
            return done
        model = log_run_as_model(client, done.run_id, RunFolder(place).config(), _models(place, TRAINING), best)
    return LoggedRun(done.run_id, done.name, done.kind, done.is_new, model)


def _kind(folder: Path) -> str:
    """Return what a folder holds.

    Raises:
        HandsegInputError: it holds no run.
    """
    if not folder.is_dir():
        raise HandsegInputError(folder, "is no folder", _REMEDY)
    if (folder / _CROSS_VALIDATION).is_file():
        return CROSS_VALIDATION
    if (folder / _ANALYSIS).is_file() and (folder / SCORES_FILE).is_file():
        return ANALYSIS
    missing = [name for name in (CONFIG_FILE, METRICS_FILE) if not (folder / name).is_file()]
    if missing:
        inside = next((path.parent.name for path in sorted(folder.glob(f"*/{CONFIG_FILE}"))), None)
        remedy = _REMEDY if inside is None else f"name {folder / inside}"
        raise HandsegInputError(folder, f"holds no finished run: {' and '.join(missing)} missing", remedy)
    with open_csv(folder / METRICS_FILE) as file:
        return TRAINING if "epoch" in next(csv.reader(file), []) else EVALUATION


def _prefix(folder: Path, kind: str) -> str:
    """Return how the name of a run begins: its recipe, or what it is."""
    recipe = RunFolder(folder).parameters().get("recipe") if kind in (TRAINING, EVALUATION) else None
    return str(recipe or kind)


@contextmanager
def _as_best(weights: Path | None) -> Iterator[Path | None]:
    """Give the folder of a file of weights, in which it has the name of the best ones whatever it is called itself."""
    if weights is None:
        yield None
    elif weights.name == BEST_WEIGHTS:
        yield weights.parent
    else:
        with tempfile.TemporaryDirectory() as staging:
            shutil.copyfile(weights, Path(staging, BEST_WEIGHTS))
            yield Path(staging)


def _models(folder: Path, kind: str) -> Path | None:
    """Return the folder of the weights that a training wrote, if it can be found."""
    if kind != TRAINING:
        return None
    named = RunFolder(folder).config().get("ckpt_dir")
    is_plain = isinstance(named, str) and not named.startswith(("$", "@", "%"))
    places = (folder / "models", folder.parent / "models", *([Path(str(named))] if is_plain else ()))
    return next((place for place in places if (place / BEST_WEIGHTS).is_file()), None)


def _times(folder: Path) -> tuple[int, int]:
    """Return when a run began and ended as its files tell, in milliseconds since 1970."""
    times = [path.stat().st_mtime for path in folder.rglob("*") if path.is_file()]
    return int(min(times) * 1000), int(max(times) * 1000)


def _document(path: Path) -> Mapping[str, Any]:
    document = read_json(path, _REMEDY)
    if not isinstance(document, dict):
        raise HandsegInputError(path, "holds no settings by name", _REMEDY)
    return document
