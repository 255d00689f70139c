"""Numbers in words: units, signs and what is missing."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from handseg_bundle_common.measurements import Indices, Measure, Scale, measure_hand
from handseg_bundle_common.measurements.panel import index_text, with_panel


@pytest.mark.parametrize(
    ("index", "value", "scale", "expected"),
    [
        ("carpal_height", 60.04, Scale(), "60.0 px"),
        ("carpal_height", 60.0, Scale(0.5), "30.0 mm"),
        ("ulnar_variance", 3.0, Scale(0.5), "+1.5 mm"),
        ("ulnar_variance", -3.0, Scale(), "-3.0 px"),
        ("carpal_height_ratio", 0.5361, Scale(0.5), "0.536"),
        ("metacarpal_index", 7.346, Scale(0.5), "7.35"),
        ("wrist_angle", 22.4, Scale(0.5), "+22°"),
        ("wrist_angle", 31.2, Scale(), "tilted +31°"),
        ("wrist_angle", -30.0, Scale(), "tilted -30°"),
        ("metacarpal_index", float("nan"), Scale(0.5), "-"),
    ],
)
def test_an_index_has_its_unit(index: str, value: float, scale: Scale, expected: str) -> None:
    indices = Indices(**dict.fromkeys(Indices.__annotations__, Measure(value)))
    assert index_text(SimpleNamespace(indices=indices), index, scale) == expected


def luminance(colours: np.ndarray) -> np.ndarray:
    """Return the relative luminance of sRGB colours (..., 3), 0..255 (Web Content Accessibility Guidelines 2.2)."""
    share = colours / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ [0.2126, 0.7152, 0.0722])


def test_what_is_missing_can_be_read_too() -> None:
    """Every line of an empty hand holds a pixel that has a contrast of 4.5 with the background."""
    nothing = np.zeros((8, 8), np.uint32)
    measures = measure_hand(nothing, np.zeros(nothing.shape, np.float32))
    column = np.asarray(with_panel(Image.new("RGB", (8, 8)), measures, Scale()))[8:, 8:]
    is_written = (column != column[0, 0]).any(axis=(1, 2))
    lines = np.split(column, np.flatnonzero(np.diff(is_written)) + 1)[1 - is_written[0] :: 2]
    assert len(lines) > 29
    darkest = min(luminance(line).max() for line in lines)
    assert (darkest + 0.05) / (luminance(column[0, 0]) + 0.05) >= 4.5
