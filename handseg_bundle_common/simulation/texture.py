"""Periodic tiles of trabecular pattern: noise with the spectrum measured on CT, or a network of cell walls."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import fft

Image = NDArray[np.float32]

# Pixels along an edge of a tile, a power of two, and the distance between them: 92 mm, the width of a palm.
_SIZE, _PITCH_MM = 512, 0.18
# Below and above these frequencies in cycles/mm the measured power law ends: whole bones, single trabeculae.
_LOWEST, _HIGHEST = 0.2, 3.2
# Strands are bright lines: the zero crossings of noise of this frequency in cycles/mm, how thin they are, and their
# weight in the pattern.
_STRANDS, _STRAND_SHARPNESS, _STRAND_WEIGHT = 0.7, np.float32(2.5), 0.75
# Mean width of the cells of the network in millimetres, and how many layers of it lie behind each other.
_CELL_MM, _LAYERS = 1.3, 3


@dataclass(frozen=True)
class Tile:
    """A pattern of mean 0 that continues at its opposite edges.

    Attributes:
        values: (512, 512); before the detector's pixels smooth it its variance is 1.
        pitch_mm: distance of its pixels.
    """

    values: Image
    pitch_mm: float


def trabecular_tile(generator: np.random.Generator, kind: str, slope: float, grain: float, spacing_mm: float) -> Tile:
    """Draw a tile of trabecular pattern without a preferred direction.

    Args:
        generator: source of the pattern; the number of values it yields does not depend on the detector.
        kind: "noise" for filtered noise or "network" for a network of cell walls.
        slope: exponent of the noise's power spectrum (CT of radius and metacarpals: about -1.4 between 0.2 and 0.9
            cycles/mm).
        grain: factor on the size of all structures.
        spacing_mm: distance of the detector's pixels; what they cannot resolve is smoothed away.
    """
    pattern = _noise(generator, slope) if kind == "noise" else _network(generator)
    pattern = (pattern - pattern.mean()) / pattern.std()
    resolved = np.exp(-((_frequencies() * np.float32(spacing_mm / grain / 0.7)) ** 2))
    return Tile(fft.irfft2(fft.rfft2(pattern) * resolved, pattern.shape), _PITCH_MM * grain)


@cache
def _frequencies() -> Image:
    """Return the frequencies of a tile's transform in cycles/mm."""
    across, down = fft.rfftfreq(_SIZE, _PITCH_MM), fft.fftfreq(_SIZE, _PITCH_MM)
    return np.hypot(across[None], down[:, None]).astype(np.float32)


def _noise(generator: np.random.Generator, slope: float) -> Image:
    """Return noise with a power law, and in it the bright strands that ridged noise draws."""
    frequency = _frequencies()
    power_law = np.maximum(frequency, _LOWEST) ** np.float32(slope / 2) * np.exp(-((frequency / _HIGHEST) ** 2))
    power_law[0, 0] = 0
    band = np.exp(-(((frequency - _STRANDS) / (0.4 * _STRANDS)) ** 2))
    noise, ridges = _filtered(generator, power_law), np.exp(-_STRAND_SHARPNESS * np.abs(_filtered(generator, band)))
    return np.asarray(noise + np.float32(_STRAND_WEIGHT) * (ridges - ridges.mean()) / ridges.std(), np.float32)


def _filtered(generator: np.random.Generator, amplitude: Image) -> Image:
    """Return white noise with the amplitudes of its frequencies multiplied, at variance 1."""
    white = generator.standard_normal((_SIZE, _SIZE), dtype=np.float32)
    noise = fft.irfft2(fft.rfft2(white) * amplitude, white.shape)
    return np.asarray(noise / noise.std(), np.float32)


def _network(generator: np.random.Generator) -> Image:
    """Return the walls between the cells of jittered seeds (Worley, "A cellular texture basis function", 1996)."""
    cells = round(_SIZE * _PITCH_MM / _CELL_MM)
    seeds = generator.random((_LAYERS, cells, cells, 2), dtype=np.float32)
    return np.asarray(_walls(seeds, _SIZE), np.float32)


@numba.njit(cache=True, nogil=True)
def _walls(seeds, size):  # type: ignore[no-untyped-def]
    """Return a bright ridge where the two nearest seeds are equally far, summed over the layers."""
    layers, cells = seeds.shape[:2]
    image = np.zeros((size, size), np.float32)
    for layer in range(layers):
        for row in range(size):
            y = row * cells / size
            for column in range(size):
                x = column * cells / size
                first, second = 9.0, 9.0
                for i in range(int(y) - 1, int(y) + 2):
                    for j in range(int(x) - 1, int(x) + 2):
                        dy = i + seeds[layer, i % cells, j % cells, 0] - y
                        dx = j + seeds[layer, i % cells, j % cells, 1] - x
                        distance = dx * dx + dy * dy
                        if distance < first:
                            first, second = distance, first
                        elif distance < second:
                            second = distance
                image[row, column] += np.exp(-9.0 * (np.sqrt(second) - np.sqrt(first)))
    return image


@numba.njit(cache=True, nogil=True)
def sample(tile, y, x):  # type: ignore[no-untyped-def]
    """Return a periodic tile between its pixels; its size is a power of two."""
    floor_y, floor_x = np.floor(y), np.floor(x)
    wrap = len(tile) - 1
    top, left = int(floor_y) & wrap, int(floor_x) & wrap
    low, right = (top + 1) & wrap, (left + 1) & wrap
    dy, dx = y - floor_y, x - floor_x
    upper = tile[top, left] + (tile[top, right] - tile[top, left]) * dx
    return upper + (tile[low, left] + (tile[low, right] - tile[low, left]) * dx - upper) * dy
