"""Where a hand points, and how its bones lean, in left and right hands that lie in any way."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest

from handseg_bundle_common.measurements.frame import HandFrame, hand_frame
from handseg_bundle_common.measurements.regions import find_regions


def of_angle(degrees: float) -> complex:
    return cmath.rect(1, math.radians(degrees))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turn", [0, 40, 90, 155, 180, 270])
def test_fingers_point_distally_and_the_little_finger_ulnarly(draw_hand, rectangles, turn, mirrored) -> None:
    distal, ulnar = -1j * of_angle(turn), of_angle(turn)
    if mirrored:
        distal, ulnar = -distal.conjugate(), -ulnar.conjugate()
    frame = hand_frame(find_regions(draw_hand(rectangles, turn, mirrored)))
    assert frame.distal == pytest.approx(distal, abs=0.02)
    assert frame.ulnar == pytest.approx(ulnar, abs=0.02)


@pytest.mark.parametrize(
    "bones",
    [
        pytest.param([f"finger-{k}" for k in (7, 15, 19, 3, 6)], id="no third metacarpal"),
        pytest.param(["finger-11", "finger-7", "finger-15"], id="three bones lie in any order"),
        pytest.param(["finger-8", "finger-9", "finger-10", "finger-11", "Radius"], id="one ray has no sides"),
    ],
)
def test_too_few_bones_do_not_tell(draw_hand, rectangles, bones) -> None:
    line = {"finger-8": 210 + 40j, "finger-9": 210 + 80j, "finger-10": 210 + 120j, "Radius": 210 + 300j}
    hand = {bone: (line.get(bone, rectangles[bone][0]), *rectangles[bone][1:]) for bone in bones}
    if "finger-8" in bones:
        hand["finger-11"] = 210 + 180j, 48, 9
    assert hand_frame(find_regions(draw_hand(hand))) is None


def test_a_round_third_metacarpal_gives_no_axis(draw_hand, rectangles) -> None:
    hand = rectangles | {"finger-11": (rectangles["finger-11"][0], 12, 10)}
    assert hand_frame(find_regions(draw_hand(hand))) is None


@pytest.mark.parametrize("lean", [-80, -30, 0, 12, 75])
@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("turn", [0, 90, 200])
def test_a_bone_leans_ulnarly_when_its_distal_end_does(lean, side, turn) -> None:
    """The fingers point up, the little finger lies at `side`, and all of it is turned."""
    rows, columns = np.mgrid[:120, :120]
    axis = -1j * of_angle(side * lean + turn)
    own = (columns - 59.6 + 1j * (rows - 60.3)) * axis.conjugate()
    bone = (np.abs(own.real) < 40.2) & (np.abs(own.imag) < 8.1)
    (region,) = find_regions(bone.astype(np.uint32)).values()
    frame = HandFrame(-1j * of_angle(turn), side * of_angle(turn))
    assert frame.orientation(region) == pytest.approx(lean, abs=0.3)


def test_a_round_bone_has_no_orientation() -> None:
    rows, columns = np.mgrid[:41, :41]
    (region,) = find_regions(((rows - 20) ** 2 + (columns - 20) ** 2 < 225).astype(np.uint32)).values()
    assert math.isnan(HandFrame(-1j, 1).orientation(region))
