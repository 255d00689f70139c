"""Cross-validation: every fold of a data set trained and evaluated with one bundle, as child runs of one parent."""

from __future__ import annotations

import gc
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigWorkflow

from handseg_bundle_common.datasets import read_folds
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import make_folder, read_json, write_atomically
from handseg_bundle_common.metrics import per_bone_table, write_table
from handseg_bundle_common.tracking.out_of_fold import (
    FoldScores,
    draw_scores,
    join_submissions,
    read_scores,
    summarise,
    write_scores,
)
from handseg_bundle_common.tracking.parent_run import ParentRun
from handseg_bundle_common.weights import find_bundle

logger = logging.getLogger(__name__)

RECORD, SUMMARY = "cross_validation.json", "summary.json"
SUBMISSION, TABLE, FIGURE, SCORES = "predictions.csv", "per_bone.csv", "per_bone.png", "scores.csv"

_METRIC = "mean_dice"
_RESERVED = ("fold", "folds", "data_dir", "ckpt_dir", "output_dir", "run_name", "parent_run", "resume", "tracking")


@dataclass(frozen=True)
class CrossValidation:
    """What to train: a bundle on the folds of a data set.

    Attributes:
        bundle: the bundle's folder or name.
        data_dir: folder in the layout of the data set.
        folds: file that `handseg make-folds` wrote.
        output: folder of all results.
        configs: configuration files that are laid over the bundle's `train.json`.
        settings: values for ids at the top of `train.json`, such as `image_size`.
        tracking: record the folds as child runs of one parent run in MLflow.
    """

    bundle: str
    data_dir: str | PathLike[str]
    folds: str | PathLike[str]
    output: str | PathLike[str]
    configs: Sequence[str | PathLike[str]] = ()
    settings: Mapping[str, Any] | None = None
    tracking: bool = True

    def fold_dir(self, fold: int) -> Path:
        """Return the folder of one fold."""
        return Path(self.output, f"fold{fold}")

    def record(self) -> dict[str, Any]:
        """Return what must stay the same for an interrupted cross-validation to continue."""
        return {
            "bundle": find_bundle(self.bundle),
            "data_dir": str(Path(self.data_dir).absolute()),
            "folds": read_folds(self.folds),
            "configs": [str(Path(path).absolute()) for path in self.configs],
            "settings": dict(self.settings or {}),
        }


def cross_validate(plan: CrossValidation, only: Sequence[int] | None = None) -> dict[str, Any]:
    """Train and evaluate the folds one after the other, and join their predictions of images not trained on.

    Writes to the output folder, for each fold `fold0/` with weights, checkpoint, metrics and evaluation; then, for all
    folds that are done, `predictions.csv`, `scores.csv` (Dice of every image and bone), `per_bone.csv`,
    `per_bone.png` and `summary.json`. Called again after an interruption, it passes over folds that are done and
    continues the one that is not from its last epoch.

    Args:
        plan: what to train.
        only: the folds to run now, all by default; the results of others that are done already are joined too.

    Returns:
        The summary: Dice of each fold, their mean and standard deviation, and the Dice over all images and per bone.

    Raises:
        HandsegInputError: bundle, data, folds or settings cannot be used, or the output folder holds another
            cross-validation.
    """
    record = plan.record()
    folds = _checked_folds(plan, only)
    make_folder(plan.output)
    _remember(Path(plan.output, RECORD), record)
    with ParentRun.of(plan.output, _tracking_settings(plan) if plan.tracking else None, record) as parent:
        for fold in folds:
            if _scores_file(plan, fold).exists():
                logger.info("fold %d is done already", fold)
                continue
            _run_fold(plan, fold, parent.run_id)
        summary = _join(plan, len(record["folds"]))
        parent.log(summary, [Path(plan.output, name) for name in (SUMMARY, TABLE, FIGURE, SCORES, SUBMISSION)])
    return summary


def _checked_folds(plan: CrossValidation, only: Sequence[int] | None) -> list[int]:
    reserved = sorted(set(plan.settings or {}).intersection(_RESERVED))
    if reserved:
        raise HandsegInputError(
            reserved[0], "is set by the cross-validation itself", "leave it out; --data, --folds and --output say where"
        )
    count = len(read_folds(plan.folds))
    wanted = list(range(count) if only is None else only)
    unknown = [fold for fold in wanted if fold not in range(count)]
    if unknown:
        raise HandsegInputError(plan.folds, f"has no fold {unknown[0]}", f"choose 0 to {count - 1}")
    return wanted


def _remember(path: Path, record: Mapping[str, Any]) -> None:
    """Write the record, or refuse to go on with other settings in the same folder."""
    if path.exists():
        found = read_json(path, "choose another output folder")
        changed = [key for key in record if not isinstance(found, dict) or found.get(key) != record[key]]
        if changed:
            problem = f"belongs to a cross-validation with other {', '.join(changed)}"
            raise HandsegInputError(path, problem, "repeat the settings it was started with or choose another folder")
        return
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _run_fold(plan: CrossValidation, fold: int, parent_run: str | None) -> None:
    """Train a fold, or continue it, then evaluate its best weights and write its scores."""
    logger.info("fold %d: training", fold)
    folder = plan.fold_dir(fold)
    train = _workflow(plan, fold, "train.json", output_dir=str(folder / "training"), parent_run=parent_run, resume=True)
    _run(train)
    logger.info("fold %d: evaluation", fold)
    evaluation = _workflow(plan, fold, "train.json", "evaluate.json", output_dir=str(folder / "evaluation"))
    _run(evaluation)
    evaluator = evaluation.parser.get_parsed_content("validate#evaluator")
    items = evaluation.parser.get_parsed_content("validate#dataset#data")
    names = [f"{item['patient']}/{item['image_name']}" for item in items]
    write_scores(_scores_file(plan, fold), FoldScores(names, np.asarray(evaluator.state.metric_details[_METRIC])))
    del train, evaluation, evaluator
    gc.collect()
    torch.cuda.empty_cache()


def _workflow(plan: CrossValidation, fold: int, *files: str, **overrides: Any) -> ConfigWorkflow:
    root = find_bundle(plan.bundle)
    is_evaluation = "evaluate.json" in files
    if is_evaluation or not plan.tracking:
        files = (*files, "no_tracking.json")
    folder = plan.fold_dir(fold)
    return ConfigWorkflow(
        config_file=[*(str(Path(root, "configs", name)) for name in files), *map(str, plan.configs)],
        meta_file=str(Path(root, "configs", "metadata.json")),
        logging_file=str(Path(root, "configs", "logging.conf")),
        workflow_type="train",
        run_id="evaluating" if is_evaluation else "training",
        bundle_root=root,
        data_dir=str(Path(plan.data_dir).absolute()),
        folds=str(Path(plan.folds).absolute()),
        fold=fold,
        ckpt_dir=str(folder / "models"),
        run_name=f"{Path(root).name}-fold{fold}",
        **overrides,
        **(plan.settings or {}),
    )


def _run(workflow: ConfigWorkflow) -> None:
    workflow.initialize()
    workflow.run()
    workflow.finalize()


def _tracking_settings(plan: CrossValidation) -> dict[str, str]:
    """Return where the bundle's runs are recorded, from its configuration and the user's settings."""
    parser = _workflow(plan, 0, "train.json", output_dir="").parser
    return {name: str(parser.get_parsed_content(name)) for name in ("tracking_uri", "experiment_name")}


def _scores_file(plan: CrossValidation, fold: int) -> Path:
    return plan.fold_dir(fold) / SCORES


def _join(plan: CrossValidation, num_folds: int) -> dict[str, Any]:
    """Join the results of all folds that are done."""
    output = Path(plan.output)
    done = [fold for fold in range(num_folds) if _scores_file(plan, fold).exists()]
    scores = {fold: read_scores(_scores_file(plan, fold)) for fold in done}
    joined = FoldScores.joined(scores.values())
    write_scores(output / SCORES, joined)
    write_table(output / TABLE, per_bone_table(joined.dice, joined.image_names))
    draw_scores(output / FIGURE, scores)
    join_submissions([plan.fold_dir(fold) / "evaluation" / SUBMISSION for fold in done], output / SUBMISSION)
    summary = {"num_folds": num_folds, **summarise(scores)}
    with write_atomically(output / SUMMARY) as temporary:
        temporary.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return summary
