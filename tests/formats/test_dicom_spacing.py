"""Spacing that DICOM radiographs tell, and what it is worth (PS3.3, 10.7.1.3)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handseg_bundle_common.formats.dicom import Plane, Spacing, read_dicom_spacing
from handseg_bundle_common.measurements import read_spacing

GREY = np.zeros((2, 3), np.uint8)
OBJECT, DETECTOR, UNSTATED = Plane.OBJECT, Plane.DETECTOR, Plane.UNSTATED

CASES: dict[str, tuple[dict[str, Any], Spacing | None]] = {
    "nothing": ({}, None),
    "detector alone": ({"ImagerPixelSpacing": [0.14, 0.14]}, Spacing(0.14, DETECTOR)),
    "both alike": ({"ImagerPixelSpacing": [0.14, 0.14], "PixelSpacing": [0.14, 0.14]}, Spacing(0.14, DETECTOR)),
    "calibrated in an unknown way": (
        {"ImagerPixelSpacing": [0.14, 0.14], "PixelSpacing": [0.12, 0.12]},
        Spacing(0.14, DETECTOR),
    ),
    "calibrated by a fiducial": (
        {
            "ImagerPixelSpacing": [0.14, 0.14],
            "PixelSpacing": [0.12, 0.12],
            "PixelSpacingCalibrationType": "FIDUCIAL",
        },
        Spacing(0.12, OBJECT),
    ),
    "calibrated by geometry": (
        {"PixelSpacing": [0.12, 0.12], "PixelSpacingCalibrationType": "GEOMETRY"},
        Spacing(0.12, OBJECT),
    ),
    "pixel spacing alone": ({"PixelSpacing": [0.12, 0.12]}, Spacing(0.12, UNSTATED)),
    "scanned film": ({"NominalScannedPixelSpacing": [0.1, 0.1]}, Spacing(0.1, UNSTATED)),
    "magnification": (
        {"ImagerPixelSpacing": [0.14, 0.14], "EstimatedRadiographicMagnificationFactor": 1.05},
        Spacing(0.14, DETECTOR, 1.05),
    ),
    "magnification below 1": (
        {"ImagerPixelSpacing": [0.14, 0.14], "EstimatedRadiographicMagnificationFactor": 0},
        Spacing(0.14, DETECTOR),
    ),
    "oblong": ({"ImagerPixelSpacing": [0.14, 0.2]}, None),
    "placeholder": ({"PixelSpacing": [1, 1]}, None),
    "zero": ({"ImagerPixelSpacing": [0, 0]}, None),
    "negative": ({"ImagerPixelSpacing": [-0.1, -0.1]}, None),
    "one number": ({"ImagerPixelSpacing": [0.14]}, None),
    "oblong, but calibrated": (
        {"ImagerPixelSpacing": [0.1, 0.2], "PixelSpacing": [0.1, 0.1]},
        Spacing(0.1, UNSTATED),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_spacing(write_radiograph_dicom: Callable[..., Path], case: str) -> None:
    elements, expected = CASES[case]
    path = write_radiograph_dicom(GREY, **elements)
    assert read_dicom_spacing(path) == expected
    assert read_spacing(path) == (expected.mm if expected else None)


def test_measurements_believe_no_spacing_out_of_range(write_radiograph_dicom: Callable[..., Path]) -> None:
    path = write_radiograph_dicom(GREY, ImagerPixelSpacing=[14, 14])
    assert read_dicom_spacing(path) == Spacing(14, DETECTOR)
    assert read_spacing(path) is None


def test_what_it_is_worth_in_words() -> None:
    assert Spacing(0.12, OBJECT).sentence == "0.12 mm, calibrated at the bones"
    assert Spacing(0.14, DETECTOR, 1.05).sentence == (
        "0.14 mm, at the detector, so bones come out larger than they are; estimated magnification 1.05"
    )
