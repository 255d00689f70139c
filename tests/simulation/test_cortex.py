"""The inner wall of the cortex of one person."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from handseg_bundle_common.anatomy import BONE_NAMES, BONES, CHANNEL, Group
from handseg_bundle_common.simulation import HandModel
from handseg_bundle_common.simulation.cortex import Cortex, distal_axis, draw_cortex, inner_surface, outwards
from handseg_bundle_common.simulation.presets import DATASET, WILD
from handseg_bundle_common.simulation.surfaces import Surface, volume


def drawn(seed: int = 0, loss: float = 0.0) -> Cortex:
    return draw_cortex(np.random.default_rng(seed), DATASET.bone, loss)


def depth_of(hand: HandModel, cortex: Cortex, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the place along the bone, 0 to 1 from its distal end, and the depth of the cortex at each vertex."""
    where = hand.slice_of(CHANNEL[name])
    along = -hand.vertices[where] @ distal_axis(hand, CHANNEL[name])
    depth = np.linalg.norm(inner_surface(hand, cortex)[where] - hand.vertices[where], axis=1)
    return (along - along.min()) / np.ptp(along), depth


@pytest.mark.parametrize("name", [bone.name for bone in BONES if bone.group is Group.METACARPALS])
def test_metacarpals_have_thick_shafts_and_thin_ends(hand: HandModel, name: str):
    place, depth = depth_of(hand, drawn(), name)
    assert 1.4 < np.median(depth[np.abs(place - 0.5) < 0.05]) < 2.5
    for end in (place < 0.1, place > 0.9):
        assert 0.25 < np.median(depth[end]) < 0.8


@pytest.mark.parametrize("name", BONE_NAMES)
def test_the_inner_wall_lies_inside_and_leaves_a_core(hand: HandModel, name: str):
    channel = CHANNEL[name]
    triangles = hand.triangles_of(channel).astype(int)
    inner = inner_surface(hand, drawn())[hand.slice_of(channel)].astype(float)
    share = volume(Surface(inner, triangles)) / volume(Surface(hand.vertices_of(channel).astype(float), triangles))
    assert 0.1 < share < 0.95


def test_a_concave_base_has_a_thicker_plate_than_the_head(hand: HandModel):
    cortex = replace(drawn(), wave_amplitude_mm=0.0)
    place, depth = depth_of(hand, cortex, "finger-10")
    assert depth[place > 0.97].max() == pytest.approx(cortex.plate_mm, rel=0.05)
    assert depth[place < 0.03].max() < 0.75 * cortex.plate_mm


def test_lost_bone_thins_the_cortex_everywhere(hand: HandModel):
    full, thin = (replace(drawn(loss=loss), wave_amplitude_mm=0.0) for loss in (0.0, 0.3))
    for name in ("finger-7", "Scaphoid", "Radius"):
        np.testing.assert_allclose(depth_of(hand, thin, name)[1], 0.7 * depth_of(hand, full, name)[1], rtol=1e-2)


def test_the_inner_wall_of_a_shaft_is_irregular(hand: HandModel):
    smooth, rough = (replace(drawn(), wave_amplitude_mm=amplitude) for amplitude in (0.0, 0.1))
    place, before = depth_of(hand, smooth, "finger-11")
    change = depth_of(hand, rough, "finger-11")[1] - before
    assert change[np.abs(place - 0.5) < 0.15].std() > 0.08
    # It is the wall of the shaft alone.
    assert np.abs(change[(place < 0.05) | (place > 0.95)]).max() < 0.05


@pytest.mark.parametrize("name", [bone.name for bone in BONES if bone.group is not Group.CARPALS])
def test_axes_point_to_the_finger_tips(hand: HandModel, name: str):
    # At rest distal is towards negative y.
    assert distal_axis(hand, CHANNEL[name])[1] < -0.7
    assert outwards(hand, CHANNEL[name])[1] < 0


def test_a_cortex_is_drawn_within_its_bounds():
    for seed in range(20):
        cortex = draw_cortex(np.random.default_rng(seed), WILD.bone, 0.1)
        assert WILD.bone.end_cortex.low <= cortex.end <= WILD.bone.end_cortex.high
        assert WILD.bone.plate_mm.low <= cortex.plate_mm <= WILD.bone.plate_mm.high
        assert cortex.factor == pytest.approx(0.9)
