"""What DICOM segmentations take from the files of odd radiographs: every alphabet, and nothing that is not allowed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.valuerep import PersonName

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.dicom import write_dicom_seg

pytest.importorskip("highdicom", reason="DICOM segmentations (pip install 'handseg[dicom]')")

Write = Callable[..., Path]

GREY = np.zeros((4, 5), np.uint8)
MASKS = np.ones((NUM_BONES, *GREY.shape), np.bool_)


@pytest.fixture
def segmented(write_radiograph_dicom: Write, tmp_path: Path) -> Callable[..., Dataset]:
    """Return the segmentation of a radiograph with elements, which the validator finds no error in."""

    def make(**elements: Any) -> Dataset:
        write_dicom_seg(tmp_path / "seg.dcm", write_radiograph_dicom(GREY, **elements), MASKS)
        program = shutil.which("dciodvfy")
        if program is not None:
            told = subprocess.run([program, tmp_path / "seg.dcm"], capture_output=True, check=False)  # noqa: S603
            output = (told.stdout + told.stderr).decode("utf-8", "replace")
            assert "Error" not in output, output
        return dcmread(tmp_path / "seg.dcm")

    return make


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        (None, "Doe^Jane"),
        ("ISO_IR 6", "Doe^Jane"),
        ("ISO_IR 100", "Müller^Änne"),
        ("ISO IR 100", "Müller^Änne"),
        ("ISO_IR 144", "Иванова^Анна"),
        ("ISO_IR 192", "Müller^Änne=山田^花子"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["ISO_IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    ],
)
def test_names_of_every_alphabet_become_utf_8(
    segmented: Callable[..., Dataset], character_set: str | list[str] | None, name: str
) -> None:
    encoded = {"SpecificCharacterSet": character_set, "PatientName": name, "ReferringPhysicianName": name}
    found = segmented(**{key: value for key, value in encoded.items() if value is not None})
    assert found.SpecificCharacterSet == "ISO_IR 192"
    assert (str(found.PatientName), str(found.ReferringPhysicianName)) == (name, name)


def test_switches_between_alphabets_are_no_letters(segmented: Callable[..., Dataset]) -> None:
    """The example of the standard for simplified Chinese (PS3.5, K.2)."""
    content = b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab="
    name = PersonName(content, ["iso8859", "iso_ir_58"])
    found = segmented(SpecificCharacterSet=["", "ISO 2022 IR 58"], PatientName=name)
    assert str(found.PatientName).rstrip("=") == "Zhang^XiaoDong=张^小东"


def test_dates_of_old_files_are_written_as_today(segmented: Callable[..., Dataset]) -> None:
    found = segmented(StudyDate="2020.01.02", PatientBirthDate="1970.03.04", StudyTime="10:11:12")
    assert (found.StudyDate, found.PatientBirthDate, found.StudyTime) == ("20200102", "19700304", "101112")
    assert (found.ContentDate, found.ContentTime) == ("20200102", "101112")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("StudyDate", "yesterday"),
        ("StudyTime", "99"),
        ("PatientSex", "W"),
        ("PatientOrientation", ["X", "F"]),
        ("PatientOrientation", "L"),
        ("PatientOrientation", ["L", "F", "A"]),
        ("PatientID", 65 * "x"),
        ("PatientID", ["a", "b"]),
        ("StudyID", 17 * "x"),
        ("AccessionNumber", 17 * "x"),
        ("PatientName", ["A", "B"]),
    ],
)
def test_what_is_not_allowed_is_left_empty(segmented: Callable[..., Dataset], name: str, value: object) -> None:
    assert not segmented(**{name: value})[name].value


def test_long_names_are_cut(segmented: Callable[..., Dataset]) -> None:
    assert segmented(PatientName=70 * "x").PatientName == 64 * "x"


@pytest.mark.parametrize(
    ("told", "ratio", "method", "kept"),
    [
        ("00", None, None, "00"),
        ("01", [9, 4], ["ISO_10918_1", "ISO_15444_1"], "01"),
        ("01", 9, None, "01"),
        ("01", None, None, "01"),
        (["01", "00"], 9, "ISO_10918_1", "01"),
        ("YES", 9, "ISO_10918_1", "00"),
    ],
)
def test_compression_with_losses(
    segmented: Callable[..., Dataset], told: object, ratio: object, method: object, kept: str
) -> None:
    elements = {"": told, "Ratio": ratio, "Method": method}
    found = segmented(**{f"LossyImageCompression{key}": value for key, value in elements.items() if value is not None})
    assert found.LossyImageCompression == kept


@pytest.mark.parametrize("name", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
@pytest.mark.parametrize("value", ["1.2.x", "1.02.3", 33 * "1." + "1"])
def test_no_segmentation_refers_to_what_is_no_uid(
    write_radiograph_dicom: Write, tmp_path: Path, name: str, value: str
) -> None:
    with pytest.raises(HandsegInputError, match=rf"x\.dcm: has a {name} that is no UID, so that no .*; export it"):
        write_dicom_seg(tmp_path / "seg.dcm", write_radiograph_dicom(GREY, **{name: value}), MASKS)
    assert not (tmp_path / "seg.dcm").exists()


def test_a_segmentation_does_not_replace_its_radiograph(write_radiograph_dicom: Write) -> None:
    source = write_radiograph_dicom(GREY)
    content = source.read_bytes()
    with pytest.raises(HandsegInputError, match=r"x\.dcm: is the radiograph itself; name another folder"):
        write_dicom_seg(source, source, MASKS)
    assert source.read_bytes() == content
