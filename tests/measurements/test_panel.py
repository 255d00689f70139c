"""Numbers in words: units, signs and what is missing."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from handseg_bundle_common.measurements import Indices, Measure, Scale
from handseg_bundle_common.measurements.panel import index_text


@pytest.mark.parametrize(
    ("index", "value", "scale", "expected"),
    [
        ("carpal_height", 60.04, Scale(), "60.0 px"),
        ("carpal_height", 60.0, Scale(0.5), "30.0 mm"),
        ("ulnar_variance", 3.0, Scale(0.5), "+1.5 mm"),
        ("ulnar_variance", -3.0, Scale(), "-3.0 px"),
        ("carpal_height_ratio", 0.5361, Scale(0.5), "0.536"),
        ("metacarpal_index", 7.346, Scale(0.5), "7.35"),
        ("metacarpal_index", float("nan"), Scale(0.5), "-"),
    ],
)
def test_an_index_has_its_unit(index: str, value: float, scale: Scale, expected: str) -> None:
    indices = Indices(**dict.fromkeys(Indices.__annotations__, Measure(value)))
    assert index_text(SimpleNamespace(indices=indices), index, scale) == expected
