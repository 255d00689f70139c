"""Differences of two models by parts of the hand."""

from __future__ import annotations

import numpy as np
import pytest

from handseg_bundle_common.anatomy import BONES, CHANNEL, NUM_BONES, SMALL_BONES, Group
from handseg_bundle_common.metrics import ImageScores, bootstrap_difference, dice_difference, dice_differences
from handseg_bundle_common.metrics.differences import patients_caution
from handseg_bundle_common.metrics.scores import paired

PATIENTS = ["a", "b", "c", "d", "e"]


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


def test_no_difference_of_fewer_than_five_patients_is_certain():
    """Of two patients whose images all gain, the interval leaves out 0, as it would by chance every second time."""
    gain = np.full((10, 1), 0.1)
    certain = {}
    for count in (2, 4, 5):
        patients = [str(number % count) for number in range(10)]
        found = dice_difference("part", "label", gain + 0.5, gain + 0.4, patients)
        assert (found.patients, found.gain.low > 0) == (count, True)
        certain[count] = found.is_certain
    assert certain == {2: False, 4: False, 5: True}


def test_patients_without_a_score_of_both_do_not_count():
    dice = np.full((5, 1), 0.9)
    dice[0] = np.nan
    assert dice_difference("part", "label", dice, dice - 0.1, PATIENTS).patients == 4
    assert not dice_difference("part", "label", dice, dice - 0.1, PATIENTS).is_certain


@pytest.mark.parametrize(
    ("patients", "words"),
    [(1, "no interval of 1 patient."), (4, "certain below 5."), (6, "6 patients are too narrow"), (19, "about 20")],
)
def test_intervals_of_few_patients_are_pointed_out(patients, words):
    assert words in patients_caution(patients)


def test_intervals_of_many_patients_are_not():
    assert patients_caution(20) == ""


def test_scores_are_paired_by_name_in_the_order_of_the_first():
    dice = np.arange(3.0)[:, None]
    own, other = paired(ImageScores(["c", "a", "b"], dice), ImageScores(["b", "x", "c"], 10 + dice))
    assert own.image_names == other.image_names == ["c", "b"]
    assert (own.dice[:, 0].tolist(), other.dice[:, 0].tolist()) == ([0, 2], [12, 10])
    assert paired(own, ImageScores(["x"], dice[:1])) is None
