"""Poses that no hand can take."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from handseg_bundle_common.anatomy import CHANNEL, NUM_BONES
from handseg_bundle_common.simulation import HandModel
from handseg_bundle_common.simulation.collisions import PITCH_MM, columns_of, common_parts, worst_clash
from handseg_bundle_common.simulation.hand_model import transform_bones
from handseg_bundle_common.simulation.pose import apply_pose, mean_pose
from handseg_bundle_common.simulation.surfaces import Surface, volume

trimesh = pytest.importorskip("trimesh")


def shifted(hand: HandModel, name: str, offset: tuple[float, float, float]) -> HandModel:
    offsets = np.zeros((NUM_BONES, 3))
    offsets[CHANNEL[name]] = offset
    return transform_bones(hand, np.repeat(np.eye(3)[None], NUM_BONES, 0), offsets)


def balls(hand: HandModel, distance: float) -> HandModel:
    """Put balls of 8 mm in the place of the capitate and the hamate, and the other bones far away."""
    ball = trimesh.creation.icosphere(subdivisions=4, radius=8.0)
    count = hand.vertex_starts.size - 1
    places = np.array([[100.0 * part, 0, 0] for part in range(count)])
    places[CHANNEL["Hamate"]] = places[CHANNEL["Capitate"]] + [0, distance, 0]
    vertices = np.concatenate([ball.vertices + place for place in places]).astype(np.float32)
    return replace(
        hand,
        vertices=vertices,
        inner_vertices=vertices,
        triangles=np.concatenate([ball.faces] * count).astype(np.int32),
        vertex_starts=np.arange(count + 1) * len(ball.vertices),
        triangle_starts=np.arange(count + 1) * len(ball.faces),
    )


@pytest.mark.parametrize("distance", [0.0, 6.0, 11.0, 16.5])
def test_two_balls_share_a_lens(hand: HandModel, distance: float):
    volumes, areas = common_parts(balls(hand, distance))
    first, second = CHANNEL["Capitate"], CHANNEL["Hamate"]
    radius = 8.0
    lens = max(np.pi * (4 * radius + distance) * (2 * radius - distance) ** 2 / 12, 0) if distance < 16 else 0
    assert volumes[first, second] == pytest.approx(lens, rel=0.05, abs=1)
    assert volumes[second, first] == volumes[first, second]
    assert volumes[first, first] == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.04)
    assert areas[first, first] == pytest.approx(np.pi * radius**2, rel=0.04)


def test_volumes_are_those_of_the_surfaces_where_bones_are_convex(hand: HandModel):
    volumes, _ = common_parts(hand)
    channel = CHANNEL["Pisiform"]
    surface = Surface(hand.vertices_of(channel).astype(float), hand.triangles_of(channel).astype(int))
    assert volumes[channel, channel] == pytest.approx(volume(surface), rel=0.03)


@pytest.mark.parametrize("deviation", [0.0, 20.0, 42.0])
def test_mean_poses_are_possible(hand: HandModel, deviation: float):
    assert worst_clash(apply_pose(hand, mean_pose(deviation))) < 1


def test_a_lunate_inside_the_radius_is_not(hand: HandModel):
    assert worst_clash(shifted(apply_pose(hand, mean_pose(0.0)), "Lunate", (0, 8, 0))) > 1


def test_crossing_fingers_are_not_even_where_they_do_not_touch(hand: HandModel):
    pose = mean_pose(0.0)
    azimuths = pose.azimuths.copy()
    azimuths[[CHANNEL[name] for name in ("finger-6", "finger-5", "finger-4")]] -= 30
    crossed = apply_pose(hand, replace(pose, azimuths=azimuths))
    lifted = shifted(shifted(shifted(crossed, "finger-6", (0, 0, 60)), "finger-5", (0, 0, 60)), "finger-4", (0, 0, 60))
    assert worst_clash(crossed) > 1
    assert worst_clash(lifted) > 1


def test_columns_of_a_ball_are_its_chords():
    ball = trimesh.creation.icosphere(subdivisions=5, radius=8.0)
    low, bottom, top = columns_of(ball.vertices.astype(np.float32), ball.faces)
    rows, columns = np.indices(bottom.shape)
    squares = (columns * PITCH_MM + low[0]) ** 2 + (rows * PITCH_MM + low[1]) ** 2
    inside = squares < 49
    assert (top - bottom)[inside] == pytest.approx(2 * np.sqrt(64 - squares[inside]), rel=0.01)
    assert np.isinf(bottom[squares > 65]).all()
