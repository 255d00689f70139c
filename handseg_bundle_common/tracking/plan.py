"""What a cross-validation is to train, and the bundle's workflows for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser, ConfigWorkflow

from handseg_bundle_common.datasets import fold_split
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.weights import find_bundle

SCORES = "scores.csv"

_BEST_WEIGHTS, _AVERAGED_WEIGHTS = "model.pt", "swa.pt"

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
        weights: file among those that a fold's training leaves in `models`; `swa.pt` are averaged weights.
        probabilities: keep the probabilities of the images not trained on, for the selection of an ensemble.
    """

    bundle: str
    data_dir: str | PathLike[str]
    folds: str | PathLike[str]
    output: str | PathLike[str]
    configs: Sequence[str | PathLike[str]] = ()
    settings: Mapping[str, Any] | None = None
    tracking: bool = True
    weights: str = _BEST_WEIGHTS
    probabilities: bool = False

    def fold_dir(self, fold: int) -> Path:
        """Return the folder of one fold."""
        return Path(self.output, f"fold{fold}")

    def scores_file(self, fold: int) -> Path:
        """Return the file of a fold's scores, which is there when the fold is done."""
        return self.fold_dir(fold) / SCORES


def checked_folds(plan: CrossValidation, count: int, only: Sequence[int] | None) -> list[int]:
    """Return the folds to run, after checking that each has images and that configurations and settings are known.

    Args:
        plan: what to train.
        count: number of folds in the file.
        only: the folds wanted, all if None.

    Raises:
        HandsegInputError: a fold, image, configuration or setting cannot be used.
    """
    wanted = list(range(count) if only is None else only)
    unknown = [fold for fold in wanted if fold not in range(count)]
    if unknown:
        raise HandsegInputError(plan.folds, f"has no fold {unknown[0]}", f"choose 0 to {count - 1}")
    for fold in wanted:
        fold_split(plan.data_dir, plan.folds, fold, "validation")
        fold_split(plan.data_dir, plan.folds, fold, "training")
    train = Path(find_bundle(plan.bundle), "configs", "train.json")
    if not train.is_file():
        raise HandsegInputError(train, "is not there: this bundle is not trained", "cross-validate its members")
    for path in plan.configs:
        if not Path(path).is_file():
            raise HandsegInputError(path, "is not there or not a file", "name configuration files that exist")
    _check_settings(plan)
    return wanted


def _check_settings(plan: CrossValidation) -> None:
    """Refuse settings that would change nothing, what the cross-validation itself sets, and weights nobody writes."""
    parser = fold_workflow(plan, 0, settings=False).parser
    if plan.weights not in (_BEST_WEIGHTS, _AVERAGED_WEIGHTS if "swa" in parser.config else _BEST_WEIGHTS):
        remedy = f"choose {_BEST_WEIGHTS}, or {_AVERAGED_WEIGHTS} with swa.json among the configurations"
        raise HandsegInputError("weights", f"{plan.weights} is not written by this training", remedy)
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


def fold_workflow(
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
