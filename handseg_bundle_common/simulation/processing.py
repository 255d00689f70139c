"""What a vendor's software makes of a digital radiograph: enhanced details, compressed latitude and a tone curve."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numba
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from handseg_bundle_common.simulation.settings import DetectorSettings

Image = NDArray[np.float32]

# Standard deviations in millimetres of the low passes that part fine, middle and coarse details from the rest, and of
# the one whose share is taken away to compress the latitude.
_SCALES_MM = (0.4, 1.2, 4.0)
_LATITUDE_MM = 14.0
# A low pass is worked out on a grid of this many nodes a standard deviation.
_NODES = 1.4
# Strong details are enhanced less, as in Vuylsteke and Schoeters, "Multiscale image contrast amplification (MUSICA)",
# SPIE 2167, 1994; in units of the line integral.
_STRONG_DETAIL = 0.25
# The tone curve's table: its ends in shares of the reference and its length.
_LOWEST, _HIGHEST, _LEVELS = -0.5, 2.0, 10001
# The tone curve starts with a slope of its own.
_TOE = 0.06


@dataclass(frozen=True)
class Processing:
    """Drawn image processing of one radiograph; greys are shares of the full scale.

    Attributes:
        enhancement: gains (3,) of fine, middle and coarse details beyond 1; negative softens.
        latitude: share of the lowest frequencies that is taken away.
        air: grey of air.
        top: grey of the reference, which the brightest hundredth of the bone surpasses.
        gamma: exponent of the tone curve; above 1 darkens soft tissue.
        sigmoid: steepness of the tone curve's middle against its ends; 0 is straight.
        tone: logarithms of the tone curve's slopes in equal sections.
        levels: number of greys.
    """

    enhancement: tuple[float, float, float]
    latitude: float
    air: float
    top: float
    gamma: float
    sigmoid: float
    tone: NDArray[np.float64]
    levels: int


def draw_processing(generator: np.random.Generator, settings: DetectorSettings) -> Processing:
    """Draw the image processing of one radiograph."""
    fine, middle, coarse = settings.fine_gain, settings.middle_gain, settings.coarse_gain
    return Processing(
        enhancement=(fine.draw(generator), middle.draw(generator), coarse.draw(generator)),
        latitude=settings.latitude.draw(generator),
        air=settings.air.draw(generator),
        top=settings.top.draw(generator),
        gamma=float(np.exp(settings.log_gamma.draw(generator))),
        sigmoid=settings.sigmoid.draw(generator),
        tone=np.array([settings.tone_slope.draw(generator) for _ in range(6)]),
        levels=256 if generator.random() < settings.few_greys else 4096,
    )


def process(signal: Image, is_bone: NDArray[np.bool_], spacing_mm: float, drawn: Processing) -> Image:
    """Turn line integrals (H, W) into greys 0..1 (H, W).

    Args:
        signal: line integrals, 0 in air.
        is_bone: where bones are (H, W); the window follows them, as a vendor's exposure recognition does.
        spacing_mm: distance of pixel centres.
        drawn: drawn processing.
    """
    gain = np.float32(1 + drawn.enhancement[0])
    small, correction = _bands(signal, spacing_mm, drawn)
    rows, columns = (
        ((np.arange(few) + 0.5) * many / few).astype(int) for few, many in zip(small.shape, signal.shape, strict=True)
    )
    bone = (gain * small + correction)[is_bone[np.ix_(rows, columns)]]
    reference = max(float(np.quantile(bone, 0.99)), 0.1) if bone.size else 1.0
    greys = _resized(correction, signal.shape).copy()
    _apply(signal, gain, np.float32(reference), tone_table(drawn), greys)
    return greys


def tone_curve(levels: NDArray[np.float64], drawn: Processing) -> NDArray[np.float64]:
    """Return the rising tone curve from 0 at 0 to 1 at 1; it goes on with the slopes of its ends."""
    inner = np.linspace(0, 1, 129)
    curve = ((inner + _TOE) ** drawn.gamma - _TOE**drawn.gamma) / ((1 + _TOE) ** drawn.gamma - _TOE**drawn.gamma)
    if drawn.sigmoid > 0:
        end = np.tanh(drawn.sigmoid / 2)
        curve = (np.tanh(drawn.sigmoid * (curve - 0.5)) / end + 1) / 2
    heights = np.concatenate([[0], np.cumsum(np.exp(drawn.tone))])
    curve = PchipInterpolator(np.linspace(0, 1, len(heights)), heights / heights[-1])(np.clip(curve, 0, 1))
    first, last = (curve[1] - curve[0]) / inner[1], (curve[-1] - curve[-2]) / inner[1]
    below, above = np.minimum(levels, 0) * first, np.maximum(levels - 1, 0) * last
    return np.asarray(np.interp(levels, inner, curve) + below + above, np.float64)


def tone_table(drawn: Processing) -> Image:
    """Return the greys of evenly spaced line integrals, rounded to the number of greys."""
    curve = tone_curve(np.linspace(_LOWEST, _HIGHEST, _LEVELS), drawn)
    greys = np.clip(drawn.air + (drawn.top - drawn.air) * curve, 0, 1)
    return np.asarray(np.rint(greys * (drawn.levels - 1)) / (drawn.levels - 1), np.float32)


def low_pass(image: Image, spacing_mm: float, sigma_mm: float) -> Image:
    """Blur an image and return it on a grid that is as coarse as the blur allows."""
    pitch = max(sigma_mm / _NODES, spacing_mm)
    size = tuple(max(round(side * spacing_mm / pitch), 1) for side in image.shape)
    if size != image.shape:
        image = np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA), np.float32)
    # Averaging over a node's square has blurred already, by its variance.
    sigma = np.sqrt(max(sigma_mm**2 - (pitch**2 - spacing_mm**2) / 12, 0)) / pitch
    if sigma < 0.2:
        return image
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), np.float32)


def _bands(signal: Image, spacing_mm: float, drawn: Processing) -> tuple[Image, Image]:
    """Return the signal on a coarse grid, and what processing adds to the signal times the gain of fine details."""
    fine, middle, coarse = drawn.enhancement
    smooth = low_pass(signal, spacing_mm, _SCALES_MM[0])
    pitch = spacing_mm * signal.shape[0] / smooth.shape[0]
    steps = [smooth]
    for finer, coarser in zip(_SCALES_MM, (*_SCALES_MM[1:], _LATITUDE_MM), strict=True):
        before = steps[-1]
        scale = pitch * smooth.shape[0] / before.shape[0]
        steps.append(low_pass(before, scale, float(np.sqrt(coarser**2 - finer**2))))
    less, least, lowest = (_resized(step, smooth.shape) for step in steps[1:])
    correction = middle * _compressed(smooth - less) + coarse * _compressed(less - least)
    correction -= np.float32(fine) * smooth + np.float32(drawn.latitude) * lowest
    return smooth, np.asarray(correction, np.float32)


def _compressed(detail: Image) -> Image:
    return np.asarray(detail / (1 + np.abs(detail) * np.float32(1 / _STRONG_DETAIL)), np.float32)


def _resized(image: Image, shape: tuple[int, ...]) -> Image:
    if image.shape == shape:
        return image
    return np.asarray(cv2.resize(image, shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


@numba.njit(cache=True, nogil=True)
def _apply(signal, gain, reference, table, greys):  # type: ignore[no-untyped-def]
    """Add the signal to its correction in `greys` and look the grey up."""
    scale = np.float32((_LEVELS - 1) / (_HIGHEST - _LOWEST))
    offset, last = np.float32(-_LOWEST) * scale + np.float32(0.5), np.float32(_LEVELS - 1)
    factor = scale / reference
    for row in range(signal.shape[0]):
        for column in range(signal.shape[1]):
            place = (gain * signal[row, column] + greys[row, column]) * factor + offset
            greys[row, column] = table[np.int32(min(max(place, np.float32(0)), last))]
