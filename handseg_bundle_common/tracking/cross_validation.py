"""Cross-validation: every fold of a data set trained and evaluated with one bundle, as child runs of one parent."""

from __future__ import annotations

import gc
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigWorkflow

from handseg_bundle_common.datasets import data_fingerprint, data_list, read_folds
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import make_folder, read_json, write_atomically
from handseg_bundle_common.formats.probabilities import probabilities_path
from handseg_bundle_common.formats.rle import read_submission
from handseg_bundle_common.metrics import ImageScores, per_bone_table, read_scores, write_scores, write_table
from handseg_bundle_common.tracking.out_of_fold import draw_scores, join_submissions, summarise
from handseg_bundle_common.tracking.parent_run import ParentRun
from handseg_bundle_common.tracking.plan import SCORES, CrossValidation, checked_folds, fold_workflow
from handseg_bundle_common.weights import find_bundle

logger = logging.getLogger(__name__)

RECORD, SUMMARY = "cross_validation.json", "summary.json"
SUBMISSION, TABLE, FIGURE = "predictions.csv", "per_bone.csv", "per_bone.png"


def cross_validate(plan: CrossValidation, only: Sequence[int] | None = None) -> dict[str, Any]:
    """Train and evaluate the folds one after the other, and join their predictions of images not trained on.

    Writes to the output folder, for each fold `fold0/` with weights, checkpoint, metrics and evaluation; then, for all
    folds that are done, `predictions.csv`, `scores.csv` (Dice of every image and bone), `per_bone.csv`,
    `per_bone.png` and `summary.json`, and on request the `probabilities` of every image. Called again after an
    interruption, it passes over folds that are done and continues the one that is not from its last epoch.

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
    wanted = checked_folds(plan, len(folds), only)
    record = _record(plan, folds)
    tracking = _tracking_settings(plan)
    make_folder(plan.output)
    _remember(Path(plan.output, RECORD), record)
    with ParentRun.of(plan.output, tracking, record) as parent:
        for fold in wanted:
            if not plan.scores_file(fold).exists():
                _train(plan, fold, parent.run_id)
            elif not _lacks_probabilities(plan, fold):
                logger.info("fold %d is done already", fold)
                continue
            _evaluate(plan, fold)
        summary = _join(plan, len(folds))
        parent.log(summary, Path(plan.output))
    return summary


def _record(plan: CrossValidation, folds: list[list[str]]) -> dict[str, Any]:
    """Return what must stay the same for an interrupted cross-validation to continue."""
    return {
        "bundle": find_bundle(plan.bundle),
        "data_dir": str(Path(plan.data_dir).absolute()),
        "data": data_fingerprint(data_list(plan.data_dir)),
        "folds": folds,
        "configs": [str(Path(path).absolute()) for path in plan.configs],
        "settings": dict(plan.settings or {}),
        "weights": plan.weights,
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
    _run(fold_workflow(plan, fold, output_dir=output_dir, parent_run=parent_run, resume=True))
    _free_memory()


def _evaluate(plan: CrossValidation, fold: int) -> None:
    """Evaluate the weights of a fold on its validation images and write their scores."""
    logger.info("fold %d: evaluation", fold)
    names = Counter(item["image_name"] for item in data_list(plan.data_dir))
    patient_in_names = max(names.values()) > 1
    keep: dict[str, Any] = {}
    if plan.probabilities:
        folder = str(Path(plan.output).absolute())
        keep = {"probabilities_dir": folder, "patient_in_names": patient_in_names}
    workflow = fold_workflow(
        plan,
        fold,
        is_evaluation=True,
        output_dir=str(plan.fold_dir(fold) / "evaluation"),
        weights=str(plan.fold_dir(fold) / "models" / plan.weights),
        patient_in_names=patient_in_names,
        **{f"validate#postprocessing#{name}": value for name, value in keep.items()},
    )
    _run(workflow)
    write_scores(plan.scores_file(fold), read_scores(plan.fold_dir(fold) / "evaluation" / SCORES))
    del workflow
    _free_memory()


def _lacks_probabilities(plan: CrossValidation, fold: int) -> bool:
    """Tell whether probabilities are asked for that an earlier evaluation has not kept."""
    images = read_submission(plan.fold_dir(fold) / "evaluation" / SUBMISSION) if plan.probabilities else ()
    return not all(probabilities_path(plan.output, name).exists() for name in images)


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
    parser = fold_workflow(plan, 0).parser
    if not parser.get_parsed_content("tracking"):
        return None
    return {name: str(parser.get_parsed_content(name)) for name in ("tracking_uri", "experiment_name")}


def _join(plan: CrossValidation, num_folds: int) -> dict[str, Any]:
    """Join the results of all folds that are done."""
    output = Path(plan.output)
    done = [fold for fold in range(num_folds) if plan.scores_file(fold).exists()]
    scores = {fold: read_scores(plan.scores_file(fold)) for fold in done}
    joined = ImageScores.joined(scores.values())
    write_scores(output / SCORES, joined)
    write_table(output / TABLE, per_bone_table(joined.dice, joined.image_names))
    draw_scores(output / FIGURE, scores)
    join_submissions([plan.fold_dir(fold) / "evaluation" / SUBMISSION for fold in done], output / SUBMISSION)
    summary = {"num_folds": num_folds, **summarise(scores)}
    with write_atomically(output / SUMMARY) as temporary:
        temporary.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return summary
