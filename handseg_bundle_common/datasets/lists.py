"""Data lists for MONAI: images and polygons of a folder, paired and named."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.radiograph import SUFFIXES
from handseg_bundle_common.resources import shared_path

Item = dict[str, str]

LAYOUT = "lay the images in DCM/<patient>/<image>.png and the polygons in outputs_json/<patient>/<image>.json"


def find_images(root: str | PathLike[str]) -> list[Path]:
    """Return the images below a folder, sorted; hidden files are left out and linked folders followed.

    Raises:
        HandsegInputError: the folder is missing or holds no image.
    """
    images = _find_files(root, SUFFIXES)
    if not images:
        raise HandsegInputError(root, f"holds no image ({', '.join(SUFFIXES)})", LAYOUT)
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


def sample_dir() -> Path:
    """Return the folder of sample hands that every bundle uses by default."""
    return shared_path("data/sample")


def _find_files(root: str | PathLike[str], suffixes: tuple[str, ...]) -> list[Path]:
    """Return the files of these suffixes below `root`, sorted, without hidden ones."""
    if not Path(root).is_dir():
        raise HandsegInputError(root, "is not a folder", LAYOUT)
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
