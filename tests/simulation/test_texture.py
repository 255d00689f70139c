"""Trabecular patterns, against their spectrum and SciPy's interpolation."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from scipy.stats import skew

from handseg_bundle_common.simulation.texture import Tile, sample, trabecular_tile


def draw(kind: str = "noise", *, spacing_mm: float = 0.01, slope: float = -1.4, grain: float = 1.0) -> Tile:
    return trabecular_tile(np.random.default_rng(4), kind, slope, grain, spacing_mm)


@pytest.mark.parametrize("slope", [-1.0, -1.4, -1.8])
def test_the_noise_has_the_measured_power_law(slope: float):
    tile = draw(slope=slope)
    power = np.abs(np.fft.fft2(tile.values)) ** 2
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(len(tile.values), tile.pitch_mm)] * 2))
    edges = np.geomspace(0.22, 0.9, 12)
    means = [power[(frequency >= low) & (frequency < high)].mean() for low, high in pairwise(edges)]
    fitted = np.polyfit(np.log((edges[1:] * edges[:-1]) ** 0.5), np.log(means), 1)[0]
    # Bright strands and the soft end of the law flatten it a little.
    assert fitted == pytest.approx(slope + 0.15, abs=0.15)


@pytest.mark.parametrize("kind", ["noise", "network"])
def test_a_tile_is_standardised_continues_at_its_edges_and_has_bright_strands(kind: str):
    values = draw(kind).values
    assert values.dtype == np.float32
    assert values.mean() == pytest.approx(0, abs=1e-3)
    assert values.std() == pytest.approx(1, abs=0.01)
    assert skew(values, axis=None) > 0.1
    steps = np.abs(np.diff(values, axis=0)).mean(1)
    assert np.abs(values[0] - values[-1]).mean() < 1.5 * steps.max()


def test_the_network_is_another_texture_than_the_noise():
    def contrast_of_strands(kind: str) -> float:
        return float(np.quantile(draw(kind).values, 0.99) + np.quantile(draw(kind).values, 0.01))

    assert abs(contrast_of_strands("network") - contrast_of_strands("noise")) > 0.2


def test_coarse_pixels_smooth_the_same_pattern():
    fine, coarse, coarser = (draw(spacing_mm=spacing).values for spacing in (0.15, 0.6, 1.2))
    assert fine.std() > coarse.std() > coarser.std() > 0
    assert np.corrcoef(fine.ravel(), coarse.ravel())[0, 1] > 0.7


def test_grain_scales_the_pitch_alone():
    coarse, plain = draw(spacing_mm=0.0, grain=1.5), draw(spacing_mm=0.0)
    assert coarse.pitch_mm == pytest.approx(1.5 * plain.pitch_mm)
    np.testing.assert_array_equal(coarse.values, plain.values)


def test_the_same_generator_gives_the_same_tile():
    np.testing.assert_array_equal(draw("network").values, draw("network").values)
    np.testing.assert_array_equal(draw().values, draw().values)


def test_samples_between_pixels_are_those_of_scipy():
    values = draw().values
    places = np.random.default_rng(0).uniform(-900, 900, (50, 2))
    expected = map_coordinates(values.astype(float), places.T, order=1, mode="grid-wrap")
    assert [sample(values, y, x) for y, x in places] == pytest.approx(list(expected), abs=1e-4)
