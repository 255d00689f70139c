"""A tiny data set, and models that see it in known ways."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from handseg_bundle_common.anatomy import BONE_NAMES, NUM_BONES
from handseg_bundle_common.ensemble.selection.evidence import Evidence, Fusions
from handseg_bundle_common.ensemble.selection.predictions import (
    LevelReader,
    common_combination,
    match_images,
    read_models,
)
from handseg_bundle_common.formats.boostcamp import rasterise, write_annotations
from handseg_bundle_common.formats.probabilities import probabilities_path, write_probabilities
from handseg_bundle_common.formats.rle import SubmissionWriter

SIZE = (66, 60)
Probabilities = dict[str, np.ndarray]


@dataclass(frozen=True)
class World:
    """A data set and a folder for predictions.

    Attributes:
        data: the data set.
        results: parent of the models' folders.
        truth: masks (29, H, W) by `patient/image.png`.
    """

    data: Path
    results: Path
    truth: Probabilities

    def predict(
        self, name: str, probabilities: Mapping[str, np.ndarray], *, keep: bool = True, origin: object = None
    ) -> Path:
        """Write the results folder of a model from probabilities (29, h, w); masks only with `keep=False`."""
        folder = self.results / name
        with SubmissionWriter(folder / "predictions.csv") as submission:
            for image, values in probabilities.items():
                enlarge = [full // own for full, own in zip(SIZE, values.shape[1:], strict=True)]
                submission.write(image, np.kron(values > 0.5, np.ones(enlarge, bool)))
                if keep:
                    write_probabilities(probabilities_path(folder, image), values, SIZE)
        if origin is not None:
            (folder / "prediction.json").write_text(json.dumps(origin))
        return folder

    def evidence(self, folders: Sequence[Path], scratch: Path) -> Evidence:
        """Return the evidence of several models."""
        models = read_models(folders)
        scratch.mkdir()
        return Evidence(match_images(models, self.data), LevelReader(models, common_combination(models)), scratch)


@pytest.fixture(scope="session")
def make_world() -> Callable[..., World]:
    """Builds worlds of rectangles that overlap with their neighbours."""

    def make(folder: Path, patients: int = 3, images: int = 2) -> World:
        random = np.random.default_rng(7)
        truth = {}
        for patient, image in np.ndindex(patients, images):
            name = f"ID{patient:03}/image{patient * images + image}"
            annotations = {}
            for channel, bone in enumerate(BONE_NAMES):
                x, y = 1 + channel % 6 * 9 + random.integers(2), 2 + channel // 6 * 12 + random.integers(2)
                wide, tall = random.integers(8, 11, size=2)
                corners = [(x, y), (x + wide, y), (x + wide, y + tall), (x, y + tall)]
                annotations[bone] = [np.array(corners, np.float64)]
            write_annotations(folder / "data" / "outputs_json" / f"{name}.json", annotations)
            picture = folder / "data" / "DCM" / f"{name}.png"
            picture.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.zeros(SIZE, np.uint8)).save(picture)
            truth[f"{name}.png"] = rasterise(annotations, *SIZE)
        return World(folder / "data", folder / "results", truth)

    return make


@pytest.fixture
def world(make_world: Callable[..., World], tmp_path: Path) -> World:
    return make_world(tmp_path)


@pytest.fixture(scope="session")
def noisy() -> Callable[..., Probabilities]:
    """Returns what a model makes of masks: probabilities with noise, weaker for bones that it is bad at."""

    def noisy(truth: Probabilities, seed: int, bad: Sequence[int] = (), noise: float = 0.35) -> Probabilities:
        random = np.random.default_rng(seed)
        signal = np.full((NUM_BONES, 1, 1), 0.25)
        signal[list(bad)] = 0.1
        return {
            name: np.clip(0.5 + signal * (2.0 * masks - 1) + noise * random.normal(size=masks.shape), 0, 1)
            for name, masks in truth.items()
        }

    return noisy


@pytest.fixture(scope="session")
def table_of() -> Callable[..., SimpleNamespace]:
    """Returns evidence whose Dice is a function of weights (K, M, 29) and thresholds (K, 29), without any pixels."""

    def table_of(dice: Callable[[Fusions], np.ndarray], patients: Sequence[str], models: int) -> SimpleNamespace:
        return SimpleNamespace(
            scores=lambda fusions: SimpleNamespace(dice=dice(fusions)), patients=list(patients), models=models
        )

    return table_of
