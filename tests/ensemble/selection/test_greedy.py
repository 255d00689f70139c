"""Forward selection, against an exhaustive walk and in worlds where the right choice is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from handseg_bundle_common.anatomy import CHANNEL, NUM_BONES, SMALL_BONES
from handseg_bundle_common.ensemble.network import Combine
from handseg_bundle_common.ensemble.selection.greedy import select_greedily
from handseg_bundle_common.ensemble.selection.objective import Objective
from handseg_bundle_common.metrics import dice

SMALL = [CHANNEL[name] for name in SMALL_BONES]
LARGE = [k for k in range(NUM_BONES) if k not in SMALL]


def naive_objective(world, models, subset) -> float:
    """Fuse whole images, and average as the competition does."""
    scores = []
    for image, truth in world.truth.items():
        levels = np.stack([np.ceil(models[m][image] * 255 - 0.5) for m in subset])
        masks = levels.sum(axis=0) > 127.5 * len(subset)
        scores.append(dice(torch.from_numpy(masks), torch.from_numpy(truth)).numpy())
    bones = np.mean(scores, axis=0)
    return (bones.mean() + bones[SMALL].mean()) / 2


def naive_selection(world, models) -> list[tuple[int, ...]]:
    """Try every model in turn, and stop when none helps."""
    chosen: tuple[int, ...] = ()
    best, steps = -np.inf, []
    while len(chosen) < len(models):
        others = [m for m in range(len(models)) if m not in chosen]
        scores = [naive_objective(world, models, (*chosen, m)) for m in others]
        if max(scores) <= best:
            break
        best, chosen = max(scores), (*chosen, others[int(np.argmax(scores))])
        steps.append(chosen)
    return steps


@pytest.mark.parametrize("seed", [0, 1])
def test_every_step_is_the_best_one(world, noisy, tmp_path, seed):
    random = np.random.default_rng(seed)
    models = [
        noisy(world.truth, 10 * seed + n, bad=random.integers(NUM_BONES, size=9), noise=random.uniform(0.2, 0.5))
        for n in range(4)
    ]
    evidence = world.evidence([world.predict(f"m{n}", model) for n, model in enumerate(models)], tmp_path / "scratch")
    steps = select_greedily(evidence)
    assert [step.members for step in steps] == naive_selection(world, models)
    for step in steps:
        expected = naive_objective(world, models, step.members)
        assert Objective.BOTH.of_images(step.dice).mean() == pytest.approx(expected, rel=1e-12)


def test_complementary_models_are_chosen(world, noisy, tmp_path):
    """One is good at large bones, one at small ones, a copy of the first adds nothing, and one is bad at all."""
    good_at_large = noisy(world.truth, 0, bad=SMALL)
    good_at_small = noisy(world.truth, 1, bad=LARGE)
    bad = noisy(world.truth, 2, noise=3)
    models = [good_at_large, good_at_large, bad, good_at_small]
    evidence = world.evidence([world.predict(f"m{n}", model) for n, model in enumerate(models)], tmp_path / "scratch")
    steps = select_greedily(evidence)
    assert set(steps[1].members) == {0, 3}
    assert 2 not in steps[-1].members
    assert steps[0].gain is None
    assert steps[1].gain.low > 0


def test_a_copy_adds_nothing(world, noisy, tmp_path):
    model = noisy(world.truth, 0)
    evidence = world.evidence([world.predict(name, model) for name in "abc"], tmp_path / "scratch")
    assert [step.members for step in select_greedily(evidence)] == [(0,)]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_size_is_reached_whether_it_helps_or_not(world, noisy, tmp_path, size):
    model = noisy(world.truth, 0)
    evidence = world.evidence([world.predict(name, model) for name in "abc"], tmp_path / "scratch")
    steps = select_greedily(evidence, size=size)
    assert steps[-1].members == tuple(range(size))
    assert [step.gain.estimate for step in steps[1:]] == [0] * (size - 1)


@pytest.mark.parametrize(("objective", "first"), [("mean", 0), ("small", 1)])
def test_the_objective_decides(world, noisy, tmp_path, objective, first):
    models = [noisy(world.truth, 0, bad=SMALL), noisy(world.truth, 1, bad=LARGE)]
    evidence = world.evidence([world.predict(f"m{n}", model) for n, model in enumerate(models)], tmp_path / "scratch")
    assert select_greedily(evidence, objective=Objective(objective))[0].members == (first,)


def test_votes_are_joined_in_pairs(world, tmp_path):
    """Three voters who each miss other pixels beat one, although no two do: more than half of two is both."""
    random = np.random.default_rng(0)
    models = [{i: truth & (random.random(truth.shape) > 0.1) for i, truth in world.truth.items()} for _ in range(3)]
    folders = [world.predict(f"m{n}", model, keep=False) for n, model in enumerate(models)]
    evidence = world.evidence(folders, tmp_path / "scratch")
    first, second = select_greedily(evidence, combine=Combine.VOTES)
    assert len(first.members) == 1
    assert len(second.added) == 2
    for image, truth, found in zip(world.truth, world.truth.values(), second.dice, strict=True):
        majority = np.sum([model[image] for model in models], axis=0) >= 2
        np.testing.assert_allclose(found, dice(torch.from_numpy(majority), torch.from_numpy(truth)), rtol=1e-12)
    pairs = select_greedily(evidence, size=2)
    assert pairs[1].gain.high < 0
