"""Why a measure cannot be taken, in words."""

from __future__ import annotations

import pytest

from handseg_bundle_common.measurements.marks import why_missing
from handseg_bundle_common.measurements.regions import find_regions


@pytest.mark.parametrize(
    ("bones", "whole", "expected"),
    [
        (["Capitate"], True, ""),
        (["Radius"], True, "radius cut by the border"),
        (["Radius"], False, ""),
        (["Radius", "Ulna", "Capitate"], True, "ulna missing, radius cut by the border"),
    ],
)
def test_missing_and_cut_bones_are_named(draw_hand, rectangles, bones, whole, expected) -> None:
    del rectangles["Ulna"]
    rectangles["Radius"] = rectangles["Radius"][0] + 100j, 120, 40
    assert why_missing(find_regions(draw_hand(rectangles)), *bones, whole=whole) == expected
