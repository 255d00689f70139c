"""Spectrum, scatter and noise of the simulated detector."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from handseg_bundle_common.simulation import detector
from handseg_bundle_common.simulation.attenuation import BoneImage
from handseg_bundle_common.simulation.detector import (
    COMPACT_BONE,
    WATER,
    Appearance,
    add_noise,
    develop,
    draw_appearance,
    spectrum,
    transmission,
    with_scatter,
)
from handseg_bundle_common.simulation.presets import PRESETS


@pytest.fixture
def look() -> Appearance:
    """One look of the data set."""
    return draw_appearance(np.random.default_rng(0), PRESETS["dataset"].detector)


def slab(millimetres: float, shape: tuple[int, int] = (8, 8)) -> np.ndarray:
    return np.full(shape, millimetres, np.float32)


def no_bones(shape: tuple[int, int]) -> BoneImage:
    nothing = np.zeros(shape, np.float32)
    return BoneImage(nothing, nothing, nothing, np.zeros(shape, np.uint32))


@pytest.mark.parametrize("energy", range(3))
def test_one_energy_alone_follows_beer_and_lambert(energy: int, monkeypatch: pytest.MonkeyPatch):
    weights = np.full(3, 1e-30)
    weights[energy] = 1.0
    monkeypatch.setattr(detector, "spectrum", lambda kilovolts: weights)
    expected = np.exp(-WATER[energy] * 30 - COMPACT_BONE[energy] * 4)
    assert transmission(slab(30), slab(4), 55.0) == pytest.approx(expected, rel=1e-5)


def test_a_polychromatic_beam_is_the_weighted_sum_of_its_energies():
    expected = sum(w * np.exp(-a * 20 - b * 6) for w, a, b in zip(spectrum(52), WATER, COMPACT_BONE, strict=True))
    assert transmission(slab(20), slab(6), 52.0) == pytest.approx(expected, rel=1e-5)


def test_the_beam_hardens_on_its_way():
    """The logarithm rises with the thickness, but ever more slowly."""
    bone = np.linspace(0, 30, 61, dtype=np.float32)[None]
    signal = -np.log(transmission(np.zeros_like(bone), bone, 55.0).astype(np.float64))[0]
    assert signal[0] == pytest.approx(0, abs=1e-6)
    assert (np.diff(signal) > 0).all()
    assert (np.diff(signal, 2) < 0).all()


@pytest.mark.parametrize("kilovolts", [48.0, 55.0, 74.0])
def test_a_spectrum_is_shares_and_a_higher_voltage_makes_it_harder(kilovolts: float):
    weights = spectrum(kilovolts)
    assert weights.sum() == pytest.approx(1)
    assert (weights > 0).all()
    assert weights @ detector.ENERGIES_KEV < spectrum(kilovolts + 5) @ detector.ENERGIES_KEV


@pytest.mark.parametrize(
    ("intensity", "photons", "structure"), [(1.0, 400.0, 0.0), (0.1, 900.0, 0.0), (0.5, 1e4, 0.05)]
)
def test_the_noise_of_a_slab_has_the_variance_of_poissons_law_and_of_the_gain(
    intensity: float, photons: float, structure: float
):
    exposure = slab(intensity, (400, 500))
    add_noise(exposure, photons, structure, np.random.default_rng(1))
    variance = intensity / photons + (structure * intensity) ** 2
    assert exposure.mean() == pytest.approx(intensity, abs=4 * np.sqrt(variance / exposure.size))
    assert exposure.var() == pytest.approx(variance, rel=0.02)
    neighbours = np.corrcoef(exposure[:, 1:].ravel(), exposure[:, :-1].ravel())[0, 1]
    assert abs(neighbours) < 0.01


def test_scatter_brightens_behind_the_object_and_is_broad(look: Appearance):
    """It adds most where the beam is attenuated, hardly anything far away, and nothing fine."""
    primary = np.ones((120, 240), np.float32)
    primary[40:80, 40:80] = 0.3
    added = with_scatter(primary, 1.0, replace(look, scatter=0.3, scatter_mm=10.0, glare=0.0)) - primary
    assert added.min() >= 0
    assert np.unravel_index(added.argmax(), added.shape) == pytest.approx((59.5, 59.5), abs=4)
    assert added[60, 60] > 0.02
    assert added[60, 200] < 0.05 * added[60, 60]
    assert np.abs(added - ndimage.gaussian_filter(added, 2)).max() < 0.05 * added.max()


def test_scatter_on_its_coarse_grid_is_a_gaussian_blur_of_its_source(look: Appearance):
    rows, columns = np.mgrid[:160, :160]
    primary = (1 - 0.7 * np.exp(-((rows - 80) ** 2 + (columns - 70) ** 2) / 800)).astype(np.float32)
    drawn = replace(look, scatter=0.2, scatter_mm=12.0, glare=0.05)
    source = 0.05 * primary - 0.2 * primary * np.log(primary)
    expected = 0.95 * primary + ndimage.gaussian_filter(source, 12 / 0.9, mode="reflect")
    assert with_scatter(primary, 0.9, drawn) == pytest.approx(expected, abs=1e-3)


def test_thicker_water_is_brighter_and_air_has_its_grey(look: Appearance):
    steps = np.repeat(np.arange(6) * 6.0, 50).astype(np.float32)
    water = np.tile(steps, (200, 1))
    plain = replace(
        look,
        photons=1e9,
        structure=0.0,
        ramp=(0.0, 0.0, 0.0),
        scatter=0.0,
        glare=0.0,
        processing=replace(look.processing, latitude=0.0),
    )
    grey = develop(water, no_bones(water.shape), 0.5, plain, np.random.default_rng(0))
    levels = grey[100, 25::50]
    assert (np.diff(levels) > 0).all()
    assert grey[100, 5] == pytest.approx(plain.processing.air, abs=1.5 / 255)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("spacing", [0.15, 3.2])
def test_any_drawn_look_gives_a_radiograph_at_any_pixel_size(preset: str, spacing: float):
    for seed in range(4):
        generator = np.random.default_rng(seed)
        water = np.zeros((70, 61), np.float32)
        water[10:60, 20:50] = 30
        drawn = draw_appearance(generator, PRESETS[preset].detector)
        grey = develop(water, no_bones(water.shape), spacing, drawn, generator)
        assert (grey.shape, grey.dtype) == (water.shape, np.float32)
        assert 0 <= grey.min() < grey.max() <= 1


def test_the_noise_of_a_coarse_picture_is_that_of_a_fine_one_averaged(look: Appearance):
    """The photons count by area, so a smaller picture looks like a reduced one."""
    fine = slab(0.4, (600, 600))
    coarse = slab(0.4, (200, 200))
    add_noise(fine, look.photons * 0.1**2, 0.0, np.random.default_rng(2))
    add_noise(coarse, look.photons * 0.3**2, 0.0, np.random.default_rng(3))
    averaged = fine.reshape(200, 3, 200, 3).mean((1, 3))
    assert coarse.std() == pytest.approx(averaged.std(), rel=0.03)
