"""Results folders of several models, matched image by image with the data set that tells what is right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.datasets import Item, data_list
from handseg_bundle_common.datasets.predictions import SUBMISSION, FileIndex, key_of
from handseg_bundle_common.ensemble.members import WINDOW_IDS
from handseg_bundle_common.ensemble.network import Combine
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import read_json
from handseg_bundle_common.formats.probabilities import MAX_LEVEL, probabilities_path, read_probabilities
from handseg_bundle_common.formats.radiograph import read_size
from handseg_bundle_common.formats.rle import decode_rle, read_submission
from handseg_bundle_common.weights import find_bundle

Levels = NDArray[np.uint8]

# What `handseg predict` and `handseg cross-validate` write about the model behind the predictions.
_ORIGINS = ("prediction.json", "cross_validation.json")
_SAME_IMAGES = "predict the same images of the data set with every model"


@dataclass(frozen=True)
class ModelPredictions:
    """The results folder of one model.

    Attributes:
        name: name of the folder.
        folder: the folder.
        image_names: its images, as they are named in `predictions.csv`.
        has_probabilities: whether there are probabilities of every image.
        bundle: bundle that made them, if the folder tells.
        weights: file of weights that made them, if the folder tells, or that shall take part in their place.
        windows: size and windows with which they were made, if the folder tells.
    """

    name: str
    folder: Path
    image_names: tuple[str, ...]
    has_probabilities: bool
    bundle: str | None
    weights: str | None
    windows: dict[str, Any] | None


@dataclass(frozen=True)
class Case:
    """One radiograph that every model has segmented.

    Attributes:
        item: what `datasets.data_list` says about it.
        size: (H, W) in px.
        named: its name in the predictions of each model.
    """

    item: Item
    size: tuple[int, int]
    named: tuple[str, ...]

    @property
    def patient(self) -> str:
        """Whose hand it shows."""
        return self.item["patient"]


def read_models(
    folders: Sequence[str | PathLike[str]], weights: Sequence[str | PathLike[str]] | None = None
) -> list[ModelPredictions]:
    """Look into the results folders of several models.

    Args:
        folders: the folders.
        weights: files of weights that shall take part in the ensemble, one a folder in their order, such as those
            trained on all data; None takes what each folder tells.

    Raises:
        HandsegInputError: there are fewer than two, one has no submission, or two have one name; or with `weights`,
            these are more or fewer, one is not there, or a folder does not tell a bundle that can be found.
    """
    if len(folders) < 2:
        raise HandsegInputError("predictions", "fewer than two models to choose from", "name two folders or more")
    models = [_read_model(Path(folder)) for folder in folders]
    by_name: dict[str, ModelPredictions] = {}
    for model in models:
        first = by_name.setdefault(model.name, model)
        if first is not model:
            raise HandsegInputError(model.folder, f"has the same name as {first.folder}", "rename one of them")
    return models if weights is None else _with_weights(models, [Path(path).expanduser() for path in weights])


def common_combination(models: Sequence[ModelPredictions]) -> Combine:
    """Return what of these models can be averaged: probabilities if all have them, or else votes."""
    return Combine.PROBABILITIES if all(model.has_probabilities for model in models) else Combine.VOTES


def match_images(models: Sequence[ModelPredictions], data_dir: str | PathLike[str]) -> list[Case]:
    """Find the radiographs and polygons of all predictions, in the order of the data set.

    An image may be named `image.png`, `patient/image.png` or by a longer path that ends so.

    Raises:
        HandsegInputError: the data set has no polygons, an image is not in it or in several patients' folders, or
            a model lacks an image that another one has.
    """
    items = data_list(data_dir)
    if "label" not in items[0]:
        raise HandsegInputError(data_dir, "has images without polygons", "name the data set with its polygons")
    numbers = {Path(item["image"]): number for number, item in enumerate(items)}
    root = Path(data_dir).absolute() / "DCM"
    index = FileIndex(data_dir, ((key_of(image.relative_to(root)), image) for image in numbers))
    named = [_find(model, index, numbers, data_dir) for model in models]
    wanted = sorted(set().union(*named))
    for model, found in zip(models, named, strict=True):
        missing = [_full_name(items[number]) for number in wanted if number not in found]
        if missing:
            problem = f"lacks {len(missing)} of the {len(wanted)} images of all models, {missing[0]!r} first"
            raise HandsegInputError(model.folder, problem, _SAME_IMAGES)
    return [
        Case(items[number], read_size(items[number]["image"]), tuple(found[number] for found in named))
        for number in wanted
    ]


class LevelReader:
    """Reads what all models say about a bone of an image, in 8-bit levels.

    Probabilities are taken as they are stored, at the largest working size among the models; those of other models
    are resized to it bilinearly. Masks are taken at the native size, and become 0 and 255.

    Args:
        models: the models.
        combine: "probabilities" or "votes". For votes all submissions are held in memory, as run-length codes.
    """

    def __init__(self, models: Sequence[ModelPredictions], combine: Combine) -> None:
        self._models = models
        self._codes: list[dict[str, dict[str, str]]] = []
        if combine is Combine.VOTES:
            self._codes = [read_submission(model.folder / SUBMISSION) for model in models]

    def read(self, case: Case) -> Iterator[Levels]:
        """Yield the levels (models, h, w) of every bone in channel order.

        Raises:
            HandsegInputError: a file cannot be read, or is of another size than the radiograph.
        """
        return self._masks(case) if self._codes else self._probabilities(case)

    def _masks(self, case: Case) -> Iterator[Levels]:
        for bone in BONE_NAMES:
            masks = [
                decode_rle(codes[name][bone], *case.size, source=f"{model.folder / SUBMISSION}, {name}, {bone}")
                for model, codes, name in zip(self._models, self._codes, case.named, strict=True)
            ]
            yield np.stack(masks).view(np.uint8) * np.uint8(MAX_LEVEL)

    def _probabilities(self, case: Case) -> Iterator[Levels]:
        stored = []
        for model, name in zip(self._models, case.named, strict=True):
            path = probabilities_path(model.folder, name)
            probabilities = read_probabilities(path)
            if probabilities.native_size != case.size:
                (height, width), (true_height, true_width) = probabilities.native_size, case.size
                problem = f"is of {width} x {height} px, the radiograph of {true_width} x {true_height}"
                raise HandsegInputError(path, problem, "predict the images of the data set itself")
            stored.append(probabilities.values)
        height, width = max((values.shape[1:] for values in stored), key=np.prod)
        for channel in range(len(BONE_NAMES)):
            yield np.stack([_resized(values[channel], height, width) for values in stored])


def _read_model(folder: Path) -> ModelPredictions:
    image_names = tuple(read_submission(folder / SUBMISSION))
    if not image_names:
        raise HandsegInputError(folder / SUBMISSION, "holds no image", _SAME_IMAGES)
    origin = _read_origin(folder)
    settings = origin.get("settings", {}) | origin
    return ModelPredictions(
        name=folder.resolve().name,
        folder=folder,
        image_names=image_names,
        has_probabilities=all(probabilities_path(folder, name).is_file() for name in image_names),
        bundle=origin.get("bundle"),
        weights=origin.get("weights") if (folder / _ORIGINS[0]).exists() else None,
        windows={name: settings[name] for name in WINDOW_IDS if name in settings} or None,
    )


def _with_weights(models: Sequence[ModelPredictions], files: Sequence[Path]) -> list[ModelPredictions]:
    """Return the models with other weights, absolute, of bundles that are there."""
    if len(files) != len(models):
        problem = f"{len(files)} for {len(models)} models"
        raise HandsegInputError("weights", problem, "name one file for each folder of predictions, in their order")
    for model, file in zip(models, files, strict=True):
        if not file.is_file():
            raise HandsegInputError(file, "is not there or not a file", f"name the weights of {model.name}")
        if model.bundle is None:
            remedy = "predict with handseg predict or cross-validate"
            raise HandsegInputError(model.folder, "does not tell which bundle its weights belong to", remedy)
        find_bundle(model.bundle)
    return [replace(model, weights=str(file.absolute())) for model, file in zip(models, files, strict=True)]


def _read_origin(folder: Path) -> dict[str, Any]:
    """Return what the folder tells about the model; a cross-validation knows its bundle, but has one model a fold."""
    path = next((folder / name for name in _ORIGINS if (folder / name).exists()), None)
    if path is None:
        return {}
    remedy = "delete it, or predict again"
    origin = read_json(path, remedy)
    if not isinstance(origin, dict):
        raise HandsegInputError(path, "is no JSON object", remedy)
    return origin


def _full_name(item: Item) -> str:
    return f"{item['patient']}/{item['image_name']}"


def _find(
    model: ModelPredictions, index: FileIndex, numbers: Mapping[Path, int], data_dir: str | PathLike[str]
) -> dict[int, str]:
    """Return the names of a model's images by their places in the data set."""
    found: dict[int, str] = {}
    for name in model.image_names:
        place = index.find(key_of(name), name)
        if place is None:
            raise HandsegInputError(model.folder, f"has {name!r}, which {data_dir} does not hold", _SAME_IMAGES)
        number = numbers[place[1]]
        if found.setdefault(number, name) != name:
            problem = f"has one image twice, as {found[number]!r} and as {name!r}"
            raise HandsegInputError(model.folder, problem, _SAME_IMAGES)
    return found


def _resized(levels: Levels, height: int, width: int) -> Levels:
    if levels.shape == (height, width):
        return levels
    return np.asarray(cv2.resize(levels, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
