"""The folder that a run leaves behind: what it ran with, what it reached, and the files worth keeping."""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handseg_bundle_common.engine.records import CONFIG_FILE, ENVIRONMENT_FILE
from handseg_bundle_common.engine.run_parameters import bundle_of, run_parameters
from handseg_bundle_common.engine.short_paths import without_folders
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import open_csv, read_json
from handseg_bundle_common.metrics import ImageScores, read_scores
from handseg_bundle_common.metrics.differences import dice_with_intervals

METRICS_FILE, SCORES_FILE, FIGURES = "metrics.csv", "scores.csv", "figures"
BEST_WEIGHTS, AVERAGED_WEIGHTS = "model.pt", "swa.pt"

_FILES = (ENVIRONMENT_FILE, METRICS_FILE, "per_bone.csv", SCORES_FILE, "record.md")
REPORT, _OVERLAYS, _CONFIGS, _MODELS = "report", "overlays", "configs", "models"
_REPORT_FILES = ("report.html", "*.csv", "*.parquet", "figures/*.png")
_OF_TRAINERS = ("train_", "swa_", "learning_rate")
_REMEDY = "name the folder of a run as it was left"


@dataclass(frozen=True)
class RunFolder:
    """The folder `output_dir` of a training or an evaluation.

    Attributes:
        path: the folder.
        models: folder of the weights that a training wrote, `ckpt_dir`; None for an evaluation.
    """

    path: Path
    models: Path | None = None

    def config(self) -> dict[str, Any]:
        """Return the configuration as executed; empty if the folder holds none.

        Raises:
            HandsegInputError: the file is damaged.
        """
        return _document(self.path / CONFIG_FILE)

    def environment(self) -> dict[str, Any]:
        """Return what the run was made with; empty if the folder does not tell.

        Raises:
            HandsegInputError: the file is damaged.
        """
        return _document(self.path / ENVIRONMENT_FILE)

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the run; see `run_parameters`."""
        return run_parameters(self.config(), self.environment())

    def history(self) -> list[tuple[int, dict[str, float]]]:
        """Return step and metrics of every epoch, named as in MLflow: those of validations begin with `val_`.

        Raises:
            HandsegInputError: `metrics.csv` is missing or damaged.
        """
        path = self.path / METRICS_FILE
        try:
            with open_csv(path) as file:
                rows = list(csv.DictReader(file))
            return [(int(row.pop("epoch", 1)), _metrics(row)) for row in rows]
        except (OSError, ValueError, TypeError, csv.Error) as error:
            raise HandsegInputError(path, f"cannot be read as metrics ({error})", _REMEDY) from error

    def scores(self) -> ImageScores | None:
        """Return the Dice of every image, or None if there are none.

        Raises:
            HandsegInputError: `scores.csv` is damaged.
        """
        path = self.path / SCORES_FILE
        scores = read_scores(path) if path.exists() else None
        return scores if scores is not None and scores.image_names else None

    def weights(self) -> list[Path]:
        """Return the best weights of a training and the averaged ones, as far as they are there."""
        names = (BEST_WEIGHTS, AVERAGED_WEIGHTS)
        return [] if self.models is None else [self.models / name for name in names if (self.models / name).is_file()]

    def artifacts(self, staging: Path) -> Iterator[tuple[Path, str | None]]:
        """Yield the files worth keeping, each with the folder of MLflow's artifacts it belongs to, None for the top.

        Args:
            staging: empty folder for files that are kept otherwise than they are: the configurations without folders,
                and the overlays by number instead of by image.
        """
        config = self.config()
        if config:
            yield _written(staging / CONFIG_FILE, without_folders(config)), None
        for name in _FILES:
            if (self.path / name).is_file():
                yield self.path / name, None
        for path in sorted(self.path.glob(f"{FIGURES}/*.png")):
            yield path, FIGURES
        for path in _numbered(self.path / _OVERLAYS, staging / _OVERLAYS):
            yield path, _OVERLAYS
        yield from report_files(self.path / REPORT)
        for path in self.weights():
            yield path, _MODELS
        bundle = bundle_of(config)
        for path in sorted(bundle.glob("configs/*.json")) if bundle else ():
            yield _written(staging / _CONFIGS / path.name, without_folders(_document(path))), _CONFIGS


def report_files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield page, tables and figures of the folder that `handseg analyze` writes, each with its place in MLflow."""
    for pattern in _REPORT_FILES:
        for path in sorted(folder.glob(pattern)):
            yield path, (REPORT / path.parent.relative_to(folder)).as_posix()


def final_scores(scores: ImageScores) -> dict[str, float]:
    """Return mean Dice and that of the small bones, with 95 % intervals as `_low` and `_high` if there are any."""
    numbers: dict[str, float] = {}
    for name, found in zip(("mean_dice", "small_bone_dice"), dice_with_intervals(scores).values(), strict=True):
        numbers |= {name: found.estimate, f"{name}_low": found.low, f"{name}_high": found.high}
    return {name: value for name, value in numbers.items() if not math.isnan(value)}


def _document(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    document = read_json(path, _REMEDY)
    if not isinstance(document, dict):
        raise HandsegInputError(path, "holds no settings by name", _REMEDY)
    return document


def _metrics(row: dict[str, str]) -> dict[str, float]:
    values = {name: float(text) for name, text in row.items() if text}
    return {name if name.startswith(_OF_TRAINERS) else f"val_{name}": value for name, value in values.items()}


def _written(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=4) + "\n", encoding="utf-8")
    return path


def _numbered(folder: Path, staging: Path) -> Iterator[Path]:
    """Copy pictures, which are named after images, to 1.png, 2.png and so on in the order of their names."""
    pictures = sorted(folder.rglob("*.png"))
    staging.mkdir(parents=True, exist_ok=True)
    digits = len(str(len(pictures)))
    for number, picture in enumerate(pictures, 1):
        yield Path(shutil.copyfile(picture, staging / f"{number:0{digits}d}.png"))
