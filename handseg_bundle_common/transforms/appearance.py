"""Strong random appearance, so that a network trained on simulated radiographs holds on real ones.

Source of the effects: a probe in which they took the Dice of a small network, trained on simulated hands alone, from
0.70 to 0.86 on real radiographs. The ranges are near the probe's, with a Gaussian in place of its box blur; the
probabilities are ours. Lengths are those of a radiograph of 320 px and grow with it.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform

from handseg_bundle_common.transforms.load import contrast_limits, stretch
from handseg_bundle_common.transforms.warp import FloatArray

_REFERENCE_SIZE = 320
_TABLE = 1024


@dataclass(frozen=True)
class Rectangle:
    """A plain patch, such as a marker or a strip.

    Attributes:
        rows: first and last place as shares of the height.
        columns: first and last place as shares of the width.
        grey: its grey.
        opacity: 1 hides what is below.
    """

    rows: tuple[float, float]
    columns: tuple[float, float]
    grey: float
    opacity: float


@dataclass(frozen=True)
class Appearance:
    """What one radiograph is changed by, in the order of application; what is None is left out.

    Attributes:
        texture: length in px of a 320 px radiograph and standard deviation, before it is enlarged bicubically to that
            length, of a noise that multiplies the greys.
        field: (4, 4) knots of a smooth field that is added.
        blur: standard deviation of a Gaussian in px of a 320 px radiograph.
        unsharp: standard deviation in such px and gain of an unsharp mask; a negative gain takes details away.
        tone: heights of a rising tone curve at even steps from 0 to 1.
        rectangles: patches.
        noise: standard deviation of white noise.
        seed: seed of texture and noise.
    """

    texture: tuple[float, float] | None = None
    field: FloatArray | None = None
    blur: float | None = None
    unsharp: tuple[float, float] | None = None
    tone: FloatArray | None = None
    rectangles: tuple[Rectangle, ...] = ()
    noise: float | None = None
    seed: int = 0


class RandAppearanced(RandomizableTransform, MapTransform):
    """Change tone, shading, texture, sharpness, noise and obstructions of a 0..1 radiograph at random, strongly.

    At the end the contrast is stretched between the same percentiles as that of every radiograph that is read.

    Args:
        keys: the radiograph, float32 (1, H, W), 0..1.
        strength: multiplies the probability of every effect; 0 changes nothing.
    """

    _PROBABILITIES: ClassVar[Mapping[str, float]] = {
        "texture": 0.5,
        "field": 0.5,
        "blur": 0.25,
        "unsharp": 0.5,
        "tone": 0.8,
        "strip": 0.15,
        "rectangles": 0.25,
        "noise": 0.5,
    }

    def __init__(self, keys: KeysCollection = "image", *, strength: float = 1.0) -> None:
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self, prob=1.0 if strength > 0 else 0.0)
        self.strength = strength

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of the item with the radiograph changed."""
        item = dict(data)
        self.randomize(None)
        if self._do_transform:
            drawn = self.draw()
            for key in self.key_iterator(item):
                image = np.asarray(item[key], np.float32)[0]
                item[key] = torch.from_numpy(apply_appearance(image, drawn)[None])
        return item

    def draw(self) -> Appearance:
        """Draw what changes."""
        rng = self.R
        happens = {name: rng.random_sample() < p * self.strength for name, p in self._PROBABILITIES.items()}
        rectangles = [_draw_rectangle(rng) for _ in range(rng.randint(1, 4))] if happens["rectangles"] else []
        if happens["strip"]:
            rectangles.append(Rectangle((0, rng.uniform(0.01, 0.08)), (0, 1), rng.uniform(0.6, 1), 1.0))
        return Appearance(
            texture=(rng.uniform(1, 4), rng.uniform(0, 0.12)) if happens["texture"] else None,
            field=rng.normal(0, 0.12, (4, 4)).astype(np.float32) if happens["field"] else None,
            blur=rng.uniform(0.3, 1.4) if happens["blur"] else None,
            unsharp=(rng.choice([1.2, 2.2, 5.0]), rng.uniform(-0.5, 2.5)) if happens["unsharp"] else None,
            tone=_draw_tone(rng) if happens["tone"] else None,
            rectangles=tuple(rectangles),
            noise=rng.uniform(0, 0.05) if happens["noise"] else None,
            seed=rng.randint(2**31),
        )


def apply_appearance(image: FloatArray, drawn: Appearance) -> FloatArray:
    """Return a radiograph (H, W), 0..1, changed by what was drawn, its contrast stretched to 0..1."""
    scale = max(image.shape) / _REFERENCE_SIZE
    rng = np.random.default_rng(drawn.seed)
    if drawn.texture is not None:
        length, deviation = drawn.texture
        knots = tuple(max(round(n / (length * scale)), 2) for n in image.shape)
        image = image * (1 + np.float32(deviation) * _enlarged(_noise(rng, knots), image.shape))
    if drawn.field is not None:
        image = image + _enlarged(drawn.field, image.shape)
    if drawn.blur is not None:
        image = _blurred(image, drawn.blur * scale)
    if drawn.unsharp is not None:
        sigma, gain = drawn.unsharp
        image = image + np.float32(gain) * (image - _blurred(image, sigma * scale))
    if drawn.tone is not None:
        image = _toned(image, drawn.tone)
    for rectangle in drawn.rectangles:
        image = _covered(image, rectangle)
    if drawn.noise is not None:
        image = image + np.float32(drawn.noise) * _noise(rng, image.shape)
    return stretch(image, contrast_limits(image))


def _draw_tone(rng: np.random.RandomState) -> FloatArray:
    """Draw a rising curve through six knots, blended with the identity, or a power."""
    levels = np.linspace(0, 1, _TABLE)
    if rng.random_sample() < 0.5:
        return np.asarray(levels ** np.exp(rng.normal(0, 0.4)), np.float32)
    steps = rng.exponential(size=5)
    heights = np.concatenate([[0], np.cumsum(steps) / steps.sum()])
    share = rng.uniform(0, 0.7)
    curve = np.interp(levels, np.linspace(0, 1, 6), heights)
    return np.asarray(share * curve + (1 - share) * levels, np.float32)


def _draw_rectangle(rng: np.random.RandomState) -> Rectangle:
    (top, left), (height, width) = rng.random_sample(2), rng.uniform(0.03, 0.2, 2)
    return Rectangle((top, top + height), (left, left + width), rng.random_sample(), rng.uniform(0.3, 1))


def _toned(image: FloatArray, curve: FloatArray) -> FloatArray:
    """Apply a curve from the darkest to the brightest grey, which effects before may have carried beyond 0..1."""
    low, high = float(image.min()), float(image.max())
    places = (image - low) * ((len(curve) - 1) / max(high - low, 1e-6))
    return np.asarray(np.interp(places, np.arange(len(curve)), curve), np.float32)


def _covered(image: FloatArray, rectangle: Rectangle) -> FloatArray:
    rows, columns = (
        slice(*(round(place * side) for place in places))
        for places, side in zip((rectangle.rows, rectangle.columns), image.shape, strict=True)
    )
    image = image.copy()
    image[rows, columns] += np.float32(rectangle.opacity) * (np.float32(rectangle.grey) - image[rows, columns])
    return image


def _noise(rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    return rng.standard_normal(shape, np.float32)


def _enlarged(knots: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    return np.asarray(cv2.resize(knots, shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def _blurred(image: FloatArray, sigma: float) -> FloatArray:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), np.float32)
