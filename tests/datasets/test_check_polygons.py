"""Check of polygon files: it agrees with the reader on what is unusable, and measures what is odd."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.datasets.check_faults import FaultKind, Severity
from handseg_bundle_common.datasets.check_polygons import nested_rings, points_outside, scale_faults, scan_polygons
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.boostcamp import read_annotations

SQUARE = [[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0]]

numbers = st.integers(-5, 5) | st.floats() | st.sampled_from([True, None, "1", 10**7, 10**30])
rings = st.lists(st.lists(numbers, min_size=2, max_size=2) | st.lists(numbers, max_size=3), max_size=4)
good_rings = st.lists(st.lists(st.integers(-5, 5), min_size=2, max_size=2), min_size=3, max_size=4)
points = good_rings | st.lists(good_rings, max_size=2) | rings | st.lists(rings, max_size=2) | numbers
labels = st.sampled_from(["Lunate", "Ulna", "finger-1"]) | st.sampled_from(["Elbow", "", None, 3, []])
entries = st.fixed_dictionaries({"label": labels, "points": points}) | st.sampled_from([{}, {"label": "Ulna"}, [], 1])
documents = st.fixed_dictionaries({"annotations": st.lists(entries, max_size=3)}) | st.sampled_from([{}, [], 1, None])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(documents)
def test_there_are_errors_exactly_if_the_reader_refuses_the_file(tmp_path: Path, document: Any) -> None:
    (tmp_path / "hand.json").write_text(json.dumps(document))
    annotations, faults = scan_polygons(json.loads((tmp_path / "hand.json").read_text()))
    errors = [fault for fault in faults if fault.severity is Severity.ERROR]
    try:
        expected = read_annotations(tmp_path / "hand.json")
    except HandsegInputError:
        assert errors
        return
    assert not errors
    assert annotations.keys() == expected.keys()
    for bone, found in annotations.items():
        for ring, wanted in zip(found, expected[bone], strict=True):
            np.testing.assert_array_equal(ring, wanted)


def test_every_entry_is_looked_at() -> None:
    document = {
        "annotations": [
            {"label": "Ulna", "points": [SQUARE[:2], SQUARE]},
            {"label": "Ulna", "points": SQUARE},
            {"label": "Elbow", "points": SQUARE},
            {"label": "Lunate", "points": [["a", "b"]]},
            {"label": "Radius"},
        ]
    }
    annotations, faults = scan_polygons(document)
    assert list(annotations) == ["Ulna"]
    assert len(annotations["Ulna"]) == 2
    missing = {fault.bone for fault in faults if fault.kind is FaultKind.MISSING_BONE}
    assert missing == set(BONE_NAMES) - {"Ulna", "Lunate"}
    others = [(fault.kind, fault.bone) for fault in faults if fault.bone not in missing]
    assert others == [
        (FaultKind.FEW_POINTS, "Ulna"),
        (FaultKind.UNKNOWN_BONE, "Elbow"),
        (FaultKind.BAD_POINTS, "Lunate"),
        (FaultKind.UNREADABLE_POLYGONS, None),
        (FaultKind.DOUBLED_BONE, "Ulna"),
    ]


@pytest.mark.parametrize(
    ("second", "holes", "kept"),
    [
        (np.array(SQUARE) * 0.5 + 2, 1, 1),
        (np.array(SQUARE), 0, 1),
        (np.array(SQUARE) + 5, 0, 2),
        (np.array(SQUARE) + 50, 0, 2),
    ],
    ids=["within", "the same", "overlapping", "apart"],
)
def test_rings_within_rings(second: Any, holes: int, kept: int) -> None:
    for rings_of_bone in ([np.array(SQUARE), second], [second, np.array(SQUARE)]):
        outer, faults = nested_rings({"Ulna": rings_of_bone})
        assert len(outer["Ulna"]) == kept
        assert [fault.kind for fault in faults] == [FaultKind.NESTED_RING] * holes


@pytest.mark.parametrize(
    ("corner", "outside"),
    [((8, 4), False), ((-1, -1), False), ((8.1, 4), True), ((8, 4.1), True), ((-1.1, 2), True), ((2, -1.1), True)],
)
def test_points_outside_a_picture_of_eight_columns_and_four_rows(corner: tuple[float, float], outside: bool) -> None:
    ring = np.array([[1, 1], [2, 1], corner])
    faults = points_outside({"Ulna": [ring], "Radius": [np.ones((3, 2))]}, 4, 8)
    assert [fault.bone for fault in faults] == ["Ulna"] * outside
    if outside:
        assert faults[0].message == "1 of 3 points lie outside the picture of 8 x 4 px"


@pytest.mark.parametrize(
    ("size", "found"), [((15, 15), False), ((20, 20), True), ((10, 100), False), ((100, 10), False)]
)
def test_polygons_of_a_smaller_picture(size: tuple[int, int], found: bool) -> None:
    assert bool(scale_faults({"Ulna": [np.array(SQUARE)]}, *size)) == found
    assert not scale_faults({"Lunate": [np.array(SQUARE)]}, *size)
