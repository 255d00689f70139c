"""The hands of the benchmark: reserved, shared out and kept."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from handseg_bundle_common.simulation import RESERVED_SEEDS, SimulatedHands


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("hands")


@pytest.fixture(scope="module")
def hands(script, folder):
    pytest.importorskip("numba")
    return script.simulate(6, 96, folder, workers=1)


def test_no_recipe_trains_or_validates_on_reserved_seeds(script, repository):
    recipes = list(repository.glob("bundles/*/configs/pretrain_simulated.json"))
    names = ("simulation_seed", "validation_seed")
    seeds = {json.loads(recipe.read_text())[name] for recipe in recipes for name in names}
    assert seeds
    assert not seeds & set(RESERVED_SEEDS)
    assert len({reserved.seed for reserved in script.RESERVED}) == len(script.RESERVED)
    assert {reserved.seed for reserved in script.RESERVED} <= set(RESERVED_SEEDS)


def test_half_of_the_hands_are_shifted_and_the_others_shared_between_the_training_settings(script):
    shares = Counter()
    for reserved in script.RESERVED:
        shares[reserved.half] += reserved.share
    assert shares == {script.Half.SHIFTED: 0.5, script.Half.TRAINING: 0.5}
    assert next(iter(script.Half)) is script.Half.SHIFTED


def test_hands_are_those_of_their_seed_and_preset(script, hands):
    assert Counter(hand.half for hand in hands) == {script.Half.SHIFTED: 3, script.Half.TRAINING: 4}
    first = next(hand for hand in hands if hand.preset == "shifted")
    drawn = SimulatedHands(1, 96, 9002, preset="shifted")[0]
    assert (first.patient, f"{first.name}.png") == (drawn["patient"], drawn["image_name"])
    without_holes = first.masks()
    drawn_masks = drawn["label"][0].view(np.uint32)
    assert (drawn_masks & ~without_holes == 0).all()
    assert (without_holes == drawn_masks).mean() > 0.99


def test_hands_that_are_there_are_kept(script, folder, hands):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")}
    assert script.simulate(2, 96, folder, workers=1) == [hands[0], hands[2], hands[5]]
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")} == before


@pytest.mark.parametrize(("count", "expected"), [(2, [1, 1]), (3, [1, 2]), (9, [2, 2])])
def test_variants_are_made_of_both_training_presets(script, hands, count, expected):
    found = Counter(hand.preset for hand in script.robustness_hands(hands, count))
    assert [found["dataset"], found["wild"]] == expected
    assert not found["shifted"]
