"""The bones, against the counts of an anatomy book and the class list of the data set."""

from __future__ import annotations

import itertools

import pytest

from handseg_bundle_common.anatomy import (
    BONE_NAMES,
    BONES,
    CHANNEL,
    NUM_BONES,
    OVERLAPPING_PAIRS,
    Group,
    Side,
    bones_of,
)


def test_channels_follow_the_class_list_of_the_data_set() -> None:
    carpals = ["Trapezium", "Trapezoid", "Capitate", "Hamate", "Scaphoid", "Lunate", "Triquetrum", "Pisiform"]
    assert list(BONE_NAMES) == [f"finger-{n}" for n in range(1, 20)] + carpals + ["Radius", "Ulna"]
    assert NUM_BONES == 29
    assert [CHANNEL[name] for name in BONE_NAMES] == list(range(29))


@pytest.mark.parametrize(
    ("group", "count"), [(Group.PHALANGES, 14), (Group.METACARPALS, 5), (Group.CARPALS, 8), (Group.FOREARM, 2)]
)
def test_a_hand_has_so_many_bones_of_a_group(group: Group, count: int) -> None:
    assert len(bones_of(group)) == count


def test_groups_divide_the_bones() -> None:
    grouped = [bone for group in Group for bone in bones_of(group)]
    assert sorted(CHANNEL[bone.name] for bone in grouped) == list(range(NUM_BONES))


@pytest.mark.parametrize(("kind", "fingers"), [("distal", 5), ("middle", 4), ("proximal", 5)])
def test_the_thumb_has_no_middle_phalanx(kind: str, fingers: int) -> None:
    names = [bone.anatomical_name for bone in bones_of(Group.PHALANGES)]
    assert sum(name.startswith(f"{kind} phalanx of the ") for name in names) == fingers


def test_each_ray_ends_with_its_metacarpal() -> None:
    metacarpals = [bone.name for bone in bones_of(Group.METACARPALS)]
    assert metacarpals == ["finger-3", "finger-7", "finger-11", "finger-15", "finger-19"]


@pytest.mark.parametrize("attribute", ["name", "anatomical_name", "colour"])
def test_no_two_bones_share(attribute: str) -> None:
    assert len({getattr(bone, attribute) for bone in BONES}) == NUM_BONES


def test_colours_are_8_bit_and_can_be_told_apart() -> None:
    assert all(0 <= level <= 255 for bone in BONES for level in bone.colour)
    for first, second in itertools.combinations(BONES, 2):
        distance = sum(abs(a - b) for a, b in zip(first.colour, second.colour, strict=True))
        assert distance >= 25, f"{first.name} and {second.name} look alike"


def test_overlapping_pairs_are_known_bones_each_pair_once() -> None:
    assert all(first in CHANNEL and second in CHANNEL for first, second in OVERLAPPING_PAIRS)
    pairs = {frozenset(pair) for pair in OVERLAPPING_PAIRS}
    assert len(pairs) == len(OVERLAPPING_PAIRS)
    assert all(len(pair) == 2 for pair in pairs)


def test_sides_are_the_suffixes_of_file_names() -> None:
    assert [Side.LEFT, Side.RIGHT] == ["L", "R"]


def test_abbreviations_are_distinct_and_follow_the_anatomical_names() -> None:
    abbreviation = {bone.anatomical_name: bone.abbreviation for bone in BONES}
    assert len(set(abbreviation.values())) == NUM_BONES
    parts = {"distal phalanx": "DP", "middle phalanx": "MP", "proximal phalanx": "PP"}
    rays = ["the thumb", "the index finger", "the middle finger", "the ring finger", "the little finger"]
    for number, ray in enumerate(rays, start=1):
        for part, short in parts.items():
            assert abbreviation.get(f"{part} of {ray}", f"{short}{number}") == f"{short}{number}"
    for number, ordinal in enumerate(["first", "second", "third", "fourth", "fifth"], start=1):
        assert abbreviation[f"{ordinal} metacarpal"] == f"MC{number}"
