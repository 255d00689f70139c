"""Hands on the detector."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from handseg_bundle_common.anatomy import CHANNEL
from handseg_bundle_common.simulation import HandModel
from handseg_bundle_common.simulation.placement import draw_placement, place
from handseg_bundle_common.simulation.pose import apply_pose, draw_deviation, draw_pose, mean_pose
from handseg_bundle_common.simulation.presets import DATASET, WILD
from handseg_bundle_common.simulation.settings import Settings


def edges_mm(hand: HandModel, settings: Settings, seed: int, shape: tuple[int, int]) -> tuple[np.ndarray, float]:
    """Return the distances of the bones of the hand from left, top and right, and that of the radius from below."""
    generator = np.random.default_rng(seed)
    posed = apply_pose(hand, draw_pose(generator, settings.pose, draw_deviation(generator, settings.pose)))
    laid, beam = place(posed, draw_placement(generator, settings.field), *shape)
    radius, ulna = (beam.onto_detector(laid.vertices_of(CHANNEL[name]))[0] for name in ("Radius", "Ulna"))
    pixels = beam.onto_detector(laid.vertices[: laid.slice_of(CHANNEL["Radius"]).start])[0]
    right = beam.width - 1 - pixels[:, 0].max()
    room = np.array([pixels[:, 0].min(), pixels[:, 1].min(), right]) * beam.spacing_mm
    return room, float(min(radius[:, 1].max(), ulna[:, 1].max()) - beam.height) * beam.spacing_mm


@pytest.mark.parametrize("settings", [DATASET, WILD], ids=lambda settings: settings.name)
@pytest.mark.parametrize("shape", [(512, 512), (500, 300), (300, 450)])
def test_every_bone_of_the_hand_keeps_a_distance_from_the_edges(
    hand: HandModel, settings: Settings, shape: tuple[int, int]
):
    for seed in range(12):
        room, below = edges_mm(hand, settings, seed, shape)
        assert room.min() > 7, "millimetres on the detector"
        if settings is DATASET:
            assert below > 0, "the forearm leaves through the bottom"


def test_a_right_hand_lies_with_its_thumb_at_low_columns_and_its_back_towards_the_source(hand: HandModel):
    placement = draw_placement(np.random.default_rng(0), DATASET.field)
    laid, _ = place(apply_pose(hand, mean_pose(0)), placement, 256, 256)
    thumb, little = (laid.vertices_of(CHANNEL[name])[:, 0].mean() for name in ("finger-1", "finger-16"))
    triquetrum, pisiform = (laid.vertices_of(CHANNEL[name])[:, 2].mean() for name in ("Triquetrum", "Pisiform"))
    assert thumb < little
    assert pisiform < triquetrum, "the palm lies on the detector"


def test_rotation_turns_the_whole_hand(hand: HandModel):
    placement = draw_placement(np.random.default_rng(0), DATASET.field)
    directions = []
    for rotation in (0.0, 30.0):
        turned, _ = place(apply_pose(hand, mean_pose(0)), replace(placement, rotation=rotation), 256, 256)
        axis = turned.vertices_of(CHANNEL["finger-11"]).mean(0) - turned.vertices_of(CHANNEL["Radius"]).mean(0)
        directions.append(np.degrees(np.arctan2(axis[1], axis[0])))
    assert directions[1] - directions[0] == pytest.approx(30, abs=1e-3)
