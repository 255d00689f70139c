"""Differences of two models by parts of the hand."""

from __future__ import annotations

import numpy as np
import pytest

from handseg_bundle_common.anatomy import BONES, CHANNEL, NUM_BONES, SMALL_BONES, Group
from handseg_bundle_common.metrics import bootstrap_difference, dice_differences

PATIENTS = ["a", "a", "b", "c", "d"]


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(3)
    dice, other = rng.uniform(0.5, 1, (2, 5, NUM_BONES))
    other[:2, CHANNEL["Ulna"]] = np.nan
    return dice, other


@pytest.fixture(scope="module")
def found(scores):
    return {difference.part: difference for difference in dice_differences(*scores, PATIENTS)}


def test_there_is_one_for_every_bone_group_the_small_bones_and_all(found):
    assert list(found) == [*(bone.name for bone in BONES), *Group, "small", "all"]


@pytest.mark.parametrize("part", ["Lunate", "carpals", "small", "all"])
def test_each_is_the_paired_difference_of_its_bones(scores, found, part):
    members = {"Lunate": ["Lunate"], "small": SMALL_BONES, "all": [bone.name for bone in BONES]}
    names = members.get(part, [bone.name for bone in BONES if bone.group == part])
    channels = [CHANNEL[name] for name in names]
    dice, other = (values[:, channels] for values in scores)
    assert found[part].gain == bootstrap_difference(dice, other, PATIENTS)
    assert found[part].dice == pytest.approx(dice.mean())
    assert found[part].is_certain == (found[part].gain.low > 0 or found[part].gain.high < 0)


def test_images_without_a_score_of_one_model_do_not_count(scores, found):
    dice, other = scores
    ulna = CHANNEL["Ulna"]
    assert found["Ulna"].images == 3
    assert found["Ulna"].gain.estimate == pytest.approx((dice - other)[2:, ulna].mean())
