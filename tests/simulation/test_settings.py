"""Ranges of the presets."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.simulation.attenuation import draw_bone_tissue
from handseg_bundle_common.simulation.distributions import LogUniform, Normal, Uniform
from handseg_bundle_common.simulation.presets import DATASET, PRESETS, SHIFTED, WILD, preset
from handseg_bundle_common.simulation.settings import Settings

SECTIONS = ("shape", "pose", "bone", "tissue", "detector", "field")
bounds = st.tuples(st.floats(0.001, 1e4), st.floats(0.001, 1e4)).map(sorted)


def distributions(settings: Settings, section: str) -> dict[str, Uniform | LogUniform | Normal]:
    values = {
        field.name: getattr(getattr(settings, section), field.name) for field in fields(getattr(settings, section))
    }
    return {name: value for name, value in values.items() if isinstance(value, Uniform | LogUniform | Normal)}


@given(bounds, st.integers(0, 1000))
def test_uniform_draws_stay_between_the_bounds(pair: list[float], seed: int):
    for distribution in (Uniform(*pair), LogUniform(*pair)):
        drawn = distribution.draw(np.random.default_rng(seed))
        assert distribution.low * (1 - 1e-9) <= drawn <= distribution.high * (1 + 1e-9)


@given(st.floats(-100, 100), st.floats(0, 10), st.floats(0.5, 4), st.integers(0, 1000))
def test_normal_draws_are_clipped_at_their_reach(mean: float, sd: float, reach: float, seed: int):
    normal = Normal(mean, sd, reach)
    drawn = [normal.draw(np.random.default_rng([seed, number])) for number in range(20)]
    assert normal.low <= min(drawn) <= max(drawn) <= normal.high
    assert (normal.low, normal.high) == pytest.approx((mean - reach * sd, mean + reach * sd))


def test_logarithms_of_log_uniform_draws_are_spread_evenly():
    generator = np.random.default_rng(0)
    drawn = np.log([LogUniform(1e-2, 1e2).draw(generator) for _ in range(4000)]) / np.log(100)
    assert (drawn.mean(), drawn.std()) == pytest.approx((0, 1 / np.sqrt(3)), abs=0.03)


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("settings", PRESETS.values(), ids=PRESETS)
def test_every_preset_draws_within_finite_bounds(settings: Settings, section: str):
    for name, distribution in distributions(settings, section).items():
        assert np.isfinite([distribution.low, distribution.high]).all(), name
        assert distribution.low <= distribution.high, name


@pytest.mark.parametrize("settings", PRESETS.values(), ids=PRESETS)
@pytest.mark.parametrize("section", SECTIONS)
def test_probabilities_are_probabilities(settings: Settings, section: str):
    drawn = getattr(settings, section)
    shares = {field.name: getattr(drawn, field.name) for field in fields(drawn)}
    for name, share in shares.items():
        if isinstance(share, float):
            assert 0 <= share <= 1, name


def test_the_shifted_detector_lies_outside_of_what_training_draws():
    """But for the random bends of the tone curve, whose middle is the straight curve everywhere."""
    shifted = distributions(SHIFTED, "detector")
    for settings in (DATASET, WILD):
        for name, trained in distributions(settings, "detector").items():
            apart = shifted[name].low > trained.high or shifted[name].high < trained.low
            assert apart or name == "tone_slope", name


@pytest.mark.parametrize("section", ["bone", "tissue", "pose", "detector"])
def test_wild_ranges_cover_those_of_the_data_set(section: str):
    for name, dataset in distributions(DATASET, section).items():
        wild = distributions(WILD, section)[name]
        assert wild.low <= dataset.low <= dataset.high <= wild.high, name


def test_presets_have_their_names_and_others_are_refused():
    assert [preset(name) for name in ("dataset", "wild", "shifted")] == [DATASET, WILD, SHIFTED]
    with pytest.raises(HandsegInputError, match="'calm' is unknown; choose one of dataset, wild, shifted"):
        preset("calm")


def test_the_bone_of_the_benchmark_lies_outside_that_of_training_when_bone_loss_counts():
    """Osteopenia lowers what the ranges say, so that the drawn bone is compared: spongy bone and cortex at joints."""

    def drawn(settings: Settings) -> tuple[np.ndarray, np.ndarray]:
        generator = np.random.default_rng(0)
        people = [
            (draw_bone_tissue(generator, settings.bone), settings.shape.cortex.draw(generator)) for _ in range(400)
        ]
        spongy = np.array([tissue.spongy for tissue, _ in people])
        return spongy, np.array([depth * tissue.cortex.factor * tissue.cortex.end for tissue, depth in people])

    shifted, trained = drawn(SHIFTED), [drawn(settings) for settings in (DATASET, WILD)]
    for value, others in zip(shifted, zip(*trained, strict=True), strict=True):
        assert value.min() > max(other.max() for other in others)
