"""What lies inside a bone, against closed forms for balls and slabs."""

from __future__ import annotations

import numpy as np
import pytest

from handseg_bundle_common.simulation.interior import STEP_MM, Pattern, add_bone
from handseg_bundle_common.simulation.projection import Beam, project
from handseg_bundle_common.simulation.texture import trabecular_tile

trimesh = pytest.importorskip("trimesh")
TILE = trabecular_tile(np.random.default_rng(1), "noise", -1.4, 1.0, 0.1)
SPACING = 0.1


def pattern(**changes: float) -> Pattern:
    plain = Pattern(pitch=TILE.pitch_mm, shift_x=0, shift_y=0, stretch=1, texture=0, scar=0, scar_place=0)
    return plain._replace(**changes)


def fill(total: np.ndarray, core: np.ndarray, inside: Pattern, spongy: float = 0.2, cortex: float = 1.0) -> np.ndarray:
    """Return compact bone, water and thickness of a bone that runs along the columns."""
    frame = np.array([[SPACING, 0, 0], [0, SPACING, 0]])
    profile = np.tile(np.array([spongy, 0, 1, cortex], np.float32), (int(total.shape[1] * SPACING / STEP_MM) + 2, 1))
    sums = np.zeros((3, *total.shape), np.float32)
    add_bone(total.astype(np.float32), core.astype(np.float32), frame, profile, TILE.values, inside, sums)
    return sums


def slab(thickness: float, shape: tuple[int, int] = (400, 400)) -> np.ndarray:
    return np.full(shape, thickness)


def test_the_mineral_of_a_ball_with_a_shell_is_that_of_its_volumes():
    beam = Beam(260, 260, SPACING, None)
    balls = [trimesh.creation.icosphere(subdivisions=4, radius=radius) for radius in (10.0, 8.5)]
    outer, inner = (project(np.asarray(ball.vertices) + 13, np.asarray(ball.faces), beam) for ball in balls)
    core = np.zeros_like(outer.thickness_mm)
    core[15:-15, 15:-15] = inner.thickness_mm[: core.shape[0] - 30, : core.shape[1] - 30]
    mineral, water, thickness = fill(outer.thickness_mm, core, pattern(), spongy=0.2, cortex=0.7).sum((1, 2)) * 0.01
    whole, marrow = (4 / 3 * np.pi * radius**3 for radius in (10.0, 8.5))
    assert thickness == pytest.approx(whole, rel=0.01)
    assert mineral == pytest.approx(0.7 * (whole - marrow) + 0.2 * marrow, rel=0.01)
    # What is not compact bone is marrow, which attenuates less than water.
    assert 0.8 * (whole - mineral) < water < 0.9 * (whole - mineral)


def test_the_texture_grows_with_the_square_root_of_the_path():
    deviations = [fill(slab(path), slab(path), pattern(texture=0.1))[0].std() for path in (10.0, 22.5)]
    assert deviations[0] == pytest.approx(0.1 * 0.2 * 10, rel=0.2)
    assert deviations[1] / deviations[0] == pytest.approx(1.5, rel=0.02)


def test_the_texture_neither_changes_the_mean_nor_leaves_the_bone():
    total = np.pad(slab(8, (300, 300)), 50)
    mineral, _, thickness = fill(total, total, pattern(texture=0.15))
    assert not mineral[total == 0].any()
    assert not thickness[total == 0].any()
    assert mineral[total > 0].mean() == pytest.approx(0.2 * 8, rel=0.03)
    assert mineral.min() >= 0


def test_stretched_structures_have_five_times_the_power_across_the_axis():
    image = fill(slab(10, (512, 512)), slab(10, (512, 512)), pattern(texture=0.05, stretch=2.5))[0]
    power = np.abs(np.fft.fft2(image - image.mean())) ** 2
    down, right = np.meshgrid(*[np.fft.fftfreq(512, SPACING)] * 2, indexing="ij")
    frequency, angle = np.hypot(down, right), np.degrees(np.arctan2(np.abs(down), np.abs(right)))
    band = (frequency > 0.2) & (frequency < 0.9)
    assert power[band & (angle > 75)].mean() / power[band & (angle < 15)].mean() == pytest.approx(5, rel=0.2)


def test_a_scar_is_a_band_across_the_bone_at_its_place():
    sums = fill(slab(10), slab(10), pattern(scar=0.5, scar_place=25.0))
    along = sums[0].mean(0)
    assert abs(np.argmax(along) * SPACING - 25) < 0.7
    assert along.max() == pytest.approx(2.0 * (1 + 0.5 * 0.7), rel=0.1)
    np.testing.assert_allclose(along[:220], 2.0, rtol=1e-5)


def test_bones_add_up():
    frame, profile = np.array([[SPACING, 0, 0], [0, SPACING, 0]]), np.ones((12, 4), np.float32)
    sums = np.zeros((3, 20, 20), np.float32)
    path = np.full((20, 20), 3, np.float32)
    for _ in range(2):
        add_bone(path, 0 * path, frame, profile, TILE.values, pattern(), sums)
    np.testing.assert_allclose(sums[2], 6)
    np.testing.assert_allclose(sums[0], 6)
