"""What is told of DICOM segmentations of other programs, and what of them is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from handseg_bundle_common.anatomy import BONE_NAMES, BONES, CHANNEL, NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.dicom import read_dicom_seg, read_dicom_seg_image, write_dicom_seg
from handseg_bundle_common.masks import unpack_masks

Change = Callable[[list[Any]], None]

MASKS = np.random.default_rng(0).random((NUM_BONES, 7, 9)) < 0.4


def code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def name(segment: Any, label: str) -> None:
    """Leave nothing but a label of what a segment is."""
    segment.SegmentLabel = label
    segment.SegmentedPropertyTypeCodeSequence = [code("272673000", "SCT", "Bone")]
    for element in ("PrimaryAnatomicStructureSequence", "AnatomicRegionSequence"):
        if element in segment:
            delattr(segment, element)


@pytest.fixture
def changed(write_radiograph_dicom: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """Write the masks as DICOM segmentation and change its segments, as another program might have written them."""

    def make(change: Change, **elements: Any) -> Path:
        source = write_radiograph_dicom(np.zeros(MASKS.shape[1:], np.uint8), **elements)
        write_dicom_seg(tmp_path / "seg.dcm", source, MASKS)
        dataset = dcmread(tmp_path / "seg.dcm")
        change(list(dataset.SegmentSequence))
        dataset.save_as(tmp_path / "seg.dcm")
        return tmp_path / "seg.dcm"

    return make


def test_nothing_is_told_of_what_handseg_wrote(changed: Callable[..., Path]) -> None:
    for elements in ({}, {"ImageLaterality": "L"}):
        image = read_dicom_seg_image(changed(lambda _: None, **elements))
        np.testing.assert_array_equal(unpack_masks(image.masks), MASKS)
        assert (image.name, image.spacing_mm, image.notes) == ("", None, ())


def test_names_of_other_programs_are_all_known(changed: Callable[..., Path]) -> None:
    def rename(segments: list[Any]) -> None:
        for bone, segment in zip(BONES, segments, strict=True):
            name(segment, f"left {bone.anatomical_name} bone" if len(bone.abbreviation) < 2 else bone.abbreviation)

    image = read_dicom_seg_image(changed(rename))
    np.testing.assert_array_equal(unpack_masks(image.masks), MASKS)
    assert image.notes == ()


def test_segments_that_are_no_bones_and_bones_without_segment_are_told(changed: Callable[..., Path]) -> None:
    path = changed(lambda segments: name(segments[4], "plaster cast"))
    missing, unknown = read_dicom_seg_image(path).notes
    assert missing == f"no segment of {BONE_NAMES[4]}: taken for empty"
    assert unknown == "left out, being none of the 29 bones: segment plaster cast"


def test_a_bone_that_is_known_by_its_code_alone_loses_its_name(changed: Callable[..., Path]) -> None:
    """Programs that rename a segment leave its codes as they were."""

    def rename(segments: list[Any]) -> None:
        segments[CHANNEL["Lunate"]].SegmentLabel = "fracture"
        segments[CHANNEL["Radius"]].SegmentLabel = "Ulna"

    image = read_dicom_seg_image(changed(rename))
    np.testing.assert_array_equal(unpack_masks(image.masks), MASKS)
    assert image.notes == ("names that differ from the codes, which count: Ulna (Radius), fracture (Lunate)",)


def test_several_segments_of_a_bone_are_united_and_told(changed: Callable[..., Path]) -> None:
    image = read_dicom_seg_image(changed(lambda segments: name(segments[CHANNEL["Ulna"]], "Radius")))
    masks = unpack_masks(image.masks)
    radius, ulna = CHANNEL["Radius"], CHANNEL["Ulna"]
    np.testing.assert_array_equal(masks[radius], MASKS[radius] | MASKS[ulna])
    missing, united = image.notes
    assert missing == "no segment of Ulna: taken for empty"
    assert united == "several segments became one: Radius"


@pytest.mark.parametrize("label", ["Pisiform_Triquetrum", "Pisifrom-Triquetrum", "left triquetrum pisiform"])
def test_triquetrum_and_pisiform_in_one_are_the_triquetrum(changed: Callable[..., Path], label: str) -> None:
    def merge(segments: list[Any]) -> None:
        name(segments[CHANNEL["Triquetrum"]], label)
        name(segments[CHANNEL["Pisiform"]], "cast")

    image = read_dicom_seg_image(changed(merge))
    masks = unpack_masks(image.masks)
    np.testing.assert_array_equal(masks[CHANNEL["Triquetrum"]], MASKS[CHANNEL["Triquetrum"]])
    assert not masks[CHANNEL["Pisiform"]].any()
    assert "are one there and cannot be separated" in image.notes[-1]


def side(segment: Any, value: str, meaning: str) -> None:
    kind = segment.SegmentedPropertyTypeCodeSequence[0]
    kind.SegmentedPropertyTypeModifierCodeSequence = [code(value, "SCT", meaning)]


def in_region(segment: Any, value: str, meaning: str) -> None:
    segment.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [code(value, "SCT", meaning)]


@pytest.mark.parametrize(
    "change",
    [
        lambda left, right: (side(left, "7771000", "Left"), side(right, "24028007", "Right")),
        lambda left, right: (in_region(left, "7771000", "Left"), in_region(right, "24028007", "Right")),
        lambda left, right: (name(left, "left radius"), name(right, "Radius_right")),
    ],
)
def test_two_hands_in_one_file_are_refused(changed: Callable[..., Path], change: Callable[[Any, Any], None]) -> None:
    path = changed(lambda segments: change(segments[-2], segments[-1]))
    with pytest.raises(HandsegInputError, match=r"seg\.dcm: segments a left and a right hand; write a file for each"):
        read_dicom_seg(path)


def test_a_side_of_something_else_does_not_count(changed: Callable[..., Path]) -> None:
    path = changed(lambda segments: name(segments[0], "right cast"), ImageLaterality="L")
    assert read_dicom_seg_image(path).notes[-1].endswith("segment right cast")


def test_a_fractional_segmentation_is_told(changed: Callable[..., Path]) -> None:
    path = changed(lambda _: None)
    dataset = dcmread(path)
    dataset.SegmentationType, dataset.SegmentationFractionalType = "FRACTIONAL", "PROBABILITY"
    dataset.MaximumFractionalValue, dataset.HighBit = 100, 7
    dataset.BitsAllocated = dataset.BitsStored = 8
    content = np.where(MASKS, 50, 49).astype(np.uint8).tobytes()
    dataset.PixelData = content + bytes(len(content) % 2)
    dataset.save_as(path)
    image = read_dicom_seg_image(path)
    np.testing.assert_array_equal(unpack_masks(image.masks), MASKS)
    assert image.notes == ("fractions became masks: what reaches half belongs to the bone",)


def test_the_size_must_be_that_of_the_image(changed: Callable[..., Path]) -> None:
    path = changed(lambda _: None)
    assert read_dicom_seg_image(path, (7, 9)).masks.shape == (7, 9)
    with pytest.raises(HandsegInputError, match="is of 9 x 7 px, its image of 7 x 9"):
        read_dicom_seg_image(path, (9, 7))


@pytest.mark.parametrize(("told", "spacing"), [([0.2, 0.3], (0.2, 0.3)), ([1, 1], None), ([0.2], None), (None, None)])
def test_spacing_is_read_where_a_segmentation_in_space_tells_it(
    changed: Callable[..., Path], told: list[float] | None, spacing: tuple[float, float] | None
) -> None:
    path = changed(lambda _: None)
    dataset, measures = dcmread(path), Dataset()
    measures.PixelSpacing = told
    dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence = [measures]
    dataset.save_as(path)
    assert read_dicom_seg_image(path).spacing_mm == spacing
