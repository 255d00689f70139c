"""The radius makes room for the lunate."""

from __future__ import annotations

import numpy as np
import pytest

from handseg_bundle_common.anatomy import CHANNEL
from handseg_bundle_common.simulation import HandModel
from handseg_bundle_common.simulation.collisions import common_parts
from handseg_bundle_common.simulation.congruence import hollow_radius
from handseg_bundle_common.simulation.hand_model import transform_bones
from handseg_bundle_common.simulation.pose import apply_pose, mean_pose


def lunate_in_radius(hand: HandModel, deviation: float) -> float:
    """Share of the lunate that lies inside the radius."""
    volumes, _ = common_parts(apply_pose(hand, mean_pose(deviation)))
    return float(volumes[CHANNEL["Lunate"], CHANNEL["Radius"]] / volumes[CHANNEL["Lunate"], CHANNEL["Lunate"]])


@pytest.fixture(scope="module")
def pressed(hand: HandModel) -> HandModel:
    """A hand whose forearm was pushed 2 mm into the carpus."""
    offsets = np.zeros((29, 3))
    offsets[CHANNEL["Radius"], 1] = -2.0
    return transform_bones(hand, np.repeat(np.eye(3)[None], 29, 0), offsets)


@pytest.mark.parametrize("deviation", [0.0, 20.0, 40.0])
def test_the_lunate_leaves_the_radius(pressed: HandModel, deviation: float):
    before, after = (lunate_in_radius(model, deviation) for model in (pressed, hollow_radius(pressed)))
    assert before > 0.02
    # The edges of the hollow are smoothed, so a little is left.
    assert after < 0.8 * before


def test_only_the_end_of_the_radius_changes_and_only_backwards(pressed: HandModel):
    hollowed = hollow_radius(pressed)
    moved = hollowed.vertices - pressed.vertices
    radius = pressed.slice_of(CHANNEL["Radius"])
    elsewhere = np.delete(np.arange(len(moved)), np.arange(radius.start, radius.stop))
    assert not moved[elsewhere].any()
    assert not moved[:, [0, 2]].any()
    assert moved[radius, 1].min() >= 0
    shaft = pressed.vertices[radius, 1] > pressed.vertices[radius, 1].min() + 25
    assert not moved[radius][shaft].any()
