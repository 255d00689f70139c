"""The side of a hand: the sample hands turned, mirrored and thinned out, and what comes before their bones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from handseg_bundle_common.anatomy import BONE_NAMES, CHANNEL, NUM_BONES, Group, Side, bones_of
from handseg_bundle_common.formats.boostcamp import rasterise_packed, read_annotations
from handseg_bundle_common.laterality import (
    Laterality,
    LateralitySource,
    find_laterality,
    side_of_masks,
)
from handseg_bundle_common.masks import unpack_masks

Hand = tuple[Path, np.ndarray, Side]


@pytest.fixture(scope="module")
def hands(sample_data: Path) -> list[Hand]:
    """Path, packed masks and side of the sample hands, the side from the folder's naming rule."""
    polygons = sorted(sample_data.glob("outputs_json/*/*.json"))
    return [(path, rasterise_packed(read_annotations(path), 512, 512), Side(path.stem[-1])) for path in polygons]


def only(packed: np.ndarray, channels: np.ndarray | list[int]) -> np.ndarray:
    return packed & np.uint32(sum(1 << int(channel) for channel in channels))


def test_sample_has_both_sides(hands: list[Hand]) -> None:
    assert {side for _, _, side in hands} == set(Side)


# Masks


def test_side_of_sample_hands_in_either_form(hands: list[Hand]) -> None:
    for _, packed, side in hands:
        assert side_of_masks(packed) is side
        assert side_of_masks(unpack_masks(packed)) is side


def test_mirrored_hand_is_of_the_other_side(hands: list[Hand]) -> None:
    for _, packed, side in hands:
        assert side_of_masks(packed[:, ::-1]) not in (side, None)
        assert side_of_masks(packed[::-1]) not in (side, None)


@pytest.mark.parametrize("degrees", [17, 90, 135, 180, 250, 330])
def test_rotation_makes_no_difference(hands: list[Hand], degrees: float) -> None:
    for _, packed, side in hands:
        assert side_of_masks(ndimage.rotate(packed, degrees, order=0)) is side


@pytest.mark.parametrize("factor", [0.25, 3])
def test_size_makes_no_difference(hands: list[Hand], factor: float) -> None:
    for _, packed, side in hands:
        assert side_of_masks(ndimage.zoom(packed, factor, order=0)) is side


@pytest.mark.parametrize("missing", BONE_NAMES)
def test_single_bone_may_be_missing(hands: list[Hand], missing: str) -> None:
    others = [channel for name, channel in CHANNEL.items() if name != missing]
    for _, packed, side in hands[:2]:
        assert side_of_masks(only(packed, others)) is side


@pytest.mark.parametrize("group", [Group.PHALANGES, Group.METACARPALS, Group.CARPALS])
def test_one_group_of_bones_is_enough(hands: list[Hand], group: Group) -> None:
    channels = [CHANNEL[bone.name] for bone in bones_of(group)]
    for _, packed, side in hands:
        assert side_of_masks(only(packed, channels)) is side


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, NUM_BONES - 1)), st.integers(0, 7))
def test_any_bones_tell_the_right_side_or_none(hands: list[Hand], channels: set[int], number: int) -> None:
    _, packed, side = hands[number]
    found = side_of_masks(only(packed, sorted(channels)))
    assert found in ((side,) if len(channels) > 9 else (side, None))


def test_misplaced_bone_does_not_turn_the_hand(hands: list[Hand]) -> None:
    _, packed, side = hands[0]
    for name in BONE_NAMES:
        bit = np.uint32(1 << CHANNEL[name])
        wrong = packed & ~bit
        wrong[:20, -20:] |= bit
        assert side_of_masks(wrong) in (side, None)


def test_stray_pixels_make_no_difference(hands: list[Hand]) -> None:
    _, packed, side = hands[0]
    stray = packed.copy()
    for channel, count in enumerate(unpack_masks(packed).sum(axis=(1, 2)) // 3):
        stray[:5].reshape(-1)[:count] |= np.uint32(1 << channel)
    assert side_of_masks(stray) is side


def test_bones_in_one_line_tell_nothing() -> None:
    packed = np.zeros((80, 40), np.uint32)
    for channel in range(8):
        packed[10 * channel : 10 * channel + 8, 10:20] = 1 << channel
    assert side_of_masks(packed) is None


@given(st.integers(0, 2**32 - 1), st.integers(8, NUM_BONES))
@settings(max_examples=40, deadline=None)
def test_bones_in_any_order_tell_nothing(seed: int, count: int) -> None:
    generator = np.random.default_rng(seed)
    packed = np.zeros((200, 200), np.uint32)
    for channel in generator.permutation(NUM_BONES)[:count]:
        row, column = generator.integers(0, 190, 2)
        packed[row : row + 10, column : column + 10] |= np.uint32(1 << channel)
    assert side_of_masks(packed) is None


def test_no_bones_tell_nothing() -> None:
    assert side_of_masks(np.zeros((9, 9), np.uint32)) is None
    assert side_of_masks(np.zeros((NUM_BONES, 9, 9), bool)) is None


# All three


def test_tag_comes_before_name_and_name_before_geometry(hands: list[Hand]) -> None:
    _, packed, side = hands[0]
    other = next(one for one in Side if one is not side)
    assert find_laterality(f"x_{other}.png", packed, f" {side.lower()} ") == Laterality(
        side, LateralitySource.DICOM_TAG
    )
    assert find_laterality(f"x_{other}.png", packed) == Laterality(other, LateralitySource.FILE_NAME)
    assert find_laterality("x.png", packed) == Laterality(side, LateralitySource.GEOMETRY)
    assert find_laterality("x.png") == Laterality(None, None)


@pytest.mark.parametrize("tag", [None, "", "B", "U", "LEFT", "L R"])
def test_other_values_of_the_tag_are_no_answer(tag: str | None) -> None:
    assert find_laterality("x.png", dicom_tag=tag) == Laterality(None, None)


def test_all_three_agree_on_the_sample_hands(hands: list[Hand]) -> None:
    for path, packed, side in hands:
        name = path.with_suffix(".png")
        answers = [find_laterality(name), find_laterality("x.png", packed), find_laterality("x.png", dicom_tag=side)]
        assert [answer.side for answer in answers] == [side] * 3
        assert {answer.source for answer in answers} == set(LateralitySource)
