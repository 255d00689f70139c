"""When px become mm."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.radiograph import read_radiograph, write_radiograph
from handseg_bundle_common.measurements.scale import Scale, check_spacing, read_spacing


def test_lengths_scale_once_and_areas_twice() -> None:
    scale = Scale(0.5)
    assert (scale.unit, scale.length(10), scale.area(10)) == ("mm", 5, 2.5)


def test_without_a_spacing_px_stay_px() -> None:
    assert (Scale().unit, Scale().length(10), Scale().area(10)) == ("px", 10, 10)


@pytest.mark.parametrize("spacing", [0, -0.1, 0.001, 25.4, float("nan"), float("inf")])
def test_impossible_spacings_are_refused(spacing: float) -> None:
    with pytest.raises(HandsegInputError, match="not possible"):
        check_spacing(spacing)


@pytest.mark.parametrize(
    ("zooms", "unit", "expected"),
    [
        pytest.param((0.14, 0.14), "mm", 0.14, id="told in mm"),
        pytest.param((0.14, 0.14), "unknown", None, id="in an unknown unit"),
        pytest.param((0.14, 0.14), "micron", None, id="in micrometres that cannot be"),
        pytest.param((0.14, 0.16), "mm", None, id="of oblong pixels"),
        pytest.param((1, 1), "mm", None, id="a placeholder"),
        pytest.param((25.4, 25.4), "mm", None, id="out of range"),
    ],
)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_nifti_file_is_believed_when_it_tells_mm(tmp_path: Path, zooms, unit, expected, suffix) -> None:
    path = tmp_path / f"hand{suffix}"
    image = nib.Nifti1Image(np.zeros((20, 30, 1), np.uint8), np.diag([*zooms, 1, 1]))
    image.header.set_xyzt_units(unit)
    nib.save(image, path)
    assert read_radiograph(path).shape == (1, 30, 20)
    assert read_spacing(path) == pytest.approx(expected)


def test_pictures_are_not_believed(tmp_path: Path) -> None:
    write_radiograph(tmp_path / "hand.png", np.zeros((20, 30), np.float32))
    assert read_spacing(tmp_path / "hand.png") is None
    (tmp_path / "odd.nii.gz").write_bytes(b"no header")
    assert read_spacing(tmp_path / "odd.nii.gz") is None
