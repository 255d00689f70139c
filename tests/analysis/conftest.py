"""Predictions of the sample hands: perfect ones, and others that tests spoil on purpose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from handseg_bundle_common.datasets import Item, data_list
from handseg_bundle_common.formats.boostcamp import rasterise, read_annotations
from handseg_bundle_common.formats.radiograph import read_size
from handseg_bundle_common.formats.rle import SubmissionWriter

Masks = NDArray[np.bool_]
Spoil = Callable[[str, Masks], Masks]


@pytest.fixture(scope="session")
def items(sample_data: Path) -> list[Item]:
    return data_list(sample_data)


@pytest.fixture(scope="session")
def hands(items: list[Item]) -> dict[str, Masks]:
    """Masks (29, H, W) of the first four sample hands, of two patients, by image name."""
    return {
        item["image_name"]: rasterise(read_annotations(item["label"]), *read_size(item["image"])) for item in items[:4]
    }


@pytest.fixture(scope="session")
def roughened() -> Callable[[Masks, int], Masks]:
    """Gives masks whose outlines are off by up to two px, each bone's by another number, drawn from a seed."""

    def roughen(masks: Masks, seed: int) -> Masks:
        draw = np.random.default_rng(seed)
        square = np.ones((3, 3), np.uint8)
        rough = []
        for mask in masks.astype(np.uint8):
            steps = int(draw.integers(-2, 3))
            change = cv2.dilate if steps > 0 else cv2.erode
            rough.append(change(mask, square, iterations=abs(steps)) if steps else mask)
        return np.stack(rough).astype(bool)

    return roughen


@pytest.fixture
def submission(tmp_path: Path, hands: dict[str, Masks]) -> Callable[..., Path]:
    """Writes a submission of the hands, spoiled by a function of image name and masks."""

    def write(name: str = "predictions.csv", spoil: Spoil = lambda _, masks: masks) -> Path:
        path = tmp_path / name
        with SubmissionWriter(path) as writer:
            for image_name, masks in hands.items():
                writer.write(image_name, spoil(image_name, masks.copy()))
        return path

    return write
