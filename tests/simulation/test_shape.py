"""Variety of people."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.spatial import cKDTree

from handseg_bundle_common.anatomy import BONES, CHANNEL, NUM_BONES, Group
from handseg_bundle_common.simulation import HandModel
from handseg_bundle_common.simulation.distributions import Uniform
from handseg_bundle_common.simulation.hand_model import Growth, grow_bones
from handseg_bundle_common.simulation.presets import DATASET, PRESETS, SHIFTED, WILD
from handseg_bundle_common.simulation.settings import Settings
from handseg_bundle_common.simulation.shape import Shape, apply_shape, draw_shape
from handseg_bundle_common.simulation.surfaces import Surface, is_watertight, volume


def person(seed: int, settings: Settings = DATASET) -> Shape:
    return draw_shape(np.random.default_rng(seed), settings.shape)


def lengths(hand: HandModel) -> np.ndarray:
    return np.array([np.ptp(hand.vertices_of(k) @ hand.axis_of(k).astype(np.float32)) for k in range(NUM_BONES)])


def neutral(**changes: object) -> Growth:
    ones, zeros = np.ones(NUM_BONES), np.zeros(NUM_BONES)
    return dataclasses.replace(Growth(ones, ones, ones, zeros, np.zeros((NUM_BONES, 3))), **changes)


def test_the_same_seed_is_the_same_person(hand: HandModel):
    first, again, other = (apply_shape(hand, person(seed)) for seed in (1, 1, 2))
    assert (first.vertices == again.vertices).all()
    assert np.abs(first.vertices - other.vertices).max() > 1


def test_neutral_growth_changes_nothing(hand: HandModel):
    np.testing.assert_allclose(grow_bones(hand, neutral()).vertices, hand.vertices, atol=1e-4)


def test_a_longer_metacarpal_carries_its_finger_along(hand: HandModel):
    longer = np.ones(NUM_BONES)
    longer[CHANNEL["finger-11"]] = 1.1
    grown = grow_bones(hand, neutral(lengths=longer))
    moved = grown.joint_centres - hand.joint_centres
    for name in ("finger-10", "finger-9", "finger-8"):
        assert moved[CHANNEL[name]] == pytest.approx(moved[CHANNEL["finger-10"]]), "the finger keeps its own length"
    reach = hand.joint_centres[CHANNEL["finger-10"]] - hand.end_of(CHANNEL["finger-11"], distal=False)
    assert np.linalg.norm(moved[CHANNEL["finger-10"]]) == pytest.approx(0.1 * np.linalg.norm(reach), rel=0.03)
    assert not moved[CHANNEL["finger-6"]].any()


def test_turns_and_depths_leave_the_centre_of_a_carpal_bone_in_place(hand: HandModel):
    turns, depths = np.zeros(NUM_BONES), np.ones(NUM_BONES)
    turns[CHANNEL["Capitate"]], depths[CHANNEL["Capitate"]] = 90.0, 2.0
    before, after = (
        model.vertices_of(CHANNEL["Capitate"])
        for model in (hand, grow_bones(hand, neutral(turns=turns, depths=depths)))
    )
    assert after.mean(0) == pytest.approx(before.mean(0), abs=1e-3)
    assert np.ptp(after, axis=0) == pytest.approx(np.ptp(before, axis=0)[[1, 0, 2]] * [1, 1, 2], rel=1e-3)


def test_joints_stay_closed(hand: HandModel):
    """The warp is smooth: neighbouring bones keep their distance but for the drawn scales of carpal bones."""

    def gaps(model: HandModel) -> np.ndarray:
        pairs = [
            ("finger-10", "finger-9"),
            ("finger-11", "finger-10"),
            ("finger-7", "finger-6"),
            ("finger-18", "finger-17"),
        ]
        return np.array(
            [cKDTree(model.vertices_of(CHANNEL[a])).query(model.vertices_of(CHANNEL[b]))[0].min() for a, b in pairs]
        )

    for seed in range(10):
        assert np.abs(gaps(apply_shape(hand, person(seed))) - gaps(hand)).max() < 1.0, "millimetres"


def test_two_people_differ_as_adults_do(hand: HandModel):
    """Coefficients of variation of bone lengths in radiographs of adults are 5 to 7 %, of carpal bones more."""
    people = np.log([lengths(apply_shape(hand, person(seed))) for seed in range(40)])
    spread = people.std(0)
    metacarpals = [k for k, bone in enumerate(BONES) if bone.group is Group.METACARPALS]
    assert spread[metacarpals].mean() == pytest.approx(0.055, abs=0.015)
    assert spread[:19].min() > 0.04
    assert spread[:19].max() < 0.10


@pytest.mark.parametrize("name", PRESETS)
def test_surfaces_stay_closed_face_outwards_and_hold_their_marrow(hand: HandModel, name: str):
    shaped = apply_shape(hand, person(0, PRESETS[name]))
    for part in range(len(shaped.vertex_starts) - 1):
        triangles = shaped.triangles_of(part).astype(int)
        outer, inner, rest = (
            volume(Surface(vertices[model.slice_of(part)].astype(float), triangles))
            for model, vertices in ((shaped, shaped.vertices), (shaped, shaped.inner_vertices), (hand, hand.vertices))
        )
        assert is_watertight(triangles)
        assert 0 < inner < outer, "outward triangles enclose a positive volume"
        assert 0.5 < outer / rest < 2


def test_the_shape_modes_of_the_benchmark_lie_outside_those_of_training():
    modes = "robustness", "finger_length", "cortex", "warp_wavelength_mm", "ripple_wavelength_mm", "ripple_mm"
    for field in modes:
        shifted = getattr(SHIFTED.shape, field)
        assert isinstance(shifted, Uniform)
        for trained in (getattr(DATASET.shape, field), getattr(WILD.shape, field)):
            assert shifted.low >= trained.high or shifted.high <= trained.low, field


def test_sesamoids_are_there_and_labelled_as_often_as_in_annotations():
    people = [person(seed) for seed in range(600)]
    assert np.mean([one.sesamoids for one in people]) == pytest.approx(0.98, abs=0.02)
    assert np.mean([one.sesamoids_labelled for one in people]) == pytest.approx(739 / 800, abs=0.03)
