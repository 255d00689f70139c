"""Many images, in the unit that each one's file tells or that is given for all."""

from __future__ import annotations

import csv
import dataclasses
import pickle
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.radiograph import write_radiograph
from handseg_bundle_common.measurements import MaskSource, Measured, annotated_sources, measure, measure_hand


@pytest.fixture
def sources(draw_hand, rectangles, tmp_path: Path) -> list[MaskSource]:
    """The same hand as PNG and as NIfTI file with a spacing of 0.2 mm."""
    packed = draw_hand(rectangles)
    write_radiograph(tmp_path / "a.png", np.zeros(packed.shape, np.float32))
    image = nib.Nifti1Image(np.zeros((*packed.shape, 1), np.uint8), np.diag([0.2, 0.2, 1, 1]))
    image.header.set_xyzt_units("mm")
    nib.save(image, tmp_path / "b.nii.gz")
    return [MaskSource(name, tmp_path / name, lambda *size: packed) for name in ("a.png", "b.nii.gz")]


def lengths(output: Path) -> dict[str, tuple[float, str]]:
    """Return length and unit of the third metacarpal, 48 px long, by image."""
    with (output / "bone_sizes.csv").open(newline="") as file:
        of_bone = [row for row in csv.DictReader(file) if row["bone"] == "finger-11"]
    return {row["image_name"]: (float(row["length"]), row["unit"]) for row in of_bone}


def tables_of(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in output.glob("*.csv")}


def test_each_image_has_the_unit_that_its_file_tells(sources, tmp_path: Path) -> None:
    assert measure(sources, tmp_path / "out") == Measured(in_mm=1, in_px=1)
    found = lengths(tmp_path / "out")
    assert found == {"a.png": (48, "px"), "b.nii.gz": (pytest.approx(9.6, abs=1e-3), "mm")}
    assert sorted(path.name for path in (tmp_path / "out" / "measured").iterdir()) == ["a.png", "b.nii.gz.png"]


def test_measured_images_are_taken_until_something_changes(sources, tmp_path: Path, monkeypatch) -> None:
    measured: list[tuple[int, ...]] = []

    def spy(packed: np.ndarray, radiograph: np.ndarray) -> object:
        measured.append(packed.shape)
        return measure_hand(packed, radiograph)

    monkeypatch.setattr(sys.modules[measure.__module__], "measure_hand", spy)
    output = tmp_path / "out"
    tables = [tables_of(output) for _ in range(2) if measure(sources, output)]
    assert tables[0] == tables[1]
    assert len(measured) == 2
    (output / "cases" / "a.png.json").write_text('{"key": ')
    (output / "measured" / "b.nii.gz.png").unlink()
    measure(sources, output)
    assert len(measured) == 4
    measure(sources, output, spacing_mm=0.5)
    assert len(measured) == 6
    write_radiograph(tmp_path / "a.png", np.ones(sources[0].masks().shape, np.float32))
    measure(sources, output, spacing_mm=0.5)
    assert len(measured) == 7


def test_an_interrupted_run_goes_on(sources, tmp_path: Path) -> None:
    def interrupt(*_: int) -> np.ndarray:
        raise KeyboardInterrupt

    output = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        measure([sources[0], dataclasses.replace(sources[1], masks=interrupt)], output)
    assert sorted(path.name for path in output.iterdir()) == ["cases", "measured"]
    measure(sources, output)
    assert len(lengths(output)) == 2


def test_overlays_are_left_out_on_request(sources, tmp_path: Path) -> None:
    measure(sources, tmp_path / "out", overlays=False)
    assert not (tmp_path / "out" / "measured").exists()
    measure(sources, tmp_path / "out")
    assert len(list((tmp_path / "out" / "measured").iterdir())) == 2


def test_a_source_can_be_sent_to_another_process(sample_data: Path) -> None:
    source = annotated_sources(sample_data)[0]
    sent = pickle.loads(pickle.dumps(source))  # noqa: S301
    np.testing.assert_array_equal(sent.masks(512, 512), source.masks(512, 512))


def test_a_given_spacing_holds_for_all(sources, tmp_path: Path) -> None:
    assert measure(sources, tmp_path / "out", spacing_mm=0.5) == Measured(in_mm=2, in_px=0)
    assert lengths(tmp_path / "out") == {"a.png": (24, "mm"), "b.nii.gz": (24, "mm")}


def test_an_impossible_spacing_stops_before_anything_is_written(sources, tmp_path: Path) -> None:
    with pytest.raises(HandsegInputError, match="spacing_mm: 5 is not possible"):
        measure(sources, tmp_path / "out", spacing_mm=5)
    assert not (tmp_path / "out").exists()
