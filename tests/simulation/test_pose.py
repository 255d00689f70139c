"""Poses of the hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from handseg_bundle_common.anatomy import CHANNEL, NUM_BONES
from handseg_bundle_common.simulation import HandModel
from handseg_bundle_common.simulation.distributions import Normal
from handseg_bundle_common.simulation.hand_model import RAYS
from handseg_bundle_common.simulation.pose import Pose, apply_pose, draw_deviation, draw_pose, mean_pose
from handseg_bundle_common.simulation.presets import DATASET


def drawn(generator: np.random.Generator) -> Pose:
    return draw_pose(generator, DATASET.pose, draw_deviation(generator, DATASET.pose))


def azimuth(hand: HandModel, name: str, reference: str = "Radius") -> float:
    """Angle of a bone against another in the plane of the hand, in degrees, radial positive."""

    def angle(bone: str) -> float:
        axis = hand.axis_of(CHANNEL[bone])
        return float(np.degrees(np.arctan2(axis[0], -axis[1])))

    return angle(name) - angle(reference)


@pytest.mark.parametrize("deviation", [0.0, 20.0, 45.0])
def test_the_third_metacarpal_is_tilted_by_the_deviation_while_the_forearm_stays(hand: HandModel, deviation: float):
    posed, straight = (apply_pose(hand, mean_pose(angle)) for angle in (deviation, 0.0))
    assert azimuth(posed, "finger-11") - azimuth(straight, "finger-11") == pytest.approx(-deviation, abs=0.2)
    assert np.allclose(posed.vertices_of(CHANNEL["Radius"]), straight.vertices_of(CHANNEL["Radius"]), atol=1e-3)


def test_the_distal_row_follows_the_hand_and_the_proximal_row_less(hand: HandModel):
    straight, deviated = (apply_pose(hand, mean_pose(angle)) for angle in (0.0, 40.0))

    def turned(name: str) -> float:
        """Rotation of a bone's centre about the wrist's, which is the origin."""
        centres = (model.vertices_of(CHANNEL[name]).mean(0) for model in (straight, deviated))
        before, after = (np.degrees(np.arctan2(centre[0], centre[1])) for centre in centres)
        return abs(float((after - before + 180) % 360 - 180))

    for name in ("Trapezium", "Trapezoid", "Hamate"):
        assert turned(name) == pytest.approx(40, abs=0.5)
    for name in ("Scaphoid", "Lunate", "Triquetrum", "Pisiform"):
        assert 18 < turned(name) < 34


def test_fingers_deviate_further_than_the_wrist_and_the_thumb_stays_behind():
    straight, deviated = mean_pose(0.0), mean_pose(40.0)
    change = deviated.azimuths - straight.azimuths
    assert (change[[CHANNEL[name] for name in ("finger-6", "finger-10", "finger-14", "finger-18")]] < -8).all()
    assert (change[[CHANNEL[name] for name in ("finger-1", "finger-2", "finger-3")]] > 0).all()


def test_joints_of_a_ray_stay_joined_in_every_pose(hand: HandModel):
    for seed in range(8):
        posed = apply_pose(hand, drawn(np.random.default_rng(seed)))
        for chain in RAYS:
            for parent, child in pairwise(chain):
                rest = np.linalg.norm(hand.vertices_of(parent) - hand.joint_centres[child], axis=1).min()
                now = np.linalg.norm(posed.vertices_of(parent) - posed.joint_centres[child], axis=1).min()
                assert now == pytest.approx(rest, abs=1e-3)


def test_bones_are_moved_rigidly(hand: HandModel):
    posed = apply_pose(hand, drawn(np.random.default_rng(3)))
    for channel in range(NUM_BONES):
        before, after = (np.linalg.norm(np.diff(model.vertices_of(channel), axis=0), axis=1) for model in (hand, posed))
        assert after == pytest.approx(before, abs=1e-3)


def test_drawn_wrists_are_straight_or_deviated_and_little_in_between():
    generator = np.random.default_rng(0)
    tilts = np.array([draw_deviation(generator, DATASET.pose) for _ in range(500)])
    assert ((tilts < 15) | (tilts > 30)).all()
    deviated = tilts[tilts > 30]
    assert len(deviated) / len(tilts) == pytest.approx(0.53, abs=0.06)
    assert isinstance(DATASET.pose.ulnar_deviation, Normal)
    assert deviated.min() > 30
    assert deviated.max() < 53
