"""Simulated hands as a whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from handseg_bundle_common.anatomy import BONE_NAMES, CHANNEL, Side
from handseg_bundle_common.masks import unpack_masks
from handseg_bundle_common.simulation import HandModel, SimulatedHand, attenuation, sampler, simulate_hand
from handseg_bundle_common.simulation.collisions import worst_clash
from handseg_bundle_common.simulation.presets import PRESETS
from handseg_bundle_common.simulation.shape import apply_shape, draw_shape

SIZE = 256


@pytest.fixture(scope="module")
def hands(hand: HandModel) -> list[SimulatedHand]:
    """The right hands of sixteen people."""
    return [simulate_hand(seed, SIZE, Side.RIGHT, hand) for seed in range(16)]


def covered(hands: list[SimulatedHand], bone: str, by: str) -> float:
    """Mean share of a bone that another one covers."""
    masks = [unpack_masks(hand.packed_masks) for hand in hands]
    return float(np.mean([(m[CHANNEL[bone]] & m[CHANNEL[by]]).sum() / m[CHANNEL[bone]].sum() for m in masks]))


def test_every_hand_shows_every_bone(hands: list[SimulatedHand]):
    for hand in hands:
        areas = unpack_masks(hand.packed_masks).sum((1, 2))
        assert dict(zip(BONE_NAMES, areas > 0, strict=True)) == dict.fromkeys(BONE_NAMES, True)


def test_a_radiograph_is_float32_between_0_and_1_with_bone_brighter_than_flesh_and_flesh_than_air(
    hands: list[SimulatedHand],
):
    for hand in hands:
        assert hand.radiograph.shape == hand.packed_masks.shape == (SIZE, SIZE)
        assert (hand.radiograph.dtype, hand.packed_masks.dtype) == (np.float32, np.uint32)
        assert 0 <= hand.radiograph.min() < hand.radiograph.max() <= 1
        bone = hand.packed_masks > 0
        carpus = unpack_masks(hand.packed_masks)[19:27].any(0)
        assert np.median(hand.radiograph[carpus]) > np.median(hand.radiograph[~bone]) + 0.1


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(hand: HandModel):
    first, again, other = (simulate_hand(seed, 128, Side.LEFT, hand) for seed in (3, 3, 4))
    assert first.radiograph.tobytes() == again.radiograph.tobytes()
    assert first.packed_masks.tobytes() == again.packed_masks.tobytes()
    assert first.radiograph.tobytes() != other.radiograph.tobytes()


def test_both_hands_of_a_patient_share_bones_and_flesh_but_not_the_pose(hand: HandModel):
    left, right = (simulate_hand(5, 128, side, hand) for side in Side)
    assert left.shape.size == right.shape.size
    assert (left.shape.growth.widths == right.shape.growth.widths).all()
    assert left.build == right.build
    assert left.pose.deviation != right.pose.deviation
    assert left.appearance.processing.air != right.appearance.processing.air


def test_the_thumb_of_a_right_hand_lies_left_of_the_little_finger_and_that_of_a_left_hand_right(hand: HandModel):
    for side, sign in ((Side.RIGHT, 1), (Side.LEFT, -1)):
        masks = unpack_masks(simulate_hand(7, 128, side, hand).packed_masks)
        thumb, little = (np.nonzero(masks[CHANNEL[name]])[1].mean() for name in ("finger-1", "finger-16"))
        assert sign * (little - thumb) > 0


def test_a_left_hand_is_the_mirror_image_of_a_right_one(hand: HandModel, monkeypatch: pytest.MonkeyPatch):
    # With the same exposure for both sides nothing but the mirror is left.
    generators = sampler._generators
    monkeypatch.setattr(sampler, "_generators", lambda seed, side: generators(seed, Side.RIGHT))
    left, right = (simulate_hand(7, 128, side, hand) for side in Side)
    assert (left.radiograph == right.radiograph[:, ::-1]).all()
    assert (left.packed_masks == right.packed_masks[:, ::-1]).all()


def test_masks_are_the_bones_that_the_central_rays_meet(hand: HandModel):
    """Finer sampling of the thickness must not move the masks: they are those of the pixel centres alone."""
    coarse = simulate_hand(2, 200, Side.RIGHT, hand)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attenuation, "_OVERSAMPLED_MM", np.inf)
        plain = simulate_hand(2, 200, Side.RIGHT, hand)
    assert (coarse.packed_masks != plain.packed_masks).sum() <= 2, "but for rounding"


@pytest.mark.parametrize(
    ("bone", "by", "published", "tolerance"),
    [
        ("Pisiform", "Triquetrum", 0.73, 0.1),
        ("Triquetrum", "Pisiform", 0.47, 0.1),
        ("Trapezoid", "Trapezium", 0.40, 0.1),
        ("Trapezium", "finger-7", 0.05, 0.04),
        ("Lunate", "Radius", 0.19, 0.08),
        ("Lunate", "Capitate", 0.15, 0.06),
        ("Hamate", "finger-19", 0.12, 0.05),
        ("finger-10", "finger-14", 0.0, 0.001),
        ("finger-6", "finger-10", 0.0, 0.001),
    ],
)
def test_bones_overlap_as_in_radiographs(
    hands: list[SimulatedHand], bone: str, by: str, published: float, tolerance: float
):
    assert covered(hands, bone, by) == pytest.approx(published, abs=tolerance)


def test_about_four_hundredths_of_the_bone_pixels_carry_two_bones(hands: list[SimulatedHand]):
    counts = [unpack_masks(hand.packed_masks).sum(0) for hand in hands]
    assert np.mean([(count > 1).sum() / (count > 0).sum() for count in counts]) == pytest.approx(0.04, abs=0.015)
    assert np.mean([(count > 0).mean() for count in counts]) == pytest.approx(0.118, abs=0.02)


@pytest.mark.parametrize("name", PRESETS)
def test_drawn_poses_are_possible_for_the_hands_that_take_them(hand: HandModel, name: str):
    for seed in range(12):
        person, exposure = sampler._generators(seed, Side.RIGHT)
        settings = PRESETS[name]
        _, posed = sampler._pose(apply_shape(hand, draw_shape(person, settings.shape)), exposure, settings.pose)
        assert worst_clash(posed) < 1.5, seed


def test_the_forearm_leaves_through_the_bottom_and_the_hand_stays_inside(hands: list[SimulatedHand]):
    for hand in hands:
        masks = unpack_masks(hand.packed_masks)
        assert masks[[CHANNEL["Radius"], CHANNEL["Ulna"]], -1].any(-1).all()
        frame = np.ones((SIZE, SIZE), bool)
        frame[1:-1, 1:-1] = False
        assert not (masks[:27].any(0) & frame).any()


@pytest.mark.parametrize("size", [(192, 128), (96, 160)])
def test_any_shape_of_picture_shows_the_whole_hand(hand: HandModel, size: tuple[int, int]):
    sample = simulate_hand(1, size, Side.RIGHT, hand)
    assert sample.radiograph.shape == size
    assert unpack_masks(sample.packed_masks).any((1, 2)).all()


def test_sampling_needs_neither_the_mesh_package_nor_the_mesh_reader_nor_torch(hand: HandModel):
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['trimesh', 'myo_sim', 'mujoco', 'torch', 'monai']))\n"
        "from handseg_bundle_common.simulation import load_assets, simulate_hand\n"
        "print(simulate_hand(1, 64, 'R', load_assets()).radiograph.shape)"
    )
    root = Path(__file__).parents[2]
    ran = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=root)  # noqa: S603
    assert ran.stdout.strip() == "(64, 64)", ran.stderr
