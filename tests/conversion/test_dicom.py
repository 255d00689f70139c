"""DICOM segmentations from other formats and back, and beside predictions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.conversion import convert
from handseg_bundle_common.conversion.sinks import open_sink
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.dicom import read_dicom_seg_packed
from handseg_bundle_common.formats.mask_image import MaskImage
from handseg_bundle_common.formats.seg_nrrd import read_seg_nrrd
from handseg_bundle_common.inference import ResultsFolder
from handseg_bundle_common.masks import Packed, pack_masks

pytest.importorskip("highdicom", reason="DICOM segmentations (pip install 'handseg[dicom]')")

SIZE = (33, 30)


@pytest.fixture
def masks() -> Packed:
    found = np.random.default_rng(0).random((NUM_BONES, *SIZE)) < 0.3
    found[4] = False
    return pack_masks(found)


@pytest.fixture
def radiographs(tmp_path: Path, write_dicom: Callable[..., Path]) -> Path:
    """Return a folder with the DICOM radiograph `p1/hand.dcm` of 0.2 mm pixels."""
    write_dicom(tmp_path / "DCM" / "p1" / "hand.dcm", SIZE, (0.2, 0.2))
    return tmp_path / "DCM"


def test_masks_become_a_dicom_segmentation_and_come_back(tmp_path: Path, radiographs: Path, masks: Packed) -> None:
    with open_sink(tmp_path / "masks", "png") as sink:
        sink.write(MaskImage("p1/hand.dcm", masks))
    there = convert(tmp_path / "masks", tmp_path / "seg", target_format="dicom-seg", images=radiographs)
    assert (there.done, dict(there.lost)) == (1, {})
    path = tmp_path / "seg" / "p1" / "hand.dcm"
    np.testing.assert_array_equal(read_dicom_seg_packed(path), masks)
    # Nothing tells whether a person has drawn the masks.
    assert dcmread(path).SegmentSequence[0].SegmentAlgorithmName == "converted, origin unknown"
    # Archives name files as they like, and keep radiographs beside segmentations.
    path.rename(path.with_name("1.2.3.4"))
    (tmp_path / "seg" / "hand.dcm").write_bytes((radiographs / "p1" / "hand.dcm").read_bytes())
    back = convert(tmp_path / "seg", tmp_path / "back", target_format="seg-nrrd")
    assert (back.done, back.left_out) == (1, 1)
    np.testing.assert_array_equal(read_seg_nrrd(tmp_path / "back" / "p1" / "1.2.3.4.seg.nrrd").masks, masks)


def test_files_that_are_no_dicom_are_not_left_out(tmp_path: Path, radiographs: Path, masks: Packed) -> None:
    with open_sink(tmp_path / "seg", "dicom-seg") as sink:
        sink.write(MaskImage("hand.dcm", masks), radiographs / "p1" / "hand.dcm")
    (tmp_path / "seg" / "other.dcm").write_bytes(b"")
    with pytest.raises(HandsegInputError, match=r"other\.dcm: .*does not begin as DICOM files do"):
        convert(tmp_path / "seg", tmp_path / "back", target_format="seg-nrrd")


def test_predictions_of_dicom_keep_spacing_and_name_their_maker(
    tmp_path: Path, radiographs: Path, masks: Packed
) -> None:
    origin = {"bundle": "bundles/tiny"}
    with ResultsFolder(tmp_path / "out", origin, ("dicom-seg", "seg-nrrd")) as results:
        results.write("p1/hand.dcm", radiographs / "p1" / "hand.dcm", masks)
    found = dcmread(tmp_path / "out" / "masks" / "dicom-seg" / "p1" / "hand.dcm")
    assert found.SegmentSequence[0].SegmentAlgorithmName == "tiny"
    np.testing.assert_array_equal(read_dicom_seg_packed(found.filename), masks)
    assert read_seg_nrrd(tmp_path / "out" / "masks" / "seg-nrrd" / "p1" / "hand.seg.nrrd").spacing_mm == (0.2, 0.2)
