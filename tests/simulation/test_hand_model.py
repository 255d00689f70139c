"""The bones of one hand as surfaces, and how they are moved."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from handseg_bundle_common.anatomy import BONES, CHANNEL, NUM_BONES, Group
from handseg_bundle_common.simulation import HandModel
from handseg_bundle_common.simulation.hand_model import (
    CHANNEL_OF_PART,
    SESAMOIDS,
    mirrored,
    moved,
    principal_axis,
    rotation_about,
    rotation_z,
    transform_bones,
    turned,
)
from handseg_bundle_common.simulation.surfaces import Surface, volume


def test_rotations_are_those_of_scipy():
    axis = np.array([1.0, -2.0, 2.0]) / 3
    assert rotation_about(axis, 50) == pytest.approx(Rotation.from_rotvec(np.radians(50) * axis).as_matrix())
    assert rotation_z(-30) == pytest.approx(Rotation.from_euler("z", -30, degrees=True).as_matrix())


def test_the_principal_axis_is_that_of_the_longest_extent():
    points = np.random.default_rng(0).normal(size=(400, 3)) * [1, 5, 2] @ rotation_z(20).T
    assert abs(principal_axis(points) @ rotation_z(20)[:, 1]) == pytest.approx(1, abs=0.01)


def test_long_bones_point_distally_at_rest(hand: HandModel):
    for channel, bone in enumerate(BONES):
        if bone.group is not Group.CARPALS:
            assert hand.axis_of(channel)[1] < 0, bone.name
            assert hand.end_of(channel, distal=True)[1] < hand.end_of(channel, distal=False)[1]


def test_sesamoids_lie_on_the_flexor_side_of_the_thumbs_joint_and_move_with_its_metacarpal(hand: HandModel):
    joint = hand.joint_centres[CHANNEL["finger-2"]]
    offsets = np.zeros((NUM_BONES, 3))
    offsets[CHANNEL["finger-3"]] = (1.0, 2.0, 3.0)
    shifted = transform_bones(hand, np.repeat(np.eye(3)[None], NUM_BONES, 0), offsets)
    for part in SESAMOIDS:
        assert CHANNEL_OF_PART[part] == CHANNEL["finger-3"]
        centre = hand.vertices_of(part).mean(0)
        assert 5 < np.linalg.norm(centre - joint) < 14, "millimetres"
        assert centre[0] < joint[0], "at rest the thumb's flexor side faces the palm"
        assert shifted.vertices_of(part) - hand.vertices_of(part) == pytest.approx(
            np.tile([1.0, 2, 3], (len(hand.vertices_of(part)), 1)), abs=1e-4
        )


def test_the_mirror_image_faces_outwards_again_and_is_its_own_inverse(hand: HandModel):
    other = mirrored(hand)
    channel = CHANNEL["Capitate"]
    volumes = [
        volume(Surface(model.vertices_of(channel).astype(float), model.triangles_of(channel).astype(int)))
        for model in (hand, other)
    ]
    assert volumes[0] == pytest.approx(volumes[1])
    assert (mirrored(other).vertices == hand.vertices).all()


def test_turning_and_moving_take_joints_and_inner_walls_along(hand: HandModel):
    offset = np.array([3.0, -4.0, 5.0])
    away = moved(turned(hand, 90.0), offset)
    expected = hand.joint_centres @ rotation_z(90).T + offset
    assert away.joint_centres == pytest.approx(expected)
    assert away.inner_vertices == pytest.approx(hand.inner_vertices @ rotation_z(90).T + offset, abs=1e-3)
