"""Outlines that occur twice are found, wherever they start; outlines that only overlap are not."""

from __future__ import annotations

import numpy as np
import pytest

from handseg_bundle_common.datasets.check_copies import copied_bones, copied_images, repeated_rings
from handseg_bundle_common.datasets.check_faults import FaultKind
from handseg_bundle_common.datasets.moments import polygon_moments
from handseg_bundle_common.formats.boostcamp import Ring

ANGLES = np.linspace(0, 2 * np.pi, 40, endpoint=False)
OUTLINE = np.stack([100 + 30 * np.cos(ANGLES), 200 + 20 * np.sin(ANGLES)], axis=1)


@pytest.mark.parametrize("again", [OUTLINE, np.roll(OUTLINE, 7, axis=0), OUTLINE[::-1]], ids=["same", "later", "back"])
def test_a_ring_given_twice(again: Ring) -> None:
    faults = repeated_rings({"Ulna": [OUTLINE, OUTLINE + 5, again], "Radius": [OUTLINE]})
    assert [(fault.kind, fault.bone) for fault in faults] == [(FaultKind.REPEATED_RING, "Ulna")]
    assert faults[0].message == "1 of 3 rings repeat another"


@pytest.mark.parametrize(
    ("other", "is_copy"),
    [
        (OUTLINE, True),
        (np.round(OUTLINE), True),
        (OUTLINE[::2], True),
        (OUTLINE + 5, False),
        ((OUTLINE - [100, 200]) * 1.1 + [100, 200], False),
        ((OUTLINE - [100, 200])[:, ::-1] + [100, 200], False),
    ],
    ids=["same", "rounded", "fewer points", "moved", "larger", "turned"],
)
def test_two_bones_of_one_outline(other: Ring, is_copy: bool) -> None:
    outlines = {"Lunate": OUTLINE, "Capitate": other, "Ulna": OUTLINE + 300}
    bones = {name: moments for name, ring in outlines.items() if (moments := polygon_moments([ring]))}
    found = {fault.bone: fault.message for fault in copied_bones(bones)}
    assert found == (
        {"Lunate": "has the outline of Capitate (capitate)", "Capitate": "has the outline of Lunate (lunate)"}
        if is_copy
        else {}
    )


def test_images_that_share_rings() -> None:
    rings = [OUTLINE + shift for shift in range(5)]
    images = [
        ("a", {"Ulna": rings[:3]}),
        ("b", {"Radius": rings[:1]}),
        ("c", {"Ulna": rings[1:3], "Lunate": rings[3:4]}),
        ("d", {"Ulna": rings[4:]}),
        ("e", {}),
    ]
    assert [[fault.message for fault in faults] for faults in copied_images(images)] == [
        ["2 of 3 rings are those of c"],
        ["1 of 1 rings are those of a"],
        ["2 of 3 rings are those of a"],
        [],
        [],
    ]
