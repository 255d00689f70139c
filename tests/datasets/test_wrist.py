"""Angle of the wrist: rectangles at known angles, and simulated hands against the pose that was drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from handseg_bundle_common.datasets import TILTED_FROM, WristStratum, wrist_angle, wrist_stratum
from handseg_bundle_common.formats.boostcamp import Annotations, masks_to_annotations, write_annotations
from handseg_bundle_common.simulation import hand_of, load_assets, simulate_hand


def rotation(degrees: float) -> NDArray[np.float64]:
    """Return the matrix that turns points from the image's x axis to its y axis."""
    angle = np.radians(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def rectangle(centre: tuple[float, float], width: float, length: float, degrees: float = 0) -> NDArray[np.float64]:
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [width / 2, length / 2]
    return corners @ rotation(degrees).T + centre


def right_hand(degrees: float) -> Annotations:
    """Return a right wrist that is tilted towards the ulna: radius on the left, metacarpal turned clockwise."""
    metacarpal = rectangle((0, -300), 40, 180) @ rotation(degrees).T
    return {
        "finger-11": [metacarpal],
        "Radius": [rectangle((-40, 250), 80, 300)],
        "Ulna": [rectangle((60, 260), 50, 280)],
    }


def moved(annotations: Annotations, matrix: NDArray[np.float64], offset: tuple[float, float] = (0, 0)) -> Annotations:
    return {name: [ring @ matrix.T + offset for ring in rings] for name, rings in annotations.items()}


@given(st.floats(-40, 60), st.floats(-180, 180), st.booleans())
def test_the_whole_may_be_turned_and_mirrored(degrees: float, turn: float, mirrored: bool) -> None:
    matrix = rotation(turn) @ np.diag([-1.0 if mirrored else 1.0, 1.0])
    assert wrist_angle(moved(right_hand(degrees), matrix, (1000, 900))) == pytest.approx(degrees, abs=0.01)


def test_the_picture_may_cut_the_forearm_obliquely() -> None:
    """The lower edge runs at 10 degrees against the forearm and leaves the radius half again as long as wide."""
    hand = right_hand(35)
    hand["Radius"] = [np.array([[-80.0, 100], [0, 100], [0, 220], [-80, 220 + 80 * np.tan(np.radians(10))]])]
    hand["Ulna"] = [np.array([[35.0, 120], [85, 120], [85, 202], [35, 202 + 50 * np.tan(np.radians(10))]])]
    assert wrist_angle(hand) == pytest.approx(35, abs=5)


@pytest.mark.parametrize("name", ["finger-11", "Radius", "Ulna"])
def test_without_one_of_its_bones_there_is_no_angle(name: str) -> None:
    hand = right_hand(10)
    assert wrist_angle(hand | {name: [np.zeros((3, 2))]}) is None
    del hand[name]
    assert wrist_angle(hand) is None


def test_bones_without_a_long_axis_have_no_angle() -> None:
    stumps = {"Radius": [rectangle((-40, 150), 80, 85)], "Ulna": [rectangle((60, 150), 50, 45)]}
    assert wrist_angle(right_hand(10) | stumps) is None
    assert wrist_angle(right_hand(10) | {"finger-11": [rectangle((0, -300), 40, 45)]}) is None


def test_simulated_hands_have_the_angle_of_their_pose() -> None:
    """The drawn angle is that of axes in space, of bones before they are warped: within 3 degrees mostly, 9 always."""
    assets = load_assets()
    errors = []
    for number in range(12):
        hand = simulate_hand(hand_of(3, number)[0], 256, hand_of(3, number)[1], assets)
        angle = wrist_angle(masks_to_annotations(hand.packed_masks))
        assert angle is not None
        assert (angle >= TILTED_FROM) == (hand.pose.deviation >= TILTED_FROM)
        errors.append(abs(angle - hand.pose.deviation))
    assert np.median(errors) < 3
    assert max(errors) < 9


@pytest.mark.parametrize(
    ("degrees", "stratum"),
    [(2, WristStratum.STRAIGHT), (TILTED_FROM - 0.1, WristStratum.STRAIGHT), (TILTED_FROM + 0.1, WristStratum.TILTED)],
)
def test_strata_divide_at_a_named_angle(tmp_path: Path, degrees: float, stratum: WristStratum) -> None:
    write_annotations(tmp_path / "hand.json", right_hand(degrees))
    assert wrist_stratum({"label": str(tmp_path / "hand.json")}) is stratum


def test_without_polygons_of_the_wrist_the_stratum_is_unknown(tmp_path: Path) -> None:
    write_annotations(tmp_path / "hand.json", {"Radius": right_hand(0)["Radius"]})
    assert wrist_stratum({"label": str(tmp_path / "hand.json")}) is WristStratum.UNKNOWN
    assert wrist_stratum({"patient": "p1"}) is WristStratum.UNKNOWN


def test_a_corrected_file_is_read_again(tmp_path: Path) -> None:
    item = {"label": str(tmp_path / "hand.json")}
    write_annotations(tmp_path / "hand.json", right_hand(0))
    assert wrist_stratum(item) is WristStratum.STRAIGHT
    write_annotations(tmp_path / "hand.json", right_hand(40))
    assert wrist_stratum(item) is WristStratum.TILTED
