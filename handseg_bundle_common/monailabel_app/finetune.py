"""Fine-tuning a bundle on the labels of people: its own recipe `finetune.json`, in a process of its own."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import shutil
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from handseg_bundle_common.datasets.lists import Item
from handseg_bundle_common.engine.run_folder import METRICS_FILE
from handseg_bundle_common.errors import EXIT_CODE, HandsegInputError
from handseg_bundle_common.files import make_folder, open_csv, write_atomically
from handseg_bundle_common.monailabel_app.models import MODELS, Model, finetuned_weights
from handseg_bundle_common.monailabel_app.store import LabelStore

TRAININGS = "trainings"
_RUN = "run.json"
_LOG = "training.log"


@dataclass(frozen=True)
class Recipe:
    """What a client may choose; every value is a number, because text in a configuration may be code.

    Attributes:
        max_epochs: passes through the labels.
        learning_rate: the largest one.
        batch_size: radiographs a step.
        val_split: share of the patients that is held out, by which the best epoch is chosen.
        image_size: longer side in px at which the network works; that of the bundle if 0.
        num_workers: processes that read radiographs.
    """

    max_epochs: int = 20
    learning_rate: float = 2e-4
    batch_size: int = 4
    val_split: float = 0.2
    image_size: int = 0
    num_workers: int = 0

    @classmethod
    def parse(cls, request: Mapping[str, Any]) -> Recipe:
        """Take the values of a request that are known here, and leave out what MONAI Label adds.

        Raises:
            HandsegInputError: a value is no number of its range.
        """
        given = {name: request[name] for name in cls.__dataclass_fields__ if request.get(name) is not None}
        for name, value in given.items():
            kind = type(getattr(cls, name))
            low, high = _RANGES[name]
            is_number = type(value) in (int, float) and math.isfinite(value) and kind(value) == value
            if not is_number or not low <= value <= high:
                raise HandsegInputError(name, f"{str(value)[:40]!r} cannot be used", f"choose {low} to {high}")
        return cls(**{name: type(getattr(cls, name))(value) for name, value in given.items()})

    def settings(self) -> dict[str, int | float]:
        """Return the values for the ids of a bundle's `train.json`."""
        settings: dict[str, int | float] = {
            "max_epochs": self.max_epochs,
            "learning_rate": self.learning_rate,
            "batch_size": self.batch_size,
            "num_workers": self.num_workers,
        }
        return settings | ({"image_size": self.image_size} if self.image_size else {})


_RANGES = {
    "max_epochs": (1, 10_000),
    "learning_rate": (0.0, 1.0),
    "batch_size": (1, 1024),
    "val_split": (0.0, 0.9),
    "image_size": (0, 8192),
    "num_workers": (0, 64),
}


def fine_tune(model: Model, store: LabelStore, recipe: Recipe) -> dict[str, Any]:
    """Train on all labels of people, from the weights that the bundle came with, and offer the result.

    Writes `<labels>/trainings/<bundle>-<time>/`: `run.json`, laid over the bundle's `train.json` and `finetune.json`,
    the log, the metrics of every epoch and overlays; then `<labels>/models/<bundle>/model.pt`, the weights of the epoch
    with the best Dice. Nothing is logged to MLflow; `handseg log-run` does that later.

    Args:
        model: a bundle with its own weights.
        store: radiographs and labels.
        recipe: what the client chose.

    Returns:
        `model`, `training`, the run's folder, `images` and `validated_on`, and the `metrics` of the last epoch.

    Raises:
        HandsegInputError: there is no label, the bundle has no recipe, or the training failed; the message tells the
            sentence or the last line of its log.
    """
    if not model.can_learn or not model.is_own:
        raise HandsegInputError("model", f"{model.name!r} cannot be fine-tuned", "choose a bundle with finetune.json")
    items = store.datalist()
    if not items:
        raise HandsegInputError("train", "there is no label yet", "save a label first")
    training, validation, told = split(items, recipe.val_split)
    started = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    folder = make_folder(store.labels / TRAININGS / f"{model.name}-{started}-{uuid.uuid4().hex[:4]}")
    overlay = overlay_of(model, folder, training, validation, recipe)
    with write_atomically(folder / _RUN) as temporary:
        temporary.write_text(json.dumps(overlay, indent=1) + "\n", encoding="utf-8")
    _run(model, folder)
    target = finetuned_weights(store.labels / MODELS, model.name)
    with write_atomically(target) as temporary:
        shutil.copyfile(folder / MODELS / "model.pt", temporary)
    with open_csv(folder / METRICS_FILE) as file:
        *_, last = csv.DictReader(file)
    return {
        "model": f"{model.name}-finetuned",
        "training": folder.name,
        "images": len(training),
        "validated_on": told,
        "metrics": {name: float(value) for name, value in last.items() if value},
    }


def split(items: Sequence[Item], share: float) -> tuple[list[Item], list[Item], str]:
    """Hold out whole patients; who is held out stays so while labels are added, as far as the share allows.

    Args:
        items: labelled radiographs.
        share: of the patients; at least one is held out if there are two.

    Returns:
        Items to train on, items to validate on, and what the latter are. With a single patient they are the same.
    """
    # By a digest, in which the order of patients is random and always the same.
    patients = sorted({item["patient"] for item in items}, key=lambda name: hashlib.sha256(name.encode()).digest())
    count = min(max(1, round(share * len(patients))), len(patients) - 1) if share else 0
    held_out = set(patients[:count])
    training = [item for item in items if item["patient"] not in held_out]
    validation = [item for item in items if item["patient"] in held_out]
    if not validation:
        return training, training, "the images of the training, because no patient could be held out"
    return training, validation, f"{len(validation)} images of {len(held_out)} other patients"


def overlay_of(
    model: Model, folder: Path, training: Sequence[Item], validation: Sequence[Item], recipe: Recipe
) -> dict[str, Any]:
    """Return what is laid over a bundle's `train.json` and `finetune.json`."""
    return {
        **recipe.settings(),
        "bundle_root": str(model.bundle),
        "initial_weights": str(model.bundle / "models" / "model.pt"),
        "ckpt_dir": str(folder / MODELS),
        "output_dir": str(folder),
        "run_name": folder.name,
        "data_dir": None,
        "tracking": False,
        "train#dataset#data": list(training),
        "validate#dataset#data": list(validation),
    }


def _run(model: Model, folder: Path) -> None:
    """Run the training; what it prints goes to its log, and its one sentence about bad input is raised."""
    configs = [model.bundle / "configs" / "train.json", model.bundle / "configs" / "finetune.json", folder / _RUN]
    names = str([str(path) for path in configs])
    command = [sys.executable, "-m", "monai.bundle", "run", "training", "--config_file", names]
    with (folder / _LOG).open("wb") as log:
        code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False).returncode  # noqa: S603
    if not code:
        return
    lines = (folder / _LOG).read_text(encoding="utf-8", errors="replace").splitlines()
    sentence = next((line for line in reversed(lines) if line.startswith("handseg: ")), "")
    if code == EXIT_CODE and sentence:
        raise HandsegInputError("train", sentence.removeprefix("handseg: ").rstrip("."), "correct this and train again")
    problem = f"ended with {code} ({' '.join(lines[-1:])[:200]})"
    raise HandsegInputError("train", problem, f"look at {TRAININGS}/{folder.name}/{_LOG} in the folder of labels")
