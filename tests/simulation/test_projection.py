"""Thickness of surfaces along rays, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_fill_holes, distance_transform_edt
from skimage.draw import polygon2mask

from handseg_bundle_common.anatomy import BONE_NAMES, CHANNEL
from handseg_bundle_common.simulation import HandModel
from handseg_bundle_common.simulation.projection import Beam, project
from handseg_bundle_common.simulation.surfaces import Surface, surface_net, volume

trimesh = pytest.importorskip("trimesh")
BALL = trimesh.creation.icosphere(subdivisions=5, radius=10.0)


def ball_at(x: float, y: float, z: float) -> np.ndarray:
    return np.asarray(BALL.vertices) + np.array([x, y, z])


def rays_of(beam: Beam, box: tuple[slice, slice]) -> np.ndarray:
    """Unit vectors from the source to the pixel centres of a box (h, w, 3)."""
    assert beam.source_mm is not None
    rows, columns = np.indices((beam.height, beam.width))[:, box[0], box[1]]
    rays = np.stack([columns * beam.spacing_mm, rows * beam.spacing_mm, np.zeros(rows.shape)], -1) - beam.source_mm
    return np.asarray(rays / np.linalg.norm(rays, axis=-1, keepdims=True))


@pytest.mark.parametrize("name", BONE_NAMES)
def test_parallel_rays_measure_the_volume_of_every_bone(hand: HandModel, name: str):
    channel = CHANNEL[name]
    points = hand.vertices_of(channel).astype(float)
    points = points - points.min(0) + 1
    surface = Surface(points, hand.triangles_of(channel).astype(int))
    rows, columns = (np.ceil(points.max(0)[[1, 0]] + 2) / 0.1).astype(int)
    seen = project(points, surface.triangles, Beam(rows, columns, 0.1, None))
    assert seen.thickness_mm.sum() * 0.1**2 == pytest.approx(volume(surface), rel=1e-3)


def test_parallel_rays_through_a_ball_have_the_length_of_its_chords():
    seen = project(ball_at(20, 15, 30), BALL.faces, Beam(300, 400, 0.1, None))
    rows, columns = np.indices((300, 400))
    chord = 2 * np.sqrt(np.maximum(100 - (columns * 0.1 - 20) ** 2 - (rows * 0.1 - 15) ** 2, 0))
    assert seen.thickness_mm == pytest.approx(chord[seen.box], abs=0.7)
    assert np.abs(seen.thickness_mm - chord[seen.box])[chord[seen.box] > 5].max() < 0.03


def test_cone_rays_through_a_ball_have_the_length_of_its_chords():
    source, centre = np.array([10.0, 20.0, 400.0]), np.array([35.0, 30.0, 60.0])
    beam = Beam(500, 600, 0.15, tuple(source))
    seen = project(ball_at(*centre), BALL.faces, beam)
    nearest = np.linalg.norm(np.cross(rays_of(beam, seen.box), centre - source), axis=-1)
    chord = 2 * np.sqrt(np.maximum(100 - nearest**2, 0))
    assert np.abs(seen.thickness_mm - chord)[chord > 5].max() < 0.03


def test_cone_rays_through_a_tilted_ellipsoid_have_the_length_of_its_chords():
    shape = trimesh.transformations.euler_matrix(0.5, -0.4, 0.7)[:3, :3] @ np.diag([6.0, 10.0, 18.0])
    beam, centre = Beam(400, 500, 0.2, (20.0, 60.0, 350.0)), np.array([50.0, 35.0, 40.0])
    seen = project(np.asarray(BALL.vertices) / 10 @ shape.T + centre, BALL.faces, beam)
    # In coordinates in which the ellipsoid is the unit ball, |o + s d|^2 = 1; its roots lie one chord apart.
    start = np.linalg.solve(shape, beam.source_mm - centre)
    rays = rays_of(beam, seen.box) @ np.linalg.inv(shape).T
    a, b, c = (rays**2).sum(-1), rays @ start, start @ start - 1
    chord = 2 * np.sqrt(np.maximum(b**2 - a * c, 0)) / a
    away_from_rim = chord > chord.max() / 2
    assert np.abs(seen.thickness_mm / np.maximum(chord, 1) - 1)[away_from_rim].max() < 5e-3
    assert seen.coverage.sum() == pytest.approx((chord > 0).sum(), rel=2e-3)


@pytest.mark.parametrize("tilt", [0.0, 0.4])
def test_cone_rays_through_a_slab_have_its_thickness_over_the_cosine(tilt: float):
    slab = trimesh.creation.box((120.0, 80.0, 5.0))
    turn = trimesh.transformations.rotation_matrix(tilt, [0, 1, 0])[:3, :3]
    beam = Beam(500, 600, 0.25, (90.0, 40.0, 300.0))
    seen = project(np.asarray(slab.vertices) @ turn.T + [75.0, 60.0, 60.0], slab.faces, beam)
    length = 5.0 / np.abs(rays_of(beam, seen.box) @ (turn @ [0, 0, 1]))
    away_from_rim = distance_transform_edt(np.pad(seen.coverage, 1))[1:-1, 1:-1] > 20
    assert away_from_rim.sum() > 10_000
    assert np.abs(seen.thickness_mm / length - 1)[away_from_rim].max() < 5e-3


def test_a_disc_below_the_source_is_magnified_by_the_ratio_of_distances():
    disc = trimesh.creation.cylinder(radius=10.0, height=0.001, sections=1024)
    at = np.asarray(disc.vertices) + np.array([30.03, 30.07, 100])
    cone = project(at, disc.faces, Beam(3000, 3000, 0.02, (30.0, 30.0, 1000.0)))
    flat = project(at, disc.faces, Beam(3000, 3000, 0.02, None))
    assert np.sqrt(cone.coverage.sum() / flat.coverage.sum()) == pytest.approx(1000 / 900, rel=1e-4)
    assert cone.coverage.sum() * 0.02**2 == pytest.approx(np.pi * 100 * (1000 / 900) ** 2, rel=2e-4)


def test_a_net_whose_vertices_lie_on_pixel_centres_has_neither_cracks_nor_leaks():
    net = surface_net(np.linalg.norm(np.indices((41, 41, 41)) - 20.0, axis=0) - 14)
    seen = project(np.round(net.vertices), net.triangles, Beam(41, 41, 1.0, None))
    assert binary_fill_holes(seen.coverage).sum() == seen.coverage.sum()
    assert (seen.thickness_mm[~seen.coverage] == 0).all()
    assert seen.thickness_mm.sum() == pytest.approx(volume(Surface(np.round(net.vertices), net.triangles)), rel=0.02)


def test_every_pixel_centre_belongs_to_exactly_one_of_two_triangles_with_a_common_edge():
    # A slab whose faces are cut along a diagonal that runs exactly through pixel centres.
    slab = trimesh.creation.box((20.0, 20.0, 3.0))
    seen = project(np.asarray(slab.vertices) + np.array([15.0, 15.0, 5.0]), slab.faces, Beam(30, 30, 1.0, None))
    square = polygon2mask((30, 30), [(5, 5), (5, 24), (24, 24), (24, 5)])
    inside = square[seen.box]
    assert seen.thickness_mm[inside] == pytest.approx(3.0)
    assert seen.coverage.sum() == 20 * 20


def test_a_surface_beside_the_detector_leaves_an_empty_box():
    seen = project(ball_at(-50, 10, 10), BALL.faces, Beam(64, 64, 0.5, None))
    assert seen.coverage.size == 0
    assert seen.thickness_mm.size == 0
