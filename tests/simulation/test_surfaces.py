"""Repair of open surfaces."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.measure import marching_cubes

from handseg_bundle_common.anatomy import BONE_NAMES, CHANNEL
from handseg_bundle_common.simulation import HandModel
from handseg_bundle_common.simulation.surfaces import Surface, inner_wall, is_watertight, remesh, surface_net, volume


def ball_field(radius: float, size: int = 40) -> np.ndarray:
    return np.linalg.norm(np.indices((size,) * 3) - (size - 1) / 2, axis=0) - radius


def trimesh_of(surface: Surface):
    return pytest.importorskip("trimesh").Trimesh(surface.vertices, surface.triangles, process=False)


def test_a_net_around_a_ball_is_closed_faces_outwards_and_has_the_volume_of_marching_cubes():
    net = surface_net(ball_field(14.3))
    vertices, triangles, _, _ = marching_cubes(ball_field(14.3), 0)
    assert is_watertight(net.triangles)
    assert volume(net) == pytest.approx(abs(volume(Surface(vertices.astype(float), triangles))), rel=0.01)
    assert volume(net) == pytest.approx(4 / 3 * np.pi * 14.3**3, rel=0.01)


def test_watertightness_and_volume_agree_with_trimesh():
    box = pytest.importorskip("trimesh").creation.box((2.0, 3.0, 4.0))
    triangles = np.asarray(box.faces)
    assert is_watertight(triangles)
    assert volume(Surface(np.asarray(box.vertices), triangles)) == pytest.approx(24.0)
    assert not is_watertight(triangles[1:]), "a hole"
    assert not is_watertight(np.vstack([triangles[:1, ::-1], triangles[1:]])), "a flipped triangle"


def test_a_ball_with_a_hole_is_closed_at_its_volume():
    directions = np.random.default_rng(0).normal(size=(40_000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    directions = directions[directions[:, 0] < 0.995]
    closed = remesh(6.0 * directions, directions, pitch=0.5, smoothing=0.4)
    assert is_watertight(closed.triangles)
    assert volume(closed) == pytest.approx(4 / 3 * np.pi * 6**3, rel=0.05)


def test_the_inner_wall_of_a_ball_is_a_smaller_ball():
    net = surface_net(ball_field(14.0))
    inner = inner_wall(net, np.full(len(net.vertices), 3.0))
    assert np.linalg.norm(inner - 19.5, axis=1) == pytest.approx(11.0, abs=0.3)


@pytest.mark.parametrize("name", BONE_NAMES)
def test_every_bone_is_closed_and_holds_its_marrow(hand: HandModel, name: str):
    channel = CHANNEL[name]
    triangles = hand.triangles_of(channel).astype(int)
    outer = Surface(hand.vertices_of(channel).astype(float), triangles)
    inner = Surface(hand.inner_vertices[hand.slice_of(channel)].astype(float), triangles)
    assert trimesh_of(outer).is_watertight
    assert is_watertight(triangles)
    assert 0.2 < volume(inner) / volume(outer) < 0.9
