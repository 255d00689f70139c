"""From water and mineral along the rays to a radiograph: spectrum, scatter, noise and blur of the detector."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.simulation.attenuation import BoneImage
from handseg_bundle_common.simulation.processing import Processing, draw_processing, low_pass, process
from handseg_bundle_common.simulation.settings import DetectorSettings

Image = NDArray[np.float32]

# Linear attenuation per millimetre at 30, 40 and 50 keV of water (1 g/cm3), cortical bone of ICRU-44 (1.92 g/cm3) and
# aluminium (2.699 g/cm3): Hubbell and Seltzer, "Tables of X-Ray Mass Attenuation Coefficients", NISTIR 5632.
ENERGIES_KEV = np.array([30.0, 40.0, 50.0])
WATER = np.array([0.3756, 0.2683, 0.2269]) * 0.1
COMPACT_BONE = np.array([1.331, 0.6655, 0.4242]) * 0.192
_ALUMINIUM = np.array([1.128, 0.5685, 0.3681]) * 0.2699
# Total filtration of the tube, IEC 60601-1-3.
_FILTER_MM = 2.5
# Rows that are worked on at a time, so that they stay in the processor's cache.
_STRIP = 64


@dataclass(frozen=True)
class Appearance:
    """Drawn look of one radiograph.

    Attributes:
        kilovolts: peak voltage of the tube.
        photons: detected photons a square millimetre in air.
        structure: standard deviation of the detector's gain that calibration leaves.
        focal_blur_mm: standard deviation of the blur of focal spot and motion, before the photons are counted.
        detector_blur_mm: standard deviation of the detector's blur, which noise shares.
        scatter: scattered photons for each one that is taken out of the primary beam.
        scatter_mm: standard deviation of the scatter's spread.
        glare: share of all light that the detector spreads as widely.
        ramp: heel effect: change of the logarithm of the intensity from the middle to the edges (x, y) and to the
            corners.
        processing: what the vendor's software does.
    """

    kilovolts: float
    photons: float
    structure: float
    focal_blur_mm: float
    detector_blur_mm: float
    scatter: float
    scatter_mm: float
    glare: float
    ramp: tuple[float, float, float]
    processing: Processing


def draw_appearance(generator: np.random.Generator, settings: DetectorSettings) -> Appearance:
    """Draw the look of one radiograph."""
    return Appearance(
        kilovolts=settings.kilovolts.draw(generator),
        photons=settings.photons.draw(generator),
        structure=settings.structure.draw(generator),
        focal_blur_mm=settings.focal_blur_mm.draw(generator),
        detector_blur_mm=settings.detector_blur_mm.draw(generator),
        scatter=settings.scatter.draw(generator),
        scatter_mm=settings.scatter_mm.draw(generator),
        glare=settings.glare.draw(generator),
        ramp=(settings.ramp.draw(generator), settings.ramp.draw(generator), settings.ramp.draw(generator)),
        processing=draw_processing(generator, settings),
    )


def develop(
    water_mm: Image, bones: BoneImage, spacing_mm: float, look: Appearance, generator: np.random.Generator
) -> Image:
    """Turn water and compact bone along the rays (H, W) into a radiograph (H, W) in 0..1, bone bright.

    Args:
        water_mm: water along the rays.
        bones: compact bone along the rays, and where bones are: the window follows them.
        spacing_mm: distance of pixel centres.
        look: drawn appearance.
        generator: source of the noise, which is per pixel.
    """
    exposure = _blur(transmission(water_mm, bones.mineral_mm, look.kilovolts), look.focal_blur_mm / spacing_mm)
    exposure = with_scatter(exposure, spacing_mm, look) * _heel(exposure.shape, look.ramp)
    add_noise(exposure, look.photons * spacing_mm**2, look.structure, generator)
    signal = _blur(exposure, look.detector_blur_mm / spacing_mm)
    cv2.log(signal, signal)
    return process(np.negative(signal, signal), bones.packed_masks > 0, spacing_mm, look.processing)


def spectrum(kilovolts: float) -> NDArray[np.float64]:
    """Return the shares (3,) of the detected energy in air at `ENERGIES_KEV`.

    Kramers' law for a thick target (energy fluence falls linearly to 0 at the peak voltage) behind aluminium; the last
    bin reaches from 45 keV to the peak, the others are 10 keV wide.
    """
    fluence = np.append((kilovolts - ENERGIES_KEV[:2]) * 10, (kilovolts - 45) ** 2 / 2)
    weights = fluence * np.exp(-_FILTER_MM * _ALUMINIUM)
    return np.asarray(weights / weights.sum(), np.float64)


def transmission(water_mm: Image, mineral_mm: Image, kilovolts: float) -> Image:
    """Return the share of the primary beam's energy that reaches the detector (H, W), by Beer and Lambert.

    Args:
        water_mm: water along the rays.
        mineral_mm: compact bone along the rays.
        kilovolts: peak voltage of the tube.
    """
    primary = np.empty_like(water_mm)
    for start in range(0, len(primary), _STRIP):
        rows = slice(start, start + _STRIP)
        total = np.zeros_like(primary[rows])
        for weight, water, bone in zip(spectrum(kilovolts), WATER, COMPACT_BONE, strict=True):
            exponent = cv2.addWeighted(water_mm[rows], -water, mineral_mm[rows], -bone, float(np.log(weight)))
            total += cv2.exp(exponent)
        primary[rows] = total
    return primary


def with_scatter(primary: Image, spacing_mm: float, look: Appearance) -> Image:
    """Add scattered photons and glare to the primary beam (H, W), worked out on a coarse grid.

    Photons that scatter once come from where the beam is attenuated and still strong: I * -ln(I).
    """
    small = low_pass(primary, spacing_mm, look.scatter_mm / 4)
    source = np.float32(look.glare) * small - np.float32(look.scatter) * small * np.log(small)
    pitch = spacing_mm * primary.shape[0] / small.shape[0]
    spread = low_pass(np.asarray(source, np.float32), pitch, look.scatter_mm)
    wide = cv2.resize(spread, primary.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.scaleAdd(primary, 1 - look.glare, wide), np.float32)


def add_noise(exposure: Image, photons: float, structure: float, generator: np.random.Generator) -> None:
    """Add quantum noise and the detector's structure to an exposure in place.

    The variance is I / photons + (structure * I)^2: Poisson's law in its normal approximation. A normal number is the
    centred sum of four random bytes; the detector's blur mixes many of them.

    Args:
        exposure: share of the intensity in air (H, W).
        photons: photons a pixel in air.
        structure: standard deviation of the gain.
        generator: source of the noise.
    """
    words = generator.integers(0, 2**32, (exposure.size + 1) // 2 * 2, np.uint32)
    _expose(exposure.reshape(-1), words, np.float32(1 / photons), np.float32(structure**2))


def _heel(shape: tuple[int, ...], ramp: tuple[float, float, float]) -> Image:
    """Return the intensity in air that the anode's heel and the source's distance leave (H, W)."""
    y, x = (np.linspace(-1, 1, side, dtype=np.float32) for side in shape)
    across, down = np.exp(-ramp[0] * x - abs(ramp[2]) * x * x), np.exp(-ramp[1] * y - abs(ramp[2]) * y * y)
    return np.asarray(down[:, None] * across, np.float32)


def _blur(image: Image, sigma: float) -> Image:
    return image if sigma < 0.25 else np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _expose(exposure, words, quantum, structure):  # type: ignore[no-untyped-def]
    """Add noise pixel by pixel; no pixel falls below a thousandth of the intensity in air."""
    middle, scale = np.float32(510.0), np.float32(1 / np.sqrt(4 * (256.0**2 - 1) / 12))
    for pixel in range(exposure.size):
        word, value = words[pixel], exposure[pixel]
        total = (word & 255) + ((word >> 8) & 255) + ((word >> 16) & 255) + (word >> 24)
        white = (np.float32(total) - middle) * scale
        noisy = value + white * np.sqrt(value * (quantum + structure * value))
        exposure[pixel] = max(noisy, np.float32(0.001))
