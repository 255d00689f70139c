"""Folds that keep the images of a patient together."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Literal

from handseg_bundle_common.datasets.lists import LAYOUT, Item, data_list
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import read_json, write_atomically
from handseg_bundle_common.resources import shared_path

Folds = list[list[str]]

DEFAULT_NUM_FOLDS = 5

_FOLDS_LAYOUT = 'write it again, as {"num_folds": 2, "seed": 0, "folds": [["patient1", ...], ["patient2", ...]]}'


def make_folds(items: Sequence[Item], num_folds: int = DEFAULT_NUM_FOLDS, seed: int = 0) -> Folds:
    """Deal the patients to folds of nearly equal numbers of images.

    The order in which they are dealt is that of a hash of seed and name: the same on every machine and version.

    Returns:
        The patients of each fold, sorted.

    Raises:
        HandsegInputError: fewer than two folds, or fewer patients than folds.
    """
    images = Counter(item["patient"] for item in items)
    if not 2 <= num_folds <= len(images):
        raise HandsegInputError(
            "num_folds",
            f"{num_folds} folds cannot be made of {len(images)} patients",
            "make at least 2 folds, and no more than there are patients (folders below DCM)",
        )
    dealt = sorted(images, key=lambda name: (-images[name], hashlib.sha256(os.fsencode(f"{seed}/{name}")).digest()))
    folds: Folds = [[] for _ in range(num_folds)]
    for patient in dealt:
        min(folds, key=lambda fold: sum(images[name] for name in fold)).append(patient)
    return [sorted(fold) for fold in folds]


def write_folds(path: str | PathLike[str], folds: Folds, seed: int = 0) -> None:
    """Write folds as JSON: `{"num_folds": k, "seed": s, "folds": [[patient, ...], ...]}`."""
    document = {"num_folds": len(folds), "seed": seed, "folds": folds}
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def read_folds(path: str | PathLike[str]) -> Folds:
    """Read folds.

    Raises:
        HandsegInputError: the file is missing or of another layout, or a patient is in two folds.
    """
    document = read_json(path, _FOLDS_LAYOUT)
    folds = document.get("folds") if isinstance(document, dict) else None
    if not isinstance(folds, list) or not all(isinstance(fold, list) and fold for fold in folds):
        raise HandsegInputError(path, 'has no list "folds" of lists of patients', _FOLDS_LAYOUT)
    if document.get("num_folds", len(folds)) != len(folds):
        raise HandsegInputError(path, f"has {len(folds)} folds, not num_folds", _FOLDS_LAYOUT)
    fold_of: dict[str, int] = {}
    for number, fold in enumerate(folds):
        for patient in fold:
            if not isinstance(patient, str):
                raise HandsegInputError(path, f"the patient {patient!r} is not text", "put the name in quotes")
            if fold_of.setdefault(patient, number) != number:
                problem = f"the patient {patient!r} is in the folds {fold_of[patient]} and {number}"
                raise HandsegInputError(path, problem, "keep every patient in one fold")
    return folds


def fold_split(
    data_dir: str | PathLike[str],
    folds: str | PathLike[str] | None,
    fold: int,
    section: Literal["training", "validation"],
) -> list[Item]:
    """Return the annotated items of one section of a cross-validation.

    Args:
        data_dir: folder in the layout of `data_list`.
        folds: file of `write_folds`; None makes 5 folds, or one a patient where there are fewer.
        fold: the fold that validates; the others train.
        section: "training" or "validation".

    Raises:
        HandsegInputError: data or folds cannot be read, the data has no polygons or patients of no fold,
            the fold or section is unknown, or the section is empty.
    """
    if section not in ("training", "validation"):
        raise HandsegInputError("section", f"{section!r} is unknown", 'choose "training" or "validation"')
    items = data_list(data_dir)
    if "label" not in items[0]:
        raise HandsegInputError(data_dir, "has images without polygons", LAYOUT)
    patients = {item["patient"] for item in items}
    source = data_dir if folds is None else folds
    dealt = read_folds(folds) if folds is not None else make_folds(items, max(2, min(DEFAULT_NUM_FOLDS, len(patients))))
    if fold not in range(len(dealt)):
        raise HandsegInputError(source, f"has no fold {fold}", f"choose 0 to {len(dealt) - 1}")
    strangers = sorted(patients.difference(*dealt))
    if strangers:
        problem = f"{len(strangers)} patients of {data_dir} are in no fold, {strangers[0]!r} first"
        raise HandsegInputError(source, problem, "make the folds again from this data")
    chosen = [item for item in items if (item["patient"] in dealt[fold]) == (section == "validation")]
    if not chosen:
        problem = f"none of the patients of {data_dir} is in the {section} section of fold {fold}"
        raise HandsegInputError(source, problem, "make the folds again from this data")
    return chosen


def sample_folds() -> Path:
    """Return the folds of the sample hands."""
    return shared_path("data/folds/sample.json")
