"""Check of where bones lie: simulated hands of both sides, turned, mirrored and with exchanged labels."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handseg_bundle_common.anatomy import Group, Side, bones_of
from handseg_bundle_common.datasets import data_list
from handseg_bundle_common.datasets.check_anatomy import Centroids, order_faults, side_faults
from handseg_bundle_common.datasets.moments import polygon_moments
from handseg_bundle_common.formats.boostcamp import read_annotations

HANDS = range(8)


@pytest.fixture(scope="module")
def hands(sample_data: Path) -> list[tuple[Side, Centroids]]:
    """Sides and centroids of the sample hands, four of them right."""
    found = []
    for item in data_list(sample_data):
        moments = {name: polygon_moments(rings) for name, rings in read_annotations(item["label"]).items()}
        centroids = {name: bone.centroid for name, bone in moments.items() if bone is not None}
        found.append((Side(Path(item["label"]).stem[-1]), centroids))
    return found


def exchanged(centroids: Centroids, *pairs: tuple[str, str]) -> Centroids:
    swapped = dict(centroids)
    for a, b in pairs:
        swapped[a], swapped[b] = swapped[b], swapped[a]
    return swapped


@given(st.sampled_from(HANDS), st.floats(-180, 180), st.booleans())
def test_a_turned_hand_keeps_its_side_and_a_mirrored_one_does_not(
    hands: list[tuple[Side, Centroids]], number: int, degrees: float, mirrored: bool
) -> None:
    side, centroids = hands[number]
    angle = np.radians(degrees)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = matrix @ np.diag([-1.0 if mirrored else 1.0, 1.0])
    moved = {name: matrix @ centroid for name, centroid in centroids.items()}
    assert bool(side_faults(moved, side)) == mirrored
    assert not order_faults(moved)


def test_the_fault_names_both_sides(hands: list[tuple[Side, Centroids]]) -> None:
    other = {Side.LEFT: Side.RIGHT, Side.RIGHT: Side.LEFT}
    messages = {side: side_faults(centroids, other[side])[0].message for side, centroids in hands}
    assert messages[Side.LEFT] == "the name says right, but the bones lie like those of a left hand"
    assert messages[Side.RIGHT] == "the name says left, but the bones lie like those of a right hand"


@pytest.mark.parametrize("number", HANDS)
@pytest.mark.parametrize(
    "pairs",
    [
        [("Trapezium", "Trapezoid")],
        [("Capitate", "Hamate")],
        [("Lunate", "Triquetrum")],
        [("Trapezium", "Hamate"), ("Trapezoid", "Capitate"), ("Scaphoid", "Triquetrum")],
        [("Capitate", "Lunate")],
        [("finger-1", "finger-2")],
        [("finger-16", "finger-18")],
        [("finger-11", "finger-15")],
        [("finger-9", "finger-13")],
        [("Radius", "Ulna")],
    ],
    ids=str,
)
def test_exchanged_bones_are_both_named(
    hands: list[tuple[Side, Centroids]], number: int, pairs: list[tuple[str, str]]
) -> None:
    side, centroids = hands[number]
    found = {fault.bone: fault.message for fault in order_faults(exchanged(centroids, *pairs))}
    assert set(found) == {bone for pair in pairs for bone in pair}
    assert not side_faults(exchanged(centroids, *pairs), side)
    first, second = pairs[0]
    assert found[first].startswith(f"lies where {second} (")


@pytest.mark.parametrize("number", HANDS)
def test_all_exchanges_within_the_wrist_but_one_are_told(hands: list[tuple[Side, Centroids]], number: int) -> None:
    _, centroids = hands[number]
    pairs = set(combinations([bone.name for bone in bones_of(Group.CARPALS)], 2))
    told = {pair for pair in pairs if {fault.bone for fault in order_faults(exchanged(centroids, pair))} == set(pair)}
    assert pairs - told <= {("Triquetrum", "Pisiform")}, "these lie over each other"


def test_bones_beyond_one_exchange_are_named_as_they_lie(hands: list[tuple[Side, Centroids]]) -> None:
    _, centroids = hands[0]
    moved_on = {"finger-8": "finger-9", "finger-9": "finger-10", "finger-10": "finger-8"}
    found = order_faults({name: centroids[moved_on.get(name, name)] for name in centroids})
    assert {(fault.bone or "", fault.message.split()[2]) for fault in found} == set(moved_on.items())


@given(st.sampled_from(HANDS), st.randoms(use_true_random=False))
def test_missing_bones_make_no_false_alarm(hands: list[tuple[Side, Centroids]], number: int, random) -> None:
    side, centroids = hands[number]
    some = {name: centroids[name] for name in random.sample(sorted(centroids), random.randint(0, len(centroids)))}
    assert not order_faults(some)
    assert not side_faults(some, side)
