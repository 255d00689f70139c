"""Predictions on disk, and files that belong to them, found by their names."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from os import PathLike
from pathlib import Path, PurePosixPath

from handseg_bundle_common.datasets.lists import find_images
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import open_csv
from handseg_bundle_common.formats.mask_files import is_mask_file
from handseg_bundle_common.formats.radiograph import radiograph_stem, read_size

SUBMISSION, IMAGES, OVERLAYS, DISAGREEMENT = "predictions.csv", "images.csv", "overlays", "disagreement"
# Folders of masks in other formats than the submission, and of pictures of what was measured.
MASKS, MEASURED = "masks", "measured"

# Folders of pictures and masks that handseg writes, which bear the names of the radiographs.
_DRAWN = frozenset({OVERLAYS, DISAGREEMENT, MASKS, MEASURED})
SAME_IMAGES = "name the folder of the radiographs that were segmented"

Key = tuple[str, ...]
Size = tuple[int, int]


def submission_file(predictions: str | PathLike[str]) -> Path:
    """Return the submission CSV that is named, or the one in the results folder that is."""
    return Path(predictions, SUBMISSION) if Path(predictions).is_dir() else Path(predictions)


def sizes_file(submission: Path) -> Path:
    """Return the table of sizes of a submission, `images.csv`; that of `hands.csv` is `hands.images.csv` beside it."""
    return submission.with_name(IMAGES if submission.name == SUBMISSION else f"{submission.stem}.{IMAGES}")


def read_sizes(submission: Path) -> dict[str, Size]:
    """Return the sizes (H, W) that the table of a submission tells, or else `images.csv` beside it; none without both.

    Raises:
        HandsegInputError: the table is there, but cannot be used.
    """
    tables = (sizes_file(submission), submission.with_name(IMAGES))
    path = next((table for table in tables if table.is_file()), None)
    if path is None:
        return {}
    try:
        with open_csv(path) as file:
            return {row["image_name"]: (int(row["height"]), int(row["width"])) for row in csv.DictReader(file)}
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise HandsegInputError(path, f"tells no sizes of images ({error!r})", "delete it or predict again") from error


def checked_size(radiograph: Path, segmented: Size | None) -> Size:
    """Return the size (H, W) of a radiograph, which is that of what was segmented, if that is known.

    Raises:
        HandsegInputError: it is another one, so that codes would be unrolled to shuffled masks, or cannot be read.
    """
    height, width = size = read_size(radiograph)
    if segmented is not None and segmented != size:
        problem = f"is of {width} x {height} px, but what was segmented of {segmented[1]} x {segmented[0]}"
        raise HandsegInputError(radiograph, problem, SAME_IMAGES)
    return size


def find_radiographs(folder: str | PathLike[str]) -> list[tuple[Key, Path]]:
    """Return the radiographs below a folder, or below its `DCM`, and their keys, without drawn pictures and masks.

    Raises:
        HandsegInputError: the folder is missing, or holds no picture but those that handseg drew.
    """
    if not Path(folder).is_dir():
        raise HandsegInputError(folder, "is not a folder", SAME_IMAGES)
    root = Path(folder, "DCM") if Path(folder, "DCM").is_dir() else Path(folder)
    found = [(image, image.relative_to(root)) for image in find_images(root)]
    others = [(image, path) for image, path in found if _DRAWN.isdisjoint(path.parts[:-1])]
    radiographs = [(key_of(path), image) for image, path in others if not is_mask_file(image)]
    if not radiographs or root.resolve().name in _DRAWN:
        raise HandsegInputError(folder, "holds pictures that handseg drew, not radiographs", SAME_IMAGES)
    return radiographs


def key_of(path: str | PathLike[str]) -> Key:
    """Return the parts of a path, without the suffix of a radiograph."""
    return (*PurePosixPath(path).parts[:-1], radiograph_stem(path))


class FileIndex:
    """Finds the file that a path or the end of a path means.

    Args:
        folder: where the files are, for messages.
        files: the files and their keys.
    """

    def __init__(self, folder: str | PathLike[str], files: Iterable[tuple[Key, Path]]) -> None:
        self._folder = folder
        self._by_stem: dict[str, list[tuple[Key, Path]]] = {}
        for key, path in files:
            self._by_stem.setdefault(key[-1], []).append((key, path))

    def find(self, wanted: Key, name: str) -> tuple[Key, Path] | None:
        """Return the one file whose key ends like `wanted`, as far as both reach, and its key.

        Args:
            wanted: parts of the path of an image without suffix.
            name: the image as the predictions name it; of `a.png` and `a.jpg` its suffix tells which.

        Raises:
            HandsegInputError: several files fit.
        """
        fits = [file for file in self._by_stem.get(wanted[-1], []) if _end_alike(file[0], wanted)]
        if len(fits) > 1:
            fits = [file for file in fits if file[1].name == PurePosixPath(name).name] or fits
        if len(fits) > 1:
            raise self._ambiguous(name, fits)
        return fits[0] if fits else None

    def _ambiguous(self, name: str, fits: list[tuple[Key, Path]]) -> HandsegInputError:
        (first, path), (second, other), *_ = fits
        if first == second:
            problem = f"holds {path.name} and {other.name}, and either may be {name!r}"
            return HandsegInputError(self._folder, problem, "keep one of them")
        problem = f"holds {name!r} {len(fits)} times, first as {'/'.join(first)} and {'/'.join(second)}"
        remedy = "name a folder that holds it once, or predict with --keep-folders"
        return HandsegInputError(self._folder, problem, remedy)


def _end_alike(key: Key, other: Key) -> bool:
    length = min(len(key), len(other))
    return key[-length:] == other[-length:]
