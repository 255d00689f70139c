"""Data lists for MONAI: images and polygons of a folder, paired and named."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.radiograph import SUFFIXES, is_radiograph_file, radiograph_stem
from handseg_bundle_common.resources import shared_path

Item = dict[str, str]

LAYOUT = "lay the images in DCM/<patient>/<image>.png and the polygons in outputs_json/<patient>/<image>.json"


@dataclass(frozen=True)
class Listing:
    """Files of a data set, paired or not.

    Attributes:
        images_dir: folder of the images.
        images: the images with their paths below `images_dir` without suffix, sorted.
        labels: polygon files by their paths below `outputs_json` without suffix; None without such a folder.
    """

    images_dir: Path
    images: list[tuple[Path, Path]]
    labels: dict[Path, Path] | None

    def item(self, image: Path) -> Item:
        """Return the MONAI item of an image, without a label; the first folder below `images_dir` is the patient."""
        return _item(image, self.patient(image.relative_to(self.images_dir)))

    def patient(self, key: Path) -> str:
        """Return the patient of a relative path; `images_dir` itself is one for the images that lie in it."""
        return key.parts[0] if len(key.parts) > 1 else self.images_dir.name


def find_images(root: str | PathLike[str]) -> list[Path]:
    """Return the images below a folder, sorted; hidden files are left out and linked folders followed.

    Raises:
        HandsegInputError: the folder is missing or holds no image.
    """
    images = find_files(root, is_radiograph_file)
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
    listing = list_files(data_dir)
    items = [listing.item(image) for _, image in listing.images]
    if listing.labels is None:
        return items
    keys = [key for key, _ in listing.images]
    _check_pairs(Path(data_dir).absolute(), keys, listing.labels)
    return [item | {"label": str(listing.labels[key])} for item, key in zip(items, keys, strict=True)]


def list_files(data_dir: str | PathLike[str]) -> Listing:
    """Return the images and polygon files of a folder in the layout of `data_list`, whether they match or not.

    Raises:
        HandsegInputError: no image is found.
    """
    folder = Path(data_dir).absolute()
    labels_dir = folder / "outputs_json"
    has_labels = labels_dir.is_dir()
    images_dir = folder / "DCM" if has_labels or (folder / "DCM").is_dir() else folder
    images = [(_key(image, images_dir), image) for image in find_images(images_dir)]
    if not has_labels:
        return Listing(images_dir, images, None)
    labels = find_files(labels_dir, lambda path: path.suffix.lower() == ".json")
    return Listing(images_dir, images, {_key(label, labels_dir): label for label in labels})


def sample_dir() -> Path:
    """Return the folder of sample hands that every bundle uses by default."""
    return shared_path("data/sample", "name the folder of your radiographs with --data_dir")


def find_files(root: str | PathLike[str], wanted: Callable[[Path], bool]) -> list[Path]:
    """Return the files that are wanted below `root`, sorted; hidden ones are left out and linked folders followed.

    Raises:
        HandsegInputError: the folder is missing.
    """
    if not Path(root).is_dir():
        raise HandsegInputError(root, "is not a folder", LAYOUT)
    files: list[Path] = []
    for name, subfolders, names in os.walk(root, followlinks=True):
        folder = Path(name)
        subfolders[:] = [sub for sub in subfolders if sub[0] != "." and not _leads_back(folder / sub)]
        files += [folder / file for file in names if file[0] != "." and wanted(folder / file)]
    return sorted(files)


def _leads_back(folder: Path) -> bool:
    """Tell whether a folder is a link to one above it, in which a walk would go round in circles."""
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())


def _item(image: Path, patient: str) -> Item:
    return {"image": str(image), "image_name": image.name, "patient": patient}


def _key(file: Path, root: Path) -> Path:
    """Return what the path of an image and that of its polygons have in common."""
    return file.relative_to(root).with_name(radiograph_stem(file))


def _check_pairs(data_dir: Path, images: Sequence[Path], labels: Iterable[Path]) -> None:
    """Refuse images without polygons, polygons without images and two images of one name."""
    twice = [image for image, count in Counter(images).items() if count > 1]
    if twice:
        raise HandsegInputError(data_dir, f"two images in DCM are named {twice[0]}", "keep one of them")
    for kind, other, lone in (
        ("images without polygons", "outputs_json", set(images).difference(labels)),
        ("polygon files without an image", "DCM", set(labels).difference(images)),
    ):
        if lone:
            problem = f"{kind} in {other}: {len(lone)}, {min(lone)} first"
            raise HandsegInputError(data_dir, problem, "add the missing files or remove their counterparts")
