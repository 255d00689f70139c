"""Inverted radiographs: the sample hands and what may be done to them, and pictures that tell nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from handseg_bundle_common.formats.inversion import is_inverted
from handseg_bundle_common.formats.stored import StoredRadiograph

PATH = os.environ.get("HANDSEG_REAL_RADIOGRAPH")


def judge(shares: np.ndarray) -> bool:
    """Judge a picture of 0..1 as it would be stored in 8 bits."""
    return is_inverted(StoredRadiograph(np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8), 0, 255))


def read(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L"), np.float32) / 255


@pytest.fixture(scope="module", params=range(0, 8, 2))
def hand(request: pytest.FixtureRequest, sample_data: Path) -> np.ndarray:
    """One hand of each patient."""
    return read(sorted(sample_data.glob("DCM/*/*.png"))[request.param])


def crop(rows: tuple[float, float], columns: tuple[float, float]) -> Callable[[np.ndarray], np.ndarray]:
    def cut(image: np.ndarray) -> np.ndarray:
        (top, bottom), (left, right) = (
            [round(share * side) for share in shares] for shares, side in zip((rows, columns), image.shape, strict=True)
        )
        return image[top:bottom, left:right]

    return cut


def frame(level: float, share: float = 0.12) -> Callable[[np.ndarray], np.ndarray]:
    def cover(image: np.ndarray) -> np.ndarray:
        covered = np.full_like(image, level)
        rows, columns = (slice(round(share * side), round((1 - share) * side)) for side in image.shape)
        covered[rows, columns] = image[rows, columns]
        return covered

    return cover


def tilted_shutters(level: float) -> Callable[[np.ndarray], np.ndarray]:
    def cover(image: np.ndarray) -> np.ndarray:
        corners = cv2.boxPoints(((image.shape[1] / 2, image.shape[0] / 2), (0.8 * image.shape[1], image.shape[0]), 12))
        inside = cv2.fillPoly(np.zeros(image.shape, np.uint8), [corners.astype(np.int32)], (1,))
        return np.where(inside == 1, image, np.float32(level))

    return cover


def with_marker(image: np.ndarray) -> np.ndarray:
    marked = np.zeros(image.shape, np.uint8)
    cv2.putText(marked, "R", (20, 90), cv2.FONT_HERSHEY_SIMPLEX, 2.5, (1,), 12)
    return np.where(marked == 1, np.float32(1), image)


# What may happen to the content, and what is laid over it whichever way round the content is.
CONTENT: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as it is": lambda image: image,
    "gamma 0.5": np.sqrt,
    "gamma 2": np.square,
    "low contrast": lambda image: 0.4 + 0.12 * image,
    "rotated": lambda image: ndimage.rotate(image, 30, order=1, cval=float(np.median(image))),
    "quarter turn": np.rot90,
    "fingers": crop((0.05, 0.5), (0.15, 0.85)),
    "wrist": crop((0.5, 0.95), (0.2, 0.8)),
}
COVER: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "nothing": lambda image: image,
    "black shutters": frame(0),
    "white shutters": frame(1),
    "grey frame": lambda image: np.pad(image, 60, constant_values=0.5),
    "tilted black shutters": tilted_shutters(0),
    "marker": with_marker,
    "black borders and marker": lambda image: with_marker(frame(0, 0.04)(image)),
}

INVERTED_COVER = ("nothing", "black shutters", "white shutters", "grey frame", "marker")


@pytest.mark.parametrize("cover", COVER)
@pytest.mark.parametrize("content", CONTENT)
def test_upright_hand_is_left_alone(hand: np.ndarray, content: str, cover: str) -> None:
    assert not judge(COVER[cover](CONTENT[content](hand)))


@pytest.mark.parametrize("cover", INVERTED_COVER)
def test_inverted_hand_is_recognised(hand: np.ndarray, cover: str) -> None:
    assert judge(COVER[cover](1 - hand))


@pytest.mark.parametrize("content", ["gamma 0.5", "rotated", "quarter turn", "wrist"])
def test_inverted_hands_are_mostly_recognised_when_they_were_changed(sample_data: Path, content: str) -> None:
    hands = [read(path) for path in sorted(sample_data.glob("DCM/*/*.png"))]
    found = [judge(COVER[cover](1 - CONTENT[content](hand))) for hand in hands for cover in INVERTED_COVER]
    assert np.mean(found) >= 0.8


def test_scale_of_the_file_counts_not_its_levels(hand: np.ndarray) -> None:
    levels = np.rint(hand * 4095).astype(np.uint16)
    assert not is_inverted(StoredRadiograph(levels, 0, 4095))
    assert is_inverted(StoredRadiograph(levels, 4095, 0))
    assert is_inverted(StoredRadiograph(1 - hand, 0, 1))


def test_small_picture_is_not_judged(hand: np.ndarray) -> None:
    inverted = 1 - hand
    assert judge(cv2.resize(inverted, (128, 128), interpolation=cv2.INTER_AREA))
    assert not judge(cv2.resize(inverted, (127, 127), interpolation=cv2.INTER_AREA))


@pytest.mark.parametrize("size", [(128, 300_000), (300_000, 128), (128, 2000)])
def test_strip_of_any_length_tells_nothing(size: tuple[int, int]) -> None:
    levels = np.tile(np.arange(128, dtype=np.uint8), (max(size), 1)).reshape(size)
    assert not is_inverted(StoredRadiograph(levels, 0, 255))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(128, 128), (200, 300), (700, 500)]), st.booleans(), st.data())
def test_noise_and_ramps_tell_nothing(seed: int, size: tuple[int, int], dark: bool, data: st.DataObject) -> None:
    generator = np.random.default_rng(seed)
    rows, columns = np.indices(size) / np.max(size)
    angle = generator.uniform(0, 2 * np.pi)
    ramp = np.clip(0.5 + 0.35 * (np.cos(angle) * (columns - 0.5) + np.sin(angle) * (rows - 0.5)), 0, 1)
    image = data.draw(
        st.sampled_from(
            [
                generator.random(size),
                generator.exponential(0.2, size),
                0.5 + 0.1 * generator.standard_normal(size),
                generator.integers(0, 2, size),
                ndimage.gaussian_filter(generator.random(size), 3) - 0.3,
                ramp,
                ramp + 0.02 * generator.standard_normal(size),
                np.full(size, generator.random()),
                np.round(ramp),
            ]
        )
    )
    assert not judge(1 - image if dark else image)


@pytest.mark.skipif(PATH is None, reason="HANDSEG_REAL_RADIOGRAPH names no radiograph")
@pytest.mark.parametrize("content", CONTENT)
def test_real_radiograph(content: str) -> None:
    image = CONTENT[content](read(Path(str(PATH))))
    for cover in COVER.values():
        assert not judge(cover(image))
    assert judge(1 - image)
