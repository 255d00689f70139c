"""Sentences about faults."""

from __future__ import annotations

import pytest

from handseg_bundle_common.analysis import Fault, FaultKind


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault(FaultKind.MISSING, "finger-16"), "The distal phalanx of the little finger is missing."),
        (
            Fault(FaultKind.EXTRA, "Pisiform", pixels=9),
            "The pisiform is drawn, with 9 px, where the reference has none.",
        ),
        (Fault(FaultKind.SWAPPED, "Scaphoid", "Lunate"), "The scaphoid and the lunate are swapped."),
        (Fault(FaultKind.SHIFTED, "Hamate", "Capitate"), "The hamate is drawn in the place of the capitate."),
        (Fault(FaultKind.HOLE, "Radius", pixels=50), "The radius has a hole of 50 px."),
        (Fault(FaultKind.HOLE, "Radius", count=3, pixels=50), "The radius has 3 holes of 50 px."),
        (Fault(FaultKind.FRAGMENT, "Ulna", pixels=50), "The ulna has a second part of 50 px."),
        (Fault(FaultKind.FRAGMENT, "Ulna", count=2, pixels=50), "The ulna has 2 further parts of 50 px."),
        (Fault(FaultKind.TOO_LARGE, "Ulna", ratio=2.34), "The ulna is 2.3 times as large as it should be."),
        (Fault(FaultKind.TOO_SMALL, "Ulna", ratio=0.4), "The ulna has only 40 % of its area."),
        (Fault(FaultKind.DIFFERENT, "Ulna", dice=0.634), "The ulna differs from the reference (Dice 0.63)."),
        (
            Fault(FaultKind.DIFFERENT, "Hamate", "Capitate", dice=0.7, ratio=0.48),
            "The hamate differs from the reference (Dice 0.70, 48 % taken by the capitate).",
        ),
    ],
)
def test_every_kind_has_its_sentence(fault: Fault, text: str) -> None:
    assert fault.text == text


@pytest.mark.parametrize(
    ("down", "right", "way"),
    [
        (0, 24, "24 px to the right"),
        (0, -24, "24 px to the left"),
        (24, 0, "24 px down"),
        (-24, 1, "24 px up"),
        (3, 4, "5 px down and to the right"),
        (-3, -4, "5 px up and to the left"),
    ],
)
def test_a_shift_has_the_direction_of_the_picture(down: float, right: float, way: str) -> None:
    assert Fault(FaultKind.SHIFTED, "Pisiform", shift_px=(down, right)).text == f"The pisiform is shifted by {way}."
