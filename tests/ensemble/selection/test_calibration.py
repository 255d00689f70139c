"""Platt's scale and offset, against known ones and a search over a grid."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import expit, logit

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.ensemble.selection.calibration import calibrate, fit_platt
from handseg_bundle_common.ensemble.selection.nested import NO_FOLD, Tuned
from handseg_bundle_common.metrics import Interval

PATIENTS = [f"p{n // 2}" for n in range(24)]
FOLD_OF = np.repeat(np.arange(3), 8)


def drawn(scale: float, offset: float, seed: int = 0, shape=(24, NUM_BONES, 400)) -> tuple[np.ndarray, np.ndarray]:
    """Return levels, and labels that are as often right as the calibrated levels say."""
    random = np.random.default_rng(seed)
    levels = random.integers(10, 246, size=(*shape, 1)).astype(np.uint8)
    return levels, random.random(shape) < expit(scale * logit(levels[..., 0] / 255) + offset)


def evidence_of(levels, truth):
    return SimpleNamespace(samples=lambda: (levels, truth), patients=PATIENTS)


def one_member() -> Tuned:
    weights = np.ones((1, NUM_BONES))
    return Tuned(dict.fromkeys((0, 1, 2, NO_FOLD), weights), weights, Interval(0, 0, 0))


@pytest.mark.parametrize(("scale", "offset"), [(1, 0), (0.6, 0.8), (2, -1)])
def test_known_values_are_found(scale, offset):
    levels, truth = drawn(scale, offset, shape=(200_000,))
    assert fit_platt(logit(levels[:, 0] / 255), truth) == pytest.approx((scale, offset), abs=0.05)


def test_the_likelihood_is_the_largest_of_a_grid():
    levels, truth = drawn(1.5, 0.5, shape=(60,))
    logits = logit(levels[:, 0] / 255)
    within, without = truth.sum(), (~truth).sum()
    targets = np.where(truth, (within + 1) / (within + 2), 1 / (without + 2))

    def loss(scale, offset):
        probability = expit(scale * logits + offset)
        return -(targets * np.log(probability) + (1 - targets) * np.log(1 - probability)).mean()

    found = loss(*fit_platt(logits, truth))
    assert found <= min(loss(a, b) for a in np.linspace(0.1, 5, 50) for b in np.linspace(-3, 3, 61)) + 1e-9


def test_a_bone_that_is_never_wrong_has_finite_values():
    logits = np.array([-6.0] * 50 + [6.0] * 50)
    scale, offset = fit_platt(logits, logits > 0)
    assert 0.1 <= scale <= 10
    assert abs(offset) < 1


@pytest.mark.parametrize("value", [False, True])
def test_one_kind_of_pixel_changes_nothing(value):
    assert fit_platt(np.linspace(-2, 2, 9), np.full(9, value)) == (1.0, 0.0)


def test_a_miscalibrated_mean_is_corrected_half_way():
    tuned = calibrate(evidence_of(*drawn(0.5, 1)), one_member(), FOLD_OF)
    assert tuned.is_kept
    scales, offsets = tuned.values()
    assert scales == pytest.approx(np.full(NUM_BONES, 0.75), abs=0.03)
    assert offsets == pytest.approx(np.full(NUM_BONES, 0.5), abs=0.05)
    assert tuned.gain.low > 0


def test_a_calibrated_mean_stays_as_it_is():
    tuned = calibrate(evidence_of(*drawn(1, 0, shape=(24, NUM_BONES, 20))), one_member(), FOLD_OF)
    assert not tuned.is_kept
    np.testing.assert_array_equal(tuned.values(), np.tile([[1.0], [0.0]], NUM_BONES))


def test_patients_have_no_part_in_their_own_calibration():
    levels, truth = drawn(0.5, 1)
    poisoned = np.where((FOLD_OF == 1)[:, None, None], ~truth, truth)
    before, after = (calibrate(evidence_of(levels, labels), one_member(), FOLD_OF) for labels in (truth, poisoned))
    np.testing.assert_array_equal(before.of_fold[1], after.of_fold[1])
    for fold in (0, 2, NO_FOLD):
        assert (before.of_fold[fold] != after.of_fold[fold]).all()


def test_the_mean_is_weighted_bone_by_bone():
    """Odd bones listen to a member that is right, even ones to one that is wrong."""
    levels, truth = drawn(1, 0)
    both = np.concatenate([levels, 255 - levels], axis=-1)
    is_odd = np.arange(NUM_BONES) % 2
    weights = np.array([is_odd, 1.0 - is_odd])
    members = Tuned(dict.fromkeys((0, 1, 2, NO_FOLD), weights), weights, Interval(0, 0, 0))
    scales = calibrate(evidence_of(both, truth), members, FOLD_OF).of_fold[NO_FOLD][0]
    assert scales == pytest.approx(np.where(is_odd, 1, 0.55), abs=0.05)
