"""What stands beside the hand in a radiograph: strips, collimation borders and markers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.simulation.settings import FieldSettings

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Scene:
    """Drawn surroundings of the hand; greys are shares of the full scale.

    Attributes:
        strip: height as a share of the picture and grey of a bright strip along the top.
        borders: widths of dark collimation borders as shares of the picture: left, right, top, bottom.
        marker: centre (x, y), width, height as shares and grey of a side marker; grey 0 means none.
        inverted: whether the picture is stored with dark bones.
        bits: depth of the stored picture, 8 or 16.
    """

    strip: tuple[float, float]
    borders: tuple[float, float, float, float]
    marker: tuple[float, float, float, float, float]
    inverted: bool
    bits: int


def draw_scene(generator: np.random.Generator, settings: FieldSettings) -> Scene:
    """Draw the surroundings of the hand."""
    has_strip, has_borders, has_marker = generator.random(3) < (0.4, 0.2, 0.35)
    borders = generator.uniform(0, 0.05, 4) * (generator.random(4) < 0.6) * has_borders
    side = generator.choice([-1, 1])
    return Scene(
        strip=(float(generator.uniform(0.004, 0.03)), float(generator.uniform(0.1, 0.6)) * bool(has_strip)),
        borders=(float(borders[0]), float(borders[1]), float(borders[2]), float(borders[3])),
        marker=(
            float(0.5 + side * generator.uniform(0.32, 0.45)),
            float(generator.uniform(0.04, 0.3)),
            float(generator.uniform(0.03, 0.08)),
            float(generator.uniform(0.03, 0.08)),
            float(generator.uniform(0.3, 1.0)) * bool(has_marker),
        ),
        inverted=False,
        bits=8,
    )


def furnish(radiograph: Image, scene: Scene) -> Image:
    """Return the radiograph (H, W) in its surroundings."""
    grey = radiograph.copy()
    height, width = grey.shape
    strip, brightness = scene.strip
    if brightness:
        grey[: max(round(strip * height), 1)] += brightness
    x, y, wide, high, level = scene.marker
    if level:
        rows = slice(round((y - high / 2) * height), round((y + high / 2) * height))
        columns = slice(round((x - wide / 2) * width), round((x + wide / 2) * width))
        grey[rows, columns] = np.maximum(grey[rows, columns], level)
    left, right, top, bottom = (
        round(share * side) for share, side in zip(scene.borders, (width, width, height, height), strict=True)
    )
    grey[:top], grey[height - bottom :], grey[:, :left], grey[:, width - right :] = 0, 0, 0, 0
    return np.clip(grey, 0, 1)
