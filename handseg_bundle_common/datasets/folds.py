"""Folds that keep the images of a patient together and have the same share of tilted wrists."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from handseg_bundle_common.datasets.fingerprint import data_fingerprint
from handseg_bundle_common.datasets.lists import LAYOUT, Item, data_list
from handseg_bundle_common.datasets.wrist import WristStratum, wrist_stratum
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import read_json, write_atomically
from handseg_bundle_common.resources import shared_path

Folds = list[list[str]]

DEFAULT_NUM_FOLDS = 5

_FOLDS_LAYOUT = 'write it again, as {"num_folds": 2, "seed": 0, "folds": [["patient1", ...], ["patient2", ...]]}'

logger = logging.getLogger(__name__)


def make_folds(items: Sequence[Item], num_folds: int = DEFAULT_NUM_FOLDS, seed: int = 0) -> Folds:
    """Deal the patients to folds of nearly equal numbers of images and nearly equal shares of each wrist stratum.

    Patients with the same numbers of images of each stratum follow one another, in the order of a hash of seed and
    name: the same on every machine and version. Each goes to the fold with the fewest images, and of several such to
    the one with the fewest of the patient's strata.

    Returns:
        The patients of each fold, sorted.

    Raises:
        HandsegInputError: fewer than two folds, fewer patients than folds, or polygons that cannot be read.
    """
    names = {item["patient"] for item in items}
    if not 2 <= num_folds <= len(names):
        raise HandsegInputError(
            "num_folds",
            f"{num_folds} folds cannot be made of {len(names)} patients",
            "make at least 2 folds, and no more than there are patients (folders below DCM)",
        )
    patients = _strata_of_patients(items)
    totals = sum(patients.values(), Counter[WristStratum]())
    folds: Folds = [[] for _ in range(num_folds)]
    tallies: list[Counter[WristStratum]] = [Counter() for _ in folds]
    for patient in sorted(patients, key=lambda name: _turn(name, patients[name], seed)):
        images = patients[patient]
        chosen = min(range(num_folds), key=lambda fold: (tallies[fold].total(), _share(tallies[fold], images, totals)))
        folds[chosen].append(patient)
        tallies[chosen] += images
    return [sorted(fold) for fold in folds]


def write_folds(path: str | PathLike[str], folds: Folds, seed: int = 0, fingerprint: str | None = None) -> None:
    """Write folds as JSON: `{"num_folds": k, "seed": s, "fingerprint": f, "folds": [[patient, ...], ...]}`.

    Args:
        path: the file.
        folds: patients of each fold.
        seed: what the folds were dealt with.
        fingerprint: `data_fingerprint` of the data they were made of, by which `fold_split` notices changes.
    """
    document: dict[str, Any] = {"num_folds": len(folds), "seed": seed}
    if fingerprint is not None:
        document["fingerprint"] = fingerprint
    document["folds"] = folds
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def read_folds(path: str | PathLike[str]) -> Folds:
    """Read folds.

    Raises:
        HandsegInputError: the file is missing or of another layout, or a patient is in two folds.
    """
    return _read(path)[0]


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

    Returns:
        The items; a warning in the log names the file of folds if it was made of other images or polygons.

    Raises:
        HandsegInputError: data or folds cannot be read, the data has no polygons or patients of no fold,
            the fold or section is unknown, or the section is empty.
    """
    if section not in ("training", "validation"):
        raise HandsegInputError("section", f"{section!r} is unknown", 'choose "training" or "validation"')
    items = data_list(data_dir)
    if "label" not in items[0]:
        raise HandsegInputError(data_dir, "has images without polygons", LAYOUT)
    source = data_dir if folds is None else folds
    dealt = _folds_for(items, data_dir, folds)
    if fold not in range(len(dealt)):
        raise HandsegInputError(source, f"has no fold {fold}", f"choose 0 to {len(dealt) - 1}")
    chosen = [item for item in items if (item["patient"] in dealt[fold]) == (section == "validation")]
    if not chosen:
        problem = f"none of the patients of {data_dir} is in the {section} section of fold {fold}"
        raise HandsegInputError(source, problem, "make the folds again from this data")
    return chosen


def sample_folds() -> Path:
    """Return the folds of the sample hands."""
    return shared_path("data/folds/sample.json", "name a file that make-folds wrote of your data with --folds")


def _folds_for(items: Sequence[Item], data_dir: str | PathLike[str], path: str | PathLike[str] | None) -> Folds:
    """Return the folds of a file, or such as fit the data, in which every patient has a place."""
    patients = {item["patient"] for item in items}
    if path is None:
        return make_folds(items, max(2, min(DEFAULT_NUM_FOLDS, len(patients))))
    dealt, fingerprint = _read(path)
    if fingerprint is not None and fingerprint != data_fingerprint(items):
        _warn_once(f"{path}: was made of other images or polygons than {data_dir} holds now; its folds stay valid.")
    strangers = sorted(patients.difference(*dealt))
    if strangers:
        problem = f"{len(strangers)} patients of {data_dir} are in no fold, {strangers[0]!r} first"
        raise HandsegInputError(path, problem, "make the folds again from this data")
    return dealt


def _strata_of_patients(items: Sequence[Item]) -> dict[str, Counter[WristStratum]]:
    """Count the images of each patient by wrist stratum; the bar shows when the polygons take their time."""
    patients: defaultdict[str, Counter[WristStratum]] = defaultdict(Counter)
    for item in tqdm(items, desc="reading wrist angles", unit="image", delay=2, disable=None):
        patients[item["patient"]][wrist_stratum(item)] += 1
    return patients


def _turn(name: str, images: Counter[WristStratum], seed: int) -> tuple[int, list[int], bytes]:
    """Return what patients are sorted by before they are dealt."""
    strata = [images[stratum] for stratum in WristStratum]
    return -images.total(), strata, hashlib.sha256(os.fsencode(f"{seed}/{name}")).digest()


def _share(fold: Counter[WristStratum], images: Counter[WristStratum], totals: Counter[WristStratum]) -> Fraction:
    """Return how much a fold has of the strata of some images; exact, so that every machine finds the same ties."""
    return sum((Fraction(images[s] * fold[s], totals[s]) for s in images), Fraction())


def _read(path: str | PathLike[str]) -> tuple[Folds, str | None]:
    """Return the folds of a file and the fingerprint of their data, which older files lack."""
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
    return folds, document.get("fingerprint")


@lru_cache
def _warn_once(message: str) -> None:
    """Log a warning that both sections of a split would repeat."""
    logger.warning(message)
