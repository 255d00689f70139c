"""What a vendor's software makes of a picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from handseg_bundle_common.simulation.presets import PRESETS
from handseg_bundle_common.simulation.processing import (
    Processing,
    draw_processing,
    low_pass,
    process,
    tone_curve,
    tone_table,
)

PLAIN = Processing(
    enhancement=(0.0, 0.0, 0.0),
    latitude=0.0,
    air=0.1,
    top=0.8,
    gamma=1.0,
    sigmoid=0.0,
    tone=np.zeros(6),
    levels=4096,
)
drawn = st.builds(
    lambda seed, name: draw_processing(np.random.default_rng(seed), PRESETS[name].detector),
    st.integers(0, 10**6),
    st.sampled_from(list(PRESETS)),
)


@given(drawn)
def test_tone_curves_rise_from_0_to_1(processing: Processing):
    curve = tone_curve(np.linspace(-0.5, 2, 2001), processing)
    assert (np.diff(curve) > 0).all()
    assert tone_curve(np.array([0.0, 1.0]), processing) == pytest.approx([0, 1], abs=1e-9)


@given(drawn)
def test_greys_never_fall_saturate_at_both_ends_and_are_as_many_as_the_depth_has(processing: Processing):
    table = tone_table(processing)
    assert (np.diff(table) >= 0).all()
    assert 0 <= table[0] <= table[-1] <= 1
    steps = table.astype(np.float64) * (processing.levels - 1)
    assert np.abs(steps - np.rint(steps)).max() < 1e-3


def test_without_processing_greys_are_a_straight_line_from_air_to_the_brightest_bone():
    signal = np.tile(np.linspace(0, 1.5, 256, dtype=np.float32), (64, 1))
    bone = np.zeros(signal.shape, bool)
    bone[:, 128:192] = True
    reference = np.quantile(signal[bone], 0.99)
    expected = np.clip(0.1 + 0.7 * signal / reference, 0, 1)
    assert process(signal, bone, 0.5, PLAIN) == pytest.approx(expected, abs=0.01)


def test_enhancement_raises_details_and_keeps_plains():
    columns = np.arange(240)[None] + np.zeros((240, 1))
    signal = (0.8 + 0.02 * np.sin(columns * 2 * np.pi / 5)).astype(np.float32)
    bone = np.ones(signal.shape, bool)
    plain, sharp = (
        process(signal, bone, 0.2, replace(PLAIN, enhancement=(gain, 0.0, 0.0)))[60:180, 60:180] for gain in (0.0, 1.0)
    )
    assert sharp.std() / sharp.mean() == pytest.approx(2 * plain.std() / plain.mean(), rel=0.12)


def test_latitude_compression_dims_large_structures_more_than_small_ones():
    signal = np.zeros((400, 400), np.float32)
    signal[:, :200] = 1.0
    signal[195:205, 300:310] = 1.0
    bone = signal > 0
    grey = process(signal, bone, 0.4, replace(PLAIN, latitude=0.4))
    assert grey[200, 60] - 0.1 < 0.7 * (grey[200, 305] - 0.1)


@pytest.mark.parametrize("sigma", [1.0, 3.0, 9.0])
def test_a_low_pass_on_a_coarse_grid_is_a_gaussian_blur(sigma: float):
    noise = np.random.default_rng(0).standard_normal((300, 240)).astype(np.float32)
    picture = ndimage.gaussian_filter(noise, 2) + np.linspace(0, 1, 240, dtype=np.float32)
    small = low_pass(picture, 0.5, sigma)
    expected = ndimage.gaussian_filter(picture, sigma / 0.5, mode="reflect")
    zoom = np.array(picture.shape) / small.shape
    places = [(np.arange(side) + 0.5) * factor - 0.5 for side, factor in zip(small.shape, zoom, strict=True)]
    sampled = ndimage.map_coordinates(expected, np.meshgrid(*places, indexing="ij"), order=3, mode="reflect")
    assert np.abs(small - sampled).max() < 0.05 * picture.std()


def test_a_small_picture_looks_like_a_large_one_reduced():
    rows, columns = np.mgrid[:480, :480]
    signal = np.exp(-(((rows - 240) / 90) ** 2) - ((columns - 220) / 120) ** 2).astype(np.float32)
    bone = signal > 0.5
    processing = replace(PLAIN, enhancement=(0.5, 0.5, 0.3), latitude=0.3)
    large = process(signal, bone, 0.25, processing).reshape(120, 4, 120, 4).mean((1, 3))
    small = process(signal.reshape(120, 4, 120, 4).mean((1, 3)), bone[::4, ::4], 1.0, processing)
    assert small == pytest.approx(large, abs=0.01)
