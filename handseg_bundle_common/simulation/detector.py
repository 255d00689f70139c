"""From line integrals to a displayed radiograph: blur, noise, tone, processing and the field around the hand."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.simulation.attenuation import BoneImage
from handseg_bundle_common.simulation.settings import DetectorSettings

Image = NDArray[np.float32]

# Linear attenuation per millimetre at about 38 keV: water and compact bone of 1.9 g/cm3 (NIST XCOM).
_WATER, _COMPACT_BONE = 0.028, 0.110


@dataclass(frozen=True)
class Appearance:
    """Drawn look of one radiograph; greys are shares of the full scale.

    Attributes:
        focal_blur_mm: standard deviation of the blur of focal spot and detector.
        noise: standard deviation of the noise in line integrals behind air; it grows with the thickness.
        air: grey of air.
        top: grey of the brightest bone.
        gamma: exponent of the tone curve; above 1 darkens soft tissue.
        tone: offsets (4,) that bend the tone curve at inner knots.
        ramp: smooth field added to the picture, at 4 x 4 knots.
        sharpening: strengths (2,) of unsharp masking at a fine and a coarse scale; negative blurs.
    """

    focal_blur_mm: float
    noise: float
    air: float
    top: float
    gamma: float
    tone: NDArray[np.float64]
    ramp: NDArray[np.float32]
    sharpening: tuple[float, float]


def draw_appearance(generator: np.random.Generator, settings: DetectorSettings) -> Appearance:
    """Draw the look of one radiograph."""
    return Appearance(
        focal_blur_mm=settings.focal_blur_mm.draw(generator),
        noise=float(np.exp(generator.uniform(np.log(0.002), np.log(0.02)))),
        air=float(np.clip(generator.normal(0.045, 0.03), 0.0, 0.15)),
        top=float(generator.uniform(0.52, 0.9)),
        gamma=float(np.clip(np.exp(generator.normal(0.2, 0.25)), 0.8, 2.4)),
        tone=generator.normal(0, 0.03, 4),
        ramp=(generator.normal(0, 0.02, (4, 4))).astype(np.float32),
        sharpening=(float(generator.uniform(-0.2, 0.7)), float(generator.uniform(-0.1, 0.4))),
    )


def develop(
    water_mm: Image, bones: BoneImage, spacing_mm: float, look: Appearance, generator: np.random.Generator
) -> Image:
    """Turn water and compact bone along the rays (H, W) into a radiograph (H, W) in 0..1, bone bright.

    Args:
        water_mm: water along the rays.
        bones: compact bone along the rays, and where bones are: the exposure follows them.
        spacing_mm: distance of pixel centres.
        look: drawn appearance.
        generator: source of the noise, which is per pixel.
    """
    line_integrals = np.float32(_WATER) * water_mm + np.float32(_COMPACT_BONE) * bones.mineral_mm
    signal = _blur(line_integrals, look.focal_blur_mm / spacing_mm)
    signal = signal + _noise(signal, look.noise * 0.3 / max(spacing_mm, 0.15), generator)
    bone = bones.packed_masks > 0
    reference = float(np.percentile(signal[bone][::7], 99)) if bone.any() else 1.0
    signal = _sharpen(signal / max(reference, 1e-3), spacing_mm, look.sharpening)
    grey = look.air + (look.top - look.air) * _tone(signal, look.gamma, look.tone)
    grey += cv2.resize(look.ramp, grey.shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(grey, 0, 1), np.float32)


def _blur(image: Image, sigma: float) -> Image:
    if sigma < 0.25:
        return image
    if sigma < 8:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32)
    small = cv2.resize(image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), sigma / 4)
    return np.asarray(cv2.resize(blurred, image.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _noise(signal: Image, strength: float, generator: np.random.Generator) -> Image:
    """Return quantum noise: the variance of a logarithm grows as the number of photons falls."""
    white = generator.standard_normal(signal.shape, dtype=np.float32)
    return np.asarray(strength * np.exp(0.5 * np.minimum(signal, 4)) * white, np.float32)


def _sharpen(image: Image, spacing_mm: float, strengths: tuple[float, float]) -> Image:
    """Unsharp masking at about 0.5 mm and 3 mm, as vendors' multi-frequency processing does."""
    for strength, scale in zip(strengths, (0.5, 3.0), strict=True):
        image = image + strength * (image - _blur(image, max(scale / spacing_mm, 0.6)))
    return image


def _tone(signal: Image, gamma: float, offsets: NDArray[np.float64]) -> Image:
    """Apply a monotone tone curve with its ends at 0 and 1, by a table."""
    knots = np.linspace(0, 1, len(offsets) + 2)
    curve = np.concatenate([[0], knots[1:-1] ** gamma + offsets * knots[1:-1], [1]])
    levels = np.linspace(0, 1.5, 8192)
    smooth = levels**gamma + np.interp(levels, knots, curve - knots**gamma)
    table = np.maximum.accumulate(smooth).astype(np.float32)
    return np.asarray(table[(np.clip(signal, 0, 1.5) * (8191 / 1.5)).astype(np.uint16)])
