"""DICOM segmentations: bit-exact round trips, an independent reader, a validator, and nothing personal beyond need."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import highdicom
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydicom import Dataset, dcmread
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian

from handseg_bundle_common.anatomy import BONES, CHANNEL, NUM_BONES, SIDE_CONCEPTS, Concept, Side, snomed_coding
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.dicom import is_dicom_seg, read_dicom_seg, write_dicom_seg
from handseg_bundle_common.formats.dicom.seg_codes import UNKNOWN_ORIGIN, channel_of
from handseg_bundle_common.formats.dicom.seg_reference import COPIED
from handseg_bundle_common.masks import pack_masks

Write = Callable[..., Path]

GREY = np.zeros((13, 11), np.uint8)
PERSONAL = {
    "PatientAddress": "1 Street",
    "PatientTelephoneNumbers": "555",
    "OtherPatientIDs": "secret",
    "PatientAge": "054Y",
    "PatientWeight": 70,
    "EthnicGroup": "x",
    "InstitutionName": "Hospital",
    "InstitutionAddress": "2 Street",
    "OperatorsName": "Op",
    "PerformingPhysicianName": "Dr",
    "StationName": "Room 3",
    "ProtocolName": "Hand",
    "StudyDescription": "Wrist of Jane",
    "DeviceSerialNumber": "123",
    "AdmittingDiagnosesDescription": "fracture",
    "PatientComments": "afraid",
}


def hand() -> np.ndarray:
    """Masks with an overlap, a hole, two parts, an empty bone and a full one."""
    masks = np.zeros((NUM_BONES, *GREY.shape), np.bool_)
    masks[CHANNEL["Pisiform"], 3:9, 2:8] = True
    masks[CHANNEL["Triquetrum"], 5:12, 4:11] = True
    masks[CHANNEL["Triquetrum"], 7, 6] = False
    masks[CHANNEL["Radius"], :2, :2] = masks[CHANNEL["Radius"], -2:, -2:] = True
    masks[CHANNEL["Ulna"]] = True
    return masks


@settings(max_examples=15, deadline=None)
@given(hnp.arrays(np.bool_, st.tuples(st.just(NUM_BONES), st.integers(1, 9), st.integers(1, 9))))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, dicom_radiograph: Write, masks: np.ndarray) -> None:
    folder = tmp_path_factory.getbasetemp()
    dicom_radiograph(np.zeros(masks.shape[1:], np.uint8)).save_as(folder / "x.dcm", enforce_file_format=True)
    write_dicom_seg(folder / "seg.dcm", folder / "x.dcm", masks)
    np.testing.assert_array_equal(read_dicom_seg(folder / "seg.dcm"), masks)


def test_no_bone_at_all(write_radiograph_dicom: Write, tmp_path: Path) -> None:
    empty = np.zeros((NUM_BONES, *GREY.shape), np.bool_)
    write_dicom_seg(tmp_path / "seg.dcm", write_radiograph_dicom(GREY), empty)
    assert not read_dicom_seg(tmp_path / "seg.dcm").any()


def test_highdicom_reads_every_bone(write_radiograph_dicom: Write, tmp_path: Path) -> None:
    write_dicom_seg(tmp_path / "seg.dcm", write_radiograph_dicom(GREY), pack_masks(hand()))
    segmentation = highdicom.seg.segread(tmp_path / "seg.dcm")
    assert segmentation.SegmentsOverlap == "YES"
    assert segmentation.segmentation_type.value == "BINARY"
    pixels = segmentation.get_pixels_by_source_instance(["1.2.3.4"])
    np.testing.assert_array_equal(pixels[0].transpose(2, 0, 1), hand())
    assert [segment.segment_label for segment in map(segmentation.get_segment_description, range(1, 30))] == [
        bone.anatomical_name for bone in BONES
    ]


def test_same_input_gives_the_same_file(write_radiograph_dicom: Write, tmp_path: Path) -> None:
    source = write_radiograph_dicom(GREY)
    for name in ("a.dcm", "b.dcm"):
        write_dicom_seg(tmp_path / name, source, hand())
    assert (tmp_path / "a.dcm").read_bytes() == (tmp_path / "b.dcm").read_bytes()


def test_other_input_gives_other_uids(write_radiograph_dicom: Write, tmp_path: Path) -> None:
    first, second = write_radiograph_dicom(GREY), write_radiograph_dicom(GREY, "y.dcm", SOPInstanceUID="1.2.3.9")
    write_dicom_seg(tmp_path / "0.dcm", first, hand())
    write_dicom_seg(tmp_path / "1.dcm", first, ~hand())
    write_dicom_seg(tmp_path / "2.dcm", second, hand())
    write_dicom_seg(tmp_path / "3.dcm", first, hand(), algorithm="another")
    files = [dcmread(tmp_path / f"{number}.dcm") for number in range(4)]
    assert len({file.SOPInstanceUID for file in files}) == 4
    assert len({file.SeriesInstanceUID for file in files[:3]}) == 1
    assert files[3].SeriesInstanceUID != files[0].SeriesInstanceUID
    assert all(file.SOPInstanceUID.is_valid and len(file.SOPInstanceUID) <= 64 for file in files)


@pytest.fixture(scope="module")
def validator() -> str:
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("segmentations by David Clunie's validator (apt-get install dicom3tools)")
    return program


ELEMENTS = {
    "nothing told": {},
    "everything told": {
        "ImageLaterality": "L",
        "PatientOrientation": ["L", "F"],
        "FrameOfReferenceUID": "1.2.3.6",
        "PixelSpacing": [0.1, 0.1],
        "StudyID": "1",
        "AccessionNumber": "2",
        "ReferringPhysicianName": "Who",
        "LossyImageCompression": "01",
        "LossyImageCompressionRatio": 9,
        "LossyImageCompressionMethod": "ISO_10918_1",
        **PERSONAL,
    },
    "computed radiography": {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1", "Modality": "CR", "Laterality": "R"},
    "other letters": {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Müller^Änne"},
    "values that are none": {
        "PatientSex": "W",
        "PatientBirthDate": None,
        "StudyDate": None,
        "StudyTime": None,
        "PatientName": None,
    },
}


@pytest.mark.parametrize("case", ELEMENTS)
def test_validator_finds_no_error(validator: str, write_radiograph_dicom: Write, tmp_path: Path, case: str) -> None:
    source = write_radiograph_dicom(GREY, **ELEMENTS[case])
    write_dicom_seg(tmp_path / "seg.dcm", source, hand(), estimated_side=Side.LEFT)
    told = subprocess.run([validator, tmp_path / "seg.dcm"], capture_output=True, text=True, check=False)  # noqa: S603
    output = told.stdout + told.stderr
    assert "Segmentation" in output
    assert "Error" not in output, output
    assert "not present in standard DICOM IOD" not in output, output


def test_nothing_personal_beyond_what_is_needed(write_radiograph_dicom: Write, tmp_path: Path) -> None:
    source = write_radiograph_dicom(GREY, **ELEMENTS["everything told"])
    write_dicom_seg(tmp_path / "seg.dcm", source, hand())
    written, original = dcmread(tmp_path / "seg.dcm"), dcmread(source)
    for name in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "AccessionNumber"):
        assert written[name].value == original[name].value
    alike = {
        element.keyword
        for element in written
        if element.keyword in original and element.value == original[element.keyword].value and element.value != ""
    }
    of_pictures = {"SamplesPerPixel", "PhotometricInterpretation", "PixelRepresentation", "PatientOrientation"}
    assert alike - of_pictures - {"ContentDate"} <= set(COPIED)
    assert not {name for name in PERSONAL if name in written} - {"DeviceSerialNumber"}
    content = (tmp_path / "seg.dcm").read_bytes()
    long_values = [value for value in PERSONAL.values() if isinstance(value, str) and len(value) > 4]
    assert not [value for value in long_values if value.encode() in content]
    assert written.DeviceSerialNumber != original.DeviceSerialNumber


@pytest.mark.parametrize("name", ["Doe", "Doe Jane", "Müller^Änne", ""])
def test_names_reach_the_file_and_no_log(
    write_radiograph_dicom: Write,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    name: str,
) -> None:
    source = write_radiograph_dicom(GREY, PatientName=name, SpecificCharacterSet="ISO_IR 192")
    write_dicom_seg(tmp_path / "seg.dcm", source, hand())
    assert dcmread(tmp_path / "seg.dcm").PatientName == name
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("orientation", [["L", "F"], None])
def test_orientation_is_that_of_the_source_or_empty(
    write_radiograph_dicom: Write, tmp_path: Path, orientation: list[str] | None
) -> None:
    source = write_radiograph_dicom(GREY, PatientOrientation=orientation)
    write_dicom_seg(tmp_path / "seg.dcm", source, hand())
    written = dcmread(tmp_path / "seg.dcm")
    assert "PatientOrientation" in written
    assert (written.PatientOrientation or None) == orientation


def sides(path: Path) -> tuple[set[str], set[str]]:
    """Return the coded sides and the remarks of all segments."""
    coded, remarks = set(), set()
    for segment in dcmread(path).SegmentSequence:
        remarks.add(segment.SegmentDescription)
        modifiers = segment.SegmentedPropertyTypeCodeSequence[0].get("SegmentedPropertyTypeModifierCodeSequence") or []
        coded |= {item.CodeMeaning for item in modifiers} & {"Left", "Right"}
    return coded, remarks


@pytest.mark.parametrize(
    ("elements", "coded"),
    [
        ({"ImageLaterality": "L"}, {"Left"}),
        ({"Laterality": "R"}, {"Right"}),
        ({"ImageLaterality": "U"}, set()),
        ({}, set()),
    ],
)
def test_side_is_coded_where_the_file_tells_it(
    write_radiograph_dicom: Write, tmp_path: Path, elements: dict[str, str], coded: set[str]
) -> None:
    write_dicom_seg(tmp_path / "seg.dcm", write_radiograph_dicom(GREY, **elements), hand())
    remark = "side told by the radiograph's file" if coded else "side unknown"
    assert sides(tmp_path / "seg.dcm") == (coded, {remark})


def test_estimated_side_is_a_remark_alone(write_radiograph_dicom: Write, tmp_path: Path) -> None:
    source = write_radiograph_dicom(GREY)
    write_dicom_seg(tmp_path / "seg.dcm", source, hand(), estimated_side=Side.LEFT)
    remark = "side estimated from the picture, not told by the radiograph's file: left"
    assert sides(tmp_path / "seg.dcm") == (set(), {remark})
    told = write_radiograph_dicom(GREY, "told.dcm", ImageLaterality="R")
    write_dicom_seg(tmp_path / "seg.dcm", told, hand(), estimated_side=Side.LEFT)
    assert sides(tmp_path / "seg.dcm")[0] == {"Right"}


def test_who_has_made_the_masks(write_radiograph_dicom: Write, tmp_path: Path) -> None:
    source = write_radiograph_dicom(GREY)
    write_dicom_seg(tmp_path / "seg.dcm", source, hand(), algorithm="ensemble", version="1.2")
    segment = dcmread(tmp_path / "seg.dcm").SegmentSequence[0]
    assert (segment.SegmentAlgorithmType, segment.SegmentAlgorithmName) == ("AUTOMATIC", "ensemble")
    assert segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmVersion == "1.2"
    write_dicom_seg(tmp_path / "seg.dcm", source, hand(), algorithm=99 * "x")
    assert dcmread(tmp_path / "seg.dcm").SegmentSequence[0].SegmentAlgorithmName == 64 * "x"
    write_dicom_seg(tmp_path / "seg.dcm", source, hand(), algorithm=None)
    assert dcmread(tmp_path / "seg.dcm").SegmentSequence[0].SegmentAlgorithmType == "MANUAL"


def test_nothing_is_said_of_who_has_made_converted_masks(
    validator: str, write_radiograph_dicom: Write, tmp_path: Path
) -> None:
    """DICOM has no word for "not known" (PS3.3, C.8.20.2), so the name says it, and nothing claims a network."""
    write_dicom_seg(tmp_path / "seg.dcm", write_radiograph_dicom(GREY), hand(), algorithm=UNKNOWN_ORIGIN)
    segment = dcmread(tmp_path / "seg.dcm").SegmentSequence[0]
    assert segment.SegmentAlgorithmName == "converted, origin unknown"
    assert "SegmentationAlgorithmIdentificationSequence" not in segment
    assert "Artificial Intelligence" not in str(dcmread(tmp_path / "seg.dcm"))
    told = subprocess.run([validator, tmp_path / "seg.dcm"], capture_output=True, text=True, check=False)  # noqa: S603
    assert "Error" not in told.stdout + told.stderr


# Identifier -> meaning of every concept of SNOMED CT that a segmentation may hold, by where it was found.
OF_THE_STANDARD = {  # DICOM PS3.16, in pydicom's dictionary of it
    "7771000": "Left",
    "24028007": "Right",
    "46053002": "Distal",
    "11896004": "Intermediate",
    "40415009": "Proximal",
    "36455000": "Metacarpal",
    "30518006": "Scaphoid",
    "62413002": "Radius",
    "23416004": "Ulna",
    "76505004": "Thumb",
    "85562004": "Hand",
    "74670003": "Wrist joint",
    "14975008": "Forearm",
}
# TotalSegmentator's table of codes (resources/totalsegmentator_snomed_mapping.csv: phalanges_hand and carpal); the
# second also in the documentation of the UMLS interface of the National Library of Medicine (has_finding_site of
# 9468002).
OF_TOTALSEGMENTATOR = {"28641004": "Phalanx structure", "83936004": "Bone structure of carpus"}
# The value set be-vs-body-site of Belgium's eHealth platform, whose displays end in "structure". SNOMED's editorial
# guide has the words without it as synonyms (naming convention for digits of hand and foot).
OF_BELGIUM = {
    "83738005": "Index finger",
    "65531009": "Middle finger",
    "82002001": "Ring finger",
    "12406000": "Little finger",
}
# The Foundational Model of Anatomy: parts of BodyParts3D 4.1 ("is a" list), whose identifiers are its numbers.
OF_BODYPARTS3D = {
    **{"scaphoid": 23709, "lunate": 23712, "triquetrum": 23715, "pisiform": 23718},
    **{"trapezium": 23721, "trapezoid": 23724, "capitate": 23727, "hamate": 23730},
    **{"radius": 23463, "ulna": 23466},
    **{f"{nth} metacarpal": 23899 + k for k, nth in enumerate(("first", "second", "third", "fourth", "fifth"))},
    "proximal phalanx of the thumb": 23918,
    "proximal phalanx of the index finger": 23919,
    "proximal phalanx of the middle finger": 23920,
    "proximal phalanx of the ring finger": 23921,
    "proximal phalanx of the little finger": 23922,
    "middle phalanx of the index finger": 23933,
    "middle phalanx of the middle finger": 23934,
    "middle phalanx of the ring finger": 23935,
    "middle phalanx of the little finger": 23936,
    "distal phalanx of the thumb": 23945,
    "distal phalanx of the index finger": 23946,
    "distal phalanx of the middle finger": 23947,
    "distal phalanx of the ring finger": 23948,
    "distal phalanx of the little finger": 23949,
}


def concepts() -> set[Concept]:
    found = set(SIDE_CONCEPTS.values())
    for bone in BONES:
        coding = snomed_coding(bone)
        found |= {one for one in (coding.type, coding.position, coding.region) if one is not None}
    return found


def check_digit_fits(identifier: str) -> bool:
    """Verhoeff's check of an identifier of SNOMED CT (its Technical Implementation Guide, 5.5), by the group D5."""
    permutation, total = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4], 0
    for place, character in enumerate(reversed(identifier)):
        digit = int(character)
        for _ in range(place % 8):
            digit = permutation[digit]
        turned, mirrored = (total % 5, total >= 5), (digit % 5, digit >= 5)
        angle = (turned[0] - mirrored[0] if turned[1] else turned[0] + mirrored[0]) % 5
        total = angle + 5 * (turned[1] ^ mirrored[1])
    return total == 0


def test_every_concept_is_one_of_a_source_that_can_be_named() -> None:
    pinned = OF_THE_STANDARD | OF_TOTALSEGMENTATOR | OF_BELGIUM
    assert {concept.code: concept.meaning for concept in concepts()} == pinned
    standard = {
        (code.value, code.meaning) for name in codes.SCT.dir() if isinstance(code := getattr(codes.SCT, name), Code)
    }
    assert set(OF_THE_STANDARD.items()) <= standard
    assert not {code for code, _ in standard} & {*OF_TOTALSEGMENTATOR, *OF_BELGIUM}
    assert all(check_digit_fits(code) for code in pinned)
    assert not check_digit_fits("28641005")


def test_every_bone_has_its_number_in_the_model_of_anatomy() -> None:
    assert {bone.anatomical_name: bone.fma for bone in BONES} == OF_BODYPARTS3D


def test_bones_as_they_are_written(write_radiograph_dicom: Write, tmp_path: Path) -> None:
    """What tells a bone apart from all others: what it is, which of them, and where."""
    write_dicom_seg(tmp_path / "seg.dcm", write_radiograph_dicom(GREY, ImageLaterality="R"), hand())
    found = {}
    for segment in dcmread(tmp_path / "seg.dcm").SegmentSequence:
        kind, region = segment.SegmentedPropertyTypeCodeSequence[0], segment.AnatomicRegionSequence[0]
        modifiers = tuple(item.CodeValue for item in kind.SegmentedPropertyTypeModifierCodeSequence)
        assert segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "91723000"
        found[segment.SegmentLabel] = (kind.CodeValue, modifiers, region.CodeValue)
    right = "24028007"
    assert found["middle phalanx of the ring finger"] == ("28641004", (right, "11896004"), "82002001")
    assert found["distal phalanx of the thumb"] == ("28641004", (right, "46053002"), "76505004")
    assert found["third metacarpal"] == ("36455000", (right,), "85562004")
    assert found["scaphoid"] == ("30518006", (right,), "74670003")
    assert found["pisiform"] == ("83936004", (right,), "74670003")
    assert found["ulna"] == ("23416004", (right,), "14975008")


def coded(value: str, scheme: str, meaning: str = "x") -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("finger-1", "finger-1"),
        ("Scaphoid", "Scaphoid"),
        ("Left scaphoid bone", "Scaphoid"),
        ("proximal_phalanx_of_the_thumb_right", "finger-2"),
        ("MC3", "finger-11"),
        ("left radius", "Radius"),
        ("tumour", None),
        ("L", None),
        ("", None),
    ],
)
def test_labels_of_other_programs(label: str, name: str | None) -> None:
    segment = Dataset()
    segment.SegmentLabel = label
    assert channel_of(segment) == (None if name is None else CHANNEL[name])


def test_codes_of_other_programs() -> None:
    segment = Dataset()
    segment.SegmentLabel = "Segment_1"
    segment.SegmentedPropertyTypeCodeSequence = [coded("62413002", "SCT")]
    assert channel_of(segment) == CHANNEL["Radius"]
    segment.SegmentedPropertyTypeCodeSequence = [coded("23712", "FMA")]
    assert channel_of(segment) == CHANNEL["Lunate"]
    segment.SegmentedPropertyTypeCodeSequence = [coded("36455000", "SCT")]
    assert channel_of(segment) is None
    segment.SegmentedPropertyTypeCodeSequence = [coded("28641004", "SCT")]
    segment.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [coded("46053002", "SCT")]
    segment.AnatomicRegionSequence = [coded("76505004", "SCT")]
    assert channel_of(segment) == CHANNEL["finger-1"]


def other_program(path: Path, source: Path, kind: str, pixels: np.ndarray, labels: list[str]) -> None:
    """Write a segmentation as other programs do: some bones, their own labels, empty frames left out."""
    from highdicom.seg import Segmentation, SegmentDescription  # noqa: PLC0415

    descriptions = [
        SegmentDescription(
            number, label, codes.cid7150.AnatomicalStructure, codes.cid4031.Hand, algorithm_type="MANUAL"
        )
        for number, label in enumerate(labels, start=1)
    ]
    dataset = dcmread(source)
    for name in ("AccessionNumber", "StudyID"):
        setattr(dataset, name, "")
    segmentation = Segmentation(
        [dataset], pixels, kind, descriptions, "1.2.8", 1, "1.2.9", 1, "maker", "model", "1", "serial"
    )
    segmentation.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL"])
def test_some_bones_of_another_program(
    write_radiograph_dicom: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    names = ["Pisiform", "Lunate", "Triquetrum"]
    pixels = np.stack([hand()[CHANNEL[name]] for name in names] + [hand()[CHANNEL["Ulna"]]], axis=-1)
    shares = pixels.astype(np.uint8) if kind == "BINARY" else np.where(pixels, 0.75, 0.25)
    other_program(tmp_path / "seg.dcm", write_radiograph_dicom(GREY), kind, shares[None], [*names, "plaster cast"])
    expected = np.zeros_like(hand())
    for name in names:
        expected[CHANNEL[name]] = hand()[CHANNEL[name]]
    np.testing.assert_array_equal(read_dicom_seg(tmp_path / "seg.dcm"), expected)
    assert "seg.dcm: left out, being none of the 29 bones: segment plaster cast." in caplog.text
    assert ("fractions became masks" in caplog.text) == (kind == "FRACTIONAL")


def test_label_map_of_another_program(write_radiograph_dicom: Write, tmp_path: Path) -> None:
    levels = np.zeros(GREY.shape, np.uint8)
    levels[2:5, 3:6], levels[7:9, 3:6] = 1, 2
    other_program(tmp_path / "seg.dcm", write_radiograph_dicom(GREY), "LABELMAP", levels[None], ["Radius", "Ulna"])
    masks = read_dicom_seg(tmp_path / "seg.dcm")
    np.testing.assert_array_equal(masks[CHANNEL["Radius"]], levels == 1)
    np.testing.assert_array_equal(masks[CHANNEL["Ulna"]], levels == 2)
    assert masks.sum() == (levels > 0).sum()


def test_what_cannot_be_written(write_radiograph_dicom: Write, tmp_path: Path, sample_data: Path) -> None:
    source = write_radiograph_dicom(GREY)
    with pytest.raises(
        HandsegInputError, match=r"is no DICOM file, to which a DICOM segmentation must refer; convert to"
    ):
        write_dicom_seg(tmp_path / "seg.dcm", next(sample_data.rglob("*.png")), hand())
    with pytest.raises(HandsegInputError, match=r"x\.dcm: is of 11 x 13 px, its masks of 11 x 12"):
        write_dicom_seg(tmp_path / "seg.dcm", source, hand()[:, 1:])
    nameless = write_radiograph_dicom(GREY, "nameless.dcm", SeriesInstanceUID=None)
    with pytest.raises(HandsegInputError, match="has no SeriesInstanceUID, by which a segmentation refers to it"):
        write_dicom_seg(tmp_path / "seg.dcm", nameless, hand())
    write_dicom_seg(tmp_path / "good.dcm", source, hand())
    with pytest.raises(HandsegInputError, match=r"good\.dcm: holds Segmentation Storage, not a radiograph"):
        write_dicom_seg(tmp_path / "seg.dcm", tmp_path / "good.dcm", hand())
    assert not (tmp_path / "seg.dcm").exists()


def test_what_cannot_be_read(write_radiograph_dicom: Write, tmp_path: Path) -> None:
    source = write_radiograph_dicom(GREY)
    with pytest.raises(HandsegInputError, match=r"x\.dcm: is no DICOM segmentation; name a file of the modality SEG"):
        read_dicom_seg(source)
    assert not is_dicom_seg(source)
    write_dicom_seg(tmp_path / "seg.dcm", source, hand())
    assert is_dicom_seg(tmp_path / "seg.dcm")
    changed = dcmread(tmp_path / "seg.dcm")
    changed.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    groups = changed.PerFrameFunctionalGroupsSequence
    groups[1].SegmentIdentificationSequence[0].ReferencedSegmentNumber = 1
    changed.save_as(tmp_path / "twice.dcm")
    with pytest.raises(HandsegInputError, match="segments several pictures; write it again as BINARY"):
        read_dicom_seg(tmp_path / "twice.dcm")
    changed.PixelData = changed.PixelData[:20]
    groups[1].SegmentIdentificationSequence[0].ReferencedSegmentNumber = 2
    changed.save_as(tmp_path / "cut.dcm")
    with pytest.raises(HandsegInputError, match=r"cannot be read as DICOM \(its pixels are cut off\)"):
        read_dicom_seg(tmp_path / "cut.dcm")
    for segment in changed.SegmentSequence:
        segment.SegmentLabel = "x"
        del segment.PrimaryAnatomicStructureSequence
        segment.SegmentedPropertyTypeCodeSequence = [coded("24097009", "SCT")]
    changed.save_as(tmp_path / "none.dcm")
    with pytest.raises(HandsegInputError, match=r"has no segment that is a bone of the hand \(29 others\)"):
        read_dicom_seg(tmp_path / "none.dcm")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=8),
    st.floats(0, 1),
)
def test_damaged_segmentation_gives_masks_or_one_error(
    tmp_path_factory: pytest.TempPathFactory,
    damaged_seed: bytes,
    flips: list[tuple[float, int]],
    share: float,
) -> None:
    content = bytearray(damaged_seed)
    for position, change in flips:
        content[132 + int(position * (len(content) - 132))] ^= change
    path = tmp_path_factory.getbasetemp() / "damaged_seg.dcm"
    path.write_bytes(content[: round(min(1, 2 * share) * len(content))])
    try:
        masks = read_dicom_seg(path)
    except HandsegInputError:
        return
    assert masks.shape[0] == NUM_BONES


@pytest.fixture(scope="module")
def damaged_seed(tmp_path_factory: pytest.TempPathFactory, dicom_radiograph: Write) -> bytes:
    folder = tmp_path_factory.mktemp("seed")
    dicom_radiograph(GREY).save_as(folder / "x.dcm", enforce_file_format=True)
    write_dicom_seg(folder / "seg.dcm", folder / "x.dcm", hand())
    return (folder / "seg.dcm").read_bytes()
