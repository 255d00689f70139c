"""Scores from few pixels, against the metrics on whole masks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.ensemble.selection.evidence import Fusions
from handseg_bundle_common.metrics import dice, overlap_zone_dice


def fused(levels: np.ndarray, weights: np.ndarray, thresholds: np.ndarray) -> torch.Tensor:
    """Fuse levels (M, 29, h, w) pixel by pixel."""
    mean = np.einsum("mkhw,mk->khw", levels / 255, weights)
    return torch.from_numpy(mean > thresholds[:, None, None] + 1e-9)


def levels_of(models: list[dict[str, np.ndarray]], image: str) -> np.ndarray:
    return np.stack([np.ceil(model[image] * 255 - 0.5) for model in models])


def test_any_fusion_is_scored_exactly(world, noisy, tmp_path):
    models = [noisy(world.truth, seed, bad) for seed, bad in enumerate(([], [3, 26], [0]))]
    folders = [world.predict(f"model{n}", model) for n, model in enumerate(models)]
    evidence = world.evidence(folders, tmp_path / "scratch")
    random = np.random.default_rng(1)
    weights = random.dirichlet(np.ones(3), size=(5, NUM_BONES)).transpose(0, 2, 1)
    thresholds = random.uniform(0.3, 0.7, size=(5, NUM_BONES))
    thresholds[0], thresholds[1] = 0.3, 0.7
    found = evidence.scores(Fusions(weights, thresholds))
    for place, (image, truth) in enumerate(world.truth.items()):
        for number in range(5):
            masks = fused(levels_of(models, image), weights[number], thresholds[number])
            reference = torch.from_numpy(truth)
            np.testing.assert_allclose(found.dice[place, number], dice(masks, reference), rtol=1e-12)
            expected = overlap_zone_dice(masks, reference)
            np.testing.assert_allclose(found.overlap_zone[place, number], expected, rtol=1e-12)
    assert np.isnan(found.overlap_zone).any()
    assert not np.isnan(found.overlap_zone).all()


def test_most_pixels_need_not_be_kept(world, noisy, tmp_path):
    """Where all models are sure, only numbers of pixels remain."""
    folders = [world.predict(f"model{n}", noisy(world.truth, n, noise=0.005)) for n in range(2)]
    world.evidence(folders, tmp_path / "scratch")
    for file in (tmp_path / "scratch").iterdir():
        with np.load(file) as arrays:
            assert len(arrays["levels"]) < 100


def test_a_draw_of_an_even_number_of_members_lies_outside(world, tmp_path):
    """Also where rounding lifts the mean of ones and zeros above one half."""
    yes = {image: np.ones(truth.shape) for image, truth in world.truth.items()}
    no = {image: np.zeros(truth.shape) for image, truth in world.truth.items()}
    folders = [world.predict(f"model{n}", yes if n % 2 else no, keep=False) for n in range(6)]
    evidence = world.evidence(folders, tmp_path / "scratch")
    votes = Fusions.means([[0, 1], range(6), [1, 3, 0]], 6)
    found = evidence.scores(votes).dice.mean(axis=(0, 2))
    assert found[0] < 1e-3
    assert found[1] < 1e-3
    assert found[2] > 0.03


def test_agreement_is_the_dice_of_every_pair(world, noisy, tmp_path):
    models = [noisy(world.truth, seed) for seed in range(3)]
    folders = [world.predict(f"model{n}", model) for n, model in enumerate(models)]
    found = world.evidence(folders, tmp_path / "scratch").agreement()
    for a, b in np.ndindex(3, 3):
        pairs = [(models[a][image] > 0.5, models[b][image] > 0.5) for image in world.truth]
        expected = np.mean([dice(torch.from_numpy(x), torch.from_numpy(y)).numpy() for x, y in pairs])
        assert found[a, b] == pytest.approx(expected, rel=1e-12)


def test_labels_are_compared_at_the_size_of_the_probabilities(world, tmp_path):
    """A pixel of the label is inside when at least half of its area is."""
    small = {
        image: np.stack([cv2.resize(mask.astype(np.float64), (30, 33), interpolation=cv2.INTER_AREA) for mask in truth])
        for image, truth in world.truth.items()
    }
    sharp = {image: (values >= 0.5).astype(np.float64) for image, values in small.items()}
    blurred = {image: (values > 0.5).astype(np.float64) for image, values in small.items()}
    folders = [world.predict(name, model) for name, model in (("sharp", sharp), ("blurred", blurred))]
    found = world.evidence(folders, tmp_path / "scratch").scores(Fusions.means([[0], [1]], 2)).dice
    assert (found[:, 0] == 1).all()
    assert found[:, 1].mean() < 1


def test_sampled_pixels_lie_around_the_bone(world, noisy, tmp_path):
    model = noisy(world.truth, 0, noise=0.01)
    folders = [world.predict(name, model) for name in ("a", "b")]
    levels, truth = world.evidence(folders, tmp_path / "scratch").samples()
    assert levels.shape == (6, NUM_BONES, 1024, 2)
    # Right wherever the label and the model agree, which here is everywhere.
    np.testing.assert_array_equal(levels[..., 0] > 127, truth)
    assert 0.05 < truth.mean() < 0.5


def test_samples_are_the_same_every_time(world, noisy, tmp_path):
    folders = [world.predict(name, noisy(world.truth, 0)) for name in ("a", "b")]
    first, second = (world.evidence(folders, tmp_path / name).samples() for name in ("first", "second"))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
