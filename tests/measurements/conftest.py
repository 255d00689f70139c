"""Hands of known geometry: rectangles in the places of the mean hand's bones, and the simulated hands of the sample."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from handseg_bundle_common.anatomy import BONES, CHANNEL, MEAN_CENTROIDS, Group
from handseg_bundle_common.formats.boostcamp import rasterise_packed, read_annotations
from handseg_bundle_common.formats.radiograph import read_radiograph
from handseg_bundle_common.masks import Packed

SIDE = 420

# Middle (x + iy), height and width in px.
Rectangles = dict[str, tuple[complex, float, float]]
DrawHand = Callable[..., Packed]
ReadHand = Callable[[str], tuple[np.ndarray, Packed]]


def draw(rectangles: Rectangles, turn: float = 0, mirrored: bool = False) -> Packed:
    """Return the packed masks of upright rectangles, all turned by degrees about the picture's middle."""
    columns, rows = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    centre = (SIDE - 1) / 2 * (1 + 1j)
    pixels = (columns + 1j * rows - centre) * np.exp(-1j * np.radians(turn)) + centre
    packed = np.zeros((SIDE, SIDE), np.uint32)
    for bone, (middle, height, width) in rectangles.items():
        own = pixels - middle
        inside = (np.abs(own.imag) < height / 2) & (np.abs(own.real) < width / 2)
        packed |= inside.astype(np.uint32) << np.uint32(CHANNEL[bone])
    return np.ascontiguousarray(packed[:, ::-1]) if mirrored else packed


@pytest.fixture
def draw_hand() -> DrawHand:
    """`draw`: packed masks (420, 420) of rectangles, turned or mirrored."""
    return draw


@pytest.fixture
def rectangles() -> Rectangles:
    """A right hand, fingers up, none at the border; the ulna ends 6 px below the radius, 34 px below the metacarpal."""
    sizes = {Group.PHALANGES: (24, 8), Group.METACARPALS: (48, 10), Group.CARPALS: (14, 12)}
    origin = 210.5 + 180.5j
    hand = {
        bone.name: (origin + complex(*place), *sizes[bone.group])
        for bone, place in zip(BONES, MEAN_CENTROIDS, strict=True)
        if bone.group in sizes
    }
    base = hand["finger-11"][0] + 24j
    top = base.imag + 34
    hand["Radius"] = complex(base.real, top + 60), 120, 40
    hand["Ulna"] = complex(base.real + 36, top + 6 + 57), 114, 18
    return hand


@pytest.fixture
def sample_hand(sample_data: Path) -> ReadHand:
    """A function that returns radiograph (1, 512, 512) and packed masks of a hand of the sample by its name."""

    def read(name: str) -> tuple[np.ndarray, Packed]:
        (label,) = sample_data.glob(f"outputs_json/*/{name}.json")
        radiograph = read_radiograph(sample_data / "DCM" / label.parent.name / f"{name}.png")
        return radiograph, rasterise_packed(read_annotations(label), *radiograph.shape[1:])

    return read
