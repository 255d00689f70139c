"""Data lists for MONAI and folds that keep the images of a patient together."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Literal

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import read_json, write_atomically
from handseg_bundle_common.formats.radiograph import SUFFIXES
from handseg_bundle_common.resources import shared_path

Item = dict[str, str]
Folds = list[list[str]]

DEFAULT_NUM_FOLDS = 5

_LAYOUT = "lay the images in DCM/<patient>/<image>.png and the polygons in outputs_json/<patient>/<image>.json"
_FOLDS_LAYOUT = 'write it again, as {"num_folds": 2, "seed": 0, "folds": [["patient1", ...], ["patient2", ...]]}'


def find_images(root: str | PathLike[str]) -> list[Path]:
    """Return the images below a folder, sorted; hidden files are left out and linked folders followed.

    Raises:
        HandsegInputError: the folder is missing or holds no image.
    """
    images = _find_files(root, SUFFIXES)
    if not images:
        raise HandsegInputError(root, f"holds no image ({', '.join(SUFFIXES)})", _LAYOUT)
    return images


def image_list(paths: Iterable[str | PathLike[str]]) -> list[Item]:
    """Return MONAI items without labels; the folder of an image names its patient."""
    return [_item(Path(path).absolute(), Path(path).absolute().parent.name) for path in paths]


def data_list(data_dir: str | PathLike[str]) -> list[Item]:
    """Return one MONAI item an image: `image`, `label` (absolute paths), `image_name` and `patient`.

    Without a folder `outputs_json` the items have no `label`, and any folder of images will do.

    Raises:
        HandsegInputError: no image is found, or an image or polygon file lacks its counterpart.
    """
    folder = Path(data_dir).absolute()
    labels_dir = folder / "outputs_json"
    has_labels = labels_dir.is_dir()
    images_dir = folder / "DCM" if has_labels or (folder / "DCM").is_dir() else folder
    images = find_images(images_dir)
    items = [_item(image, _patient(image, images_dir)) for image in images]
    if not has_labels:
        return items
    image_keys = [image.relative_to(images_dir).with_suffix("") for image in images]
    labels = {path.relative_to(labels_dir).with_suffix(""): path for path in _find_files(labels_dir, (".json",))}
    _check_pairs(folder, image_keys, labels)
    return [item | {"label": str(labels[key])} for item, key in zip(items, image_keys, strict=True)]


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
        raise HandsegInputError(data_dir, "has images without polygons", _LAYOUT)
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


def sample_dir() -> Path:
    """Return the folder of sample hands that every bundle uses by default."""
    return shared_path("data/sample")


def sample_folds() -> Path:
    """Return the folds of the sample hands."""
    return shared_path("data/folds/sample.json")


def _find_files(root: str | PathLike[str], suffixes: tuple[str, ...]) -> list[Path]:
    """Return the files of these suffixes below `root`, sorted, without hidden ones."""
    if not Path(root).is_dir():
        raise HandsegInputError(root, "is not a folder", _LAYOUT)
    files: list[Path] = []
    for name, subfolders, names in os.walk(root, followlinks=True):
        folder = Path(name)
        subfolders[:] = [sub for sub in subfolders if sub[0] != "." and not _leads_back(folder / sub)]
        files += [folder / file for file in names if file[0] != "." and Path(file).suffix.lower() in suffixes]
    return sorted(files)


def _leads_back(folder: Path) -> bool:
    """Tell whether a folder is a link to one above it, in which a walk would go round in circles."""
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())


def _item(image: Path, patient: str) -> Item:
    return {"image": str(image), "image_name": image.name, "patient": patient}


def _patient(image: Path, images_dir: Path) -> str:
    """Return the first folder below `images_dir`, or `images_dir` itself for an image that lies in it."""
    first, *rest = image.relative_to(images_dir).parts
    return first if rest else images_dir.name


def _check_pairs(data_dir: Path, images: Sequence[Path], labels: Iterable[Path]) -> None:
    """Refuse images without polygons, polygons without images and two images of one name."""
    twice = [image for image, count in Counter(images).items() if count > 1]
    if twice:
        raise HandsegInputError(data_dir, f"two images in DCM are named {twice[0]}", "keep one of them")
    for kind, other, lone in (
        ("images", "polygons in outputs_json", set(images).difference(labels)),
        ("polygon files", "an image in DCM", set(labels).difference(images)),
    ):
        if lone:
            problem = f"{len(lone)} {kind} lack {other}, {min(lone)} first"
            raise HandsegInputError(data_dir, problem, "add the missing files or remove their counterparts")
