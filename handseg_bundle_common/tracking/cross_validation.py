"""Cross-validation: every fold of a data set trained and evaluated with one bundle, as child runs of one parent."""

from __future__ import annotations

import gc
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigParser, ConfigWorkflow

from handseg_bundle_common.datasets import data_fingerprint, data_list, fold_split, read_folds
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
_RESERVED = (
    *("fold", "folds", "data_dir", "bundle_root", "ckpt_dir", "output_dir", "run_name", "parent_run", "resume"),
    # Arguments of MONAI's workflow, among which a setting of that name would be lost.
    *("tracking", "config_file", "meta_file", "logging_file", "workflow_type", "run_id", "init_id", "final_id"),
)


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

    def scores_file(self, fold: int) -> Path:
        """Return the file of a fold's scores, which is there when the fold is done."""
        return self.fold_dir(fold) / SCORES


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
    folds = read_folds(plan.folds)
    wanted = _checked_folds(plan, len(folds), only)
    record = _record(plan, folds)
    tracking = _tracking_settings(plan)
    make_folder(plan.output)
    _remember(Path(plan.output, RECORD), record)
    with ParentRun.of(plan.output, tracking, record) as parent:
        for fold in wanted:
            if plan.scores_file(fold).exists():
                logger.info("fold %d is done already", fold)
                continue
            _train(plan, fold, parent.run_id)
            _evaluate(plan, fold)
        summary = _join(plan, len(folds))
        parent.log(summary, [Path(plan.output, name) for name in (SUMMARY, TABLE, FIGURE, SCORES, SUBMISSION)])
    return summary


def _checked_folds(plan: CrossValidation, count: int, only: Sequence[int] | None) -> list[int]:
    """Return the folds to run, after checking that each has images and that all configurations can be read."""
    wanted = list(range(count) if only is None else only)
    unknown = [fold for fold in wanted if fold not in range(count)]
    if unknown:
        raise HandsegInputError(plan.folds, f"has no fold {unknown[0]}", f"choose 0 to {count - 1}")
    for fold in wanted:
        fold_split(plan.data_dir, plan.folds, fold, "validation")
        fold_split(plan.data_dir, plan.folds, fold, "training")
    for path in plan.configs:
        if not Path(path).is_file():
            raise HandsegInputError(path, "is not there or not a file", "name configuration files that exist")
    _check_settings(plan)
    return wanted


def _check_settings(plan: CrossValidation) -> None:
    """Refuse settings that would change nothing, or what the cross-validation itself sets."""
    parser = _workflow(plan, 0, settings=False).parser
    for name in plan.settings or {}:
        if name.replace("::", "#").split("#")[0] in _RESERVED:
            remedy = "leave it out; --data, --folds and --output say where"
            raise HandsegInputError(name, "is set by the cross-validation itself", remedy)
        if not _is_id(parser, name):
            similar = get_close_matches(name, [key for key in parser.config if not key.startswith("_")], n=1)
            remedy = f"did you mean {similar[0]}" if similar else "choose an id at the top of train.json"
            raise HandsegInputError(name, "is no id of the bundle", remedy)


def _is_id(parser: ConfigParser, name: str) -> bool:
    """Tell whether a configuration has an id; MONAI raises several kinds of errors for nested ones that are not."""
    try:
        return name.replace("::", "#") in parser
    except (KeyError, ValueError, IndexError, TypeError):
        return False


def _record(plan: CrossValidation, folds: list[list[str]]) -> dict[str, Any]:
    """Return what must stay the same for an interrupted cross-validation to continue."""
    return {
        "bundle": find_bundle(plan.bundle),
        "data_dir": str(Path(plan.data_dir).absolute()),
        "data": data_fingerprint(data_list(plan.data_dir)),
        "folds": folds,
        "configs": [str(Path(path).absolute()) for path in plan.configs],
        "settings": dict(plan.settings or {}),
    }


def _remember(path: Path, record: Mapping[str, Any]) -> None:
    """Write the record, or refuse to go on with other data or settings in the same folder."""
    if path.exists():
        found = read_json(path, "choose another output folder")
        changed = [key for key in record if not isinstance(found, dict) or found.get(key) != record[key]]
        if changed:
            problem = f"belongs to a cross-validation with other {', '.join(changed)}"
            remedy = "repeat data and settings it was started with or choose another folder"
            raise HandsegInputError(path, problem, remedy)
        return
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _train(plan: CrossValidation, fold: int, parent_run: str | None) -> None:
    """Train a fold, or continue it."""
    logger.info("fold %d: training", fold)
    output_dir = str(plan.fold_dir(fold) / "training")
    _run(_workflow(plan, fold, output_dir=output_dir, parent_run=parent_run, resume=True))
    _free_memory()


def _evaluate(plan: CrossValidation, fold: int) -> None:
    """Evaluate the best weights of a fold on its validation images and write their scores."""
    logger.info("fold %d: evaluation", fold)
    names = Counter(item["image_name"] for item in data_list(plan.data_dir))
    workflow = _workflow(
        plan,
        fold,
        is_evaluation=True,
        output_dir=str(plan.fold_dir(fold) / "evaluation"),
        patient_in_names=max(names.values()) > 1,
    )
    _run(workflow)
    evaluator = workflow.parser.get_parsed_content("validate#evaluator")
    items = workflow.parser.get_parsed_content("validate#dataset#data")
    scores = np.asarray(evaluator.state.metric_details[_METRIC])
    write_scores(plan.scores_file(fold), FoldScores([f"{i['patient']}/{i['image_name']}" for i in items], scores))
    del workflow, evaluator
    _free_memory()


def _workflow(
    plan: CrossValidation, fold: int, *, is_evaluation: bool = False, settings: bool = True, **overrides: Any
) -> ConfigWorkflow:
    """Return the bundle's training or evaluation of one fold."""
    root = find_bundle(plan.bundle)
    configs = Path(root, "configs")
    # Evaluation comes after the user's configurations: it has the last word on which weights the network gets.
    last = ["evaluate.json", "no_tracking.json"] if is_evaluation else []
    return ConfigWorkflow(
        config_file=[
            str(configs / "train.json"),
            *map(str, plan.configs),
            *(str(configs / name) for name in (last if plan.tracking or last else ["no_tracking.json"])),
        ],
        meta_file=str(configs / "metadata.json"),
        logging_file=str(configs / "logging.conf"),
        workflow_type="train",
        run_id="evaluating" if is_evaluation else "training",
        bundle_root=root,
        data_dir=str(Path(plan.data_dir).absolute()),
        folds=str(Path(plan.folds).absolute()),
        fold=fold,
        ckpt_dir=str(plan.fold_dir(fold) / "models"),
        run_name=f"{Path(root).name}-fold{fold}",
        **overrides,
        **((plan.settings or {}) if settings else {}),
    )


def _run(workflow: ConfigWorkflow) -> None:
    workflow.initialize()
    workflow.run()
    workflow.finalize()


def _free_memory() -> None:
    """Let go of networks, which handlers and engines hold in circles."""
    gc.collect()
    torch.cuda.empty_cache()


def _tracking_settings(plan: CrossValidation) -> dict[str, str] | None:
    """Return where the bundle's runs are recorded, from its configuration and the user's; None if they are not."""
    parser = _workflow(plan, 0).parser
    if not parser.get_parsed_content("tracking"):
        return None
    return {name: str(parser.get_parsed_content(name)) for name in ("tracking_uri", "experiment_name")}


def _join(plan: CrossValidation, num_folds: int) -> dict[str, Any]:
    """Join the results of all folds that are done."""
    output = Path(plan.output)
    done = [fold for fold in range(num_folds) if plan.scores_file(fold).exists()]
    scores = {fold: read_scores(plan.scores_file(fold)) for fold in done}
    joined = FoldScores.joined(scores.values())
    write_scores(output / SCORES, joined)
    write_table(output / TABLE, per_bone_table(joined.dice, joined.image_names))
    draw_scores(output / FIGURE, scores)
    join_submissions([plan.fold_dir(fold) / "evaluation" / SUBMISSION for fold in done], output / SUBMISSION)
    summary = {"num_folds": num_folds, **summarise(scores)}
    with write_atomically(output / SUMMARY) as temporary:
        temporary.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return summary
