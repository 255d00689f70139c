"""Weights and thresholds of each bone, against brute force, and the test that keeps those that help alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.datasets import data_list
from handseg_bundle_common.ensemble.selection.nested import NO_FOLD, SHRINKAGE, deal_folds
from handseg_bundle_common.ensemble.selection.per_bone import tune_thresholds, tune_weights
from handseg_bundle_common.metrics import dice

PATIENTS = [f"p{n // 2}" for n in range(40)]
FOLD_OF = np.repeat(np.arange(4), 10)


def of_weights(gain: float, noise: float):
    """Return Dice that rises with the weight of member 0 for even bones and of member 1 for odd ones, with noise."""
    random = np.random.default_rng(3)

    def dice_of(fusions):
        right = np.where(np.arange(NUM_BONES) % 2, fusions.weights[:, 1], fusions.weights[:, 0])
        noises = noise * random.normal(size=(len(PATIENTS), *right.shape))
        return 0.9 + gain * (right - 0.5) + noises

    return dice_of


def of_thresholds(best: float, poison: float = 0):
    """Return Dice with its peak at a threshold, for the first fold at one that nobody else has."""

    def dice_of(fusions):
        peaks = np.where(FOLD_OF == 0, best + poison, best)[:, None, None]
        return 0.9 - (fusions.thresholds - peaks) ** 2

    return dice_of


def test_weights_that_help_everyone_are_kept_and_shrunk(table_of):
    tuned = tune_weights(table_of(of_weights(0.1, 0.001), PATIENTS, 3), [1, 0], FOLD_OF)
    assert tuned.is_kept
    expected = np.zeros((3, NUM_BONES))
    expected[0] = np.where(np.arange(NUM_BONES) % 2, 0.25, 0.75)
    expected[1] = 1 - expected[0]
    np.testing.assert_allclose(tuned.values(), expected)
    # The right member gains a quarter of the weight.
    assert tuned.gain.estimate == pytest.approx(0.1 * 0.25, abs=1e-3)


def test_weights_that_fit_noise_are_not_kept(table_of):
    tuned = tune_weights(table_of(of_weights(0, 0.02), PATIENTS, 5), range(5), FOLD_OF)
    assert not tuned.is_kept
    np.testing.assert_allclose(tuned.values(), 0.2)
    assert np.ptp(tuned.of_fold[NO_FOLD]) > 0.1  # they were fitted to the noise


@pytest.mark.parametrize("members", [[0], [2, 0], [3, 1, 0], [4, 2, 1, 3]])
def test_weights_of_members_sum_to_one(table_of, members):
    tuned = tune_weights(table_of(of_weights(0.1, 0.05), PATIENTS, 5), members, FOLD_OF)
    for values in (*tuned.of_fold.values(), tuned.neutral):
        np.testing.assert_allclose(values.sum(axis=0), 1)
        assert (values[[m for m in range(5) if m not in members]] == 0).all()
        assert values[members].min() >= SHRINKAGE / len(members)


def test_a_single_member_has_nothing_to_gain(table_of):
    tuned = tune_weights(table_of(of_weights(0.1, 0), PATIENTS, 2), [1], FOLD_OF)
    assert tuned.gain.estimate == 0
    assert not tuned.is_kept


@pytest.mark.parametrize(("best", "shrunk"), [(0.4, 0.45), (0.5, 0.5), (0.66, 0.58), (0.2, 0.4), (0.9, 0.6)])
def test_thresholds_move_half_way_to_the_best_one(table_of, best, shrunk):
    evidence = table_of(of_thresholds(best), PATIENTS, 2)
    weights = tune_weights(evidence, [0, 1], FOLD_OF)
    tuned = tune_thresholds(evidence, weights, FOLD_OF)
    np.testing.assert_allclose(tuned.values(), shrunk)
    assert tuned.is_kept == (best != 0.5)
    assert tuned.gain.estimate == pytest.approx((best - 0.5) ** 2 - (best - shrunk) ** 2)


def test_patients_have_no_part_in_their_own_values(table_of):
    """The first fold's patients are changed: its own values stay, all others move."""
    plain, poisoned = (table_of(of_thresholds(0.4, poison), PATIENTS, 2) for poison in (0, 2))
    weights = tune_weights(plain, [0, 1], FOLD_OF)
    before, after = (tune_thresholds(evidence, weights, FOLD_OF) for evidence in (plain, poisoned))
    np.testing.assert_array_equal(before.of_fold[0], after.of_fold[0])
    for fold in (1, 2, 3, NO_FOLD):
        assert (before.of_fold[fold] != after.of_fold[fold]).all()


def test_weights_are_fitted_without_their_own_patients(table_of):
    def dice_of(poison):
        return lambda fusions: np.where(
            FOLD_OF[:, None, None] == 2, poison * fusions.weights[:, 0], fusions.weights[:, 1]
        )

    before, after = (tune_weights(table_of(dice_of(p), PATIENTS, 2), [0, 1], FOLD_OF) for p in (0, 50))
    np.testing.assert_array_equal(before.of_fold[2], after.of_fold[2])
    for fold in (0, 1, 3, NO_FOLD):
        assert (before.of_fold[fold] != after.of_fold[fold]).all()


def test_thresholds_of_a_fold_go_with_its_own_weights(table_of):
    """Kept weights were fitted on all patients; those of a fold are scored with weights that they had no part in."""
    evidence = table_of(of_weights(0.1, 0.001), PATIENTS, 2)
    weights = tune_weights(evidence, [0, 1], FOLD_OF)
    assert weights.is_kept
    weights.of_fold[1] = np.roll(weights.neutral * [[0.2], [1.8]], 0)
    seen = []

    def dice_of(fusions):
        seen.append(fusions.weights[0])
        return np.zeros((len(PATIENTS), len(fusions.weights), NUM_BONES))

    tune_thresholds(table_of(dice_of, PATIENTS, 2), weights, FOLD_OF)
    assert len(seen) == 5
    for fold, used in zip((0, 1, 2, 3, NO_FOLD), seen, strict=True):
        np.testing.assert_array_equal(used, weights.of_fold[fold])


def test_thresholds_are_the_best_of_the_grid_on_pixels(world, noisy, tmp_path):
    """A model that is too sure of itself: brute force over the whole masks finds the same thresholds."""
    models = [{i: np.clip(p * 1.3, 0, 1) for i, p in noisy(world.truth, n, noise=0.15).items()} for n in range(2)]
    evidence = world.evidence([world.predict(f"m{n}", model) for n, model in enumerate(models)], tmp_path / "scratch")
    fold_of = np.array([0, 0, 1, 1, 2, 2])
    weights = tune_weights(evidence, [0, 1], fold_of)
    found = tune_thresholds(evidence, weights, fold_of).of_fold
    grid = np.arange(30, 71, 2) / 100
    truths = [torch.from_numpy(truth) for truth in world.truth.values()]
    means = [np.mean([np.ceil(model[i] * 255 - 0.5) / 255 for model in models], axis=0) for i in world.truth]
    scores = np.array(
        [[dice(torch.from_numpy(m > t + 1e-9), r).numpy() for m, r in zip(means, truths, strict=True)] for t in grid]
    )
    for fold in (0, 1, 2, NO_FOLD):
        per_threshold = scores[:, fold_of != fold].mean(axis=1)
        best = per_threshold.argmax(axis=0)
        unique = (per_threshold == per_threshold.max(axis=0)).sum(axis=0) == 1
        assert unique.sum() > 20
        np.testing.assert_allclose(found[fold][unique], 0.5 + (grid[best][unique] - 0.5) / 2)


def test_folds_keep_patients_together(sample_data):
    items = data_list(sample_data)
    fold_of = deal_folds(items, 5, seed=1)
    assert sorted(set(fold_of.tolist())) == [0, 1, 2, 3]
    for patient in {item["patient"] for item in items}:
        assert len({fold for fold, item in zip(fold_of, items, strict=True) if item["patient"] == patient}) == 1
