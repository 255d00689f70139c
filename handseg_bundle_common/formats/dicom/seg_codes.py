"""How a DICOM segmentation names the bones: SNOMED CT, the Foundational Model of Anatomy, and plain labels."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from handseg_bundle_common.anatomy import BONES, CHANNEL, SIDE_CONCEPTS, Bone, Concept, Side, snomed_coding
from handseg_bundle_common.formats import mask_image

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription
    from pydicom import Dataset
    from pydicom.sr.coding import Code

# DICOM PS3.16, CID 7150 and 7162.
_ANATOMICAL_STRUCTURE = ("91723000", "SCT", "Anatomical Structure")
_ARTIFICIAL_INTELLIGENCE = ("123110", "DCM", "Artificial Intelligence")
_SCT, _FMA = "SCT", "FMA"

# Name of the algorithm for masks of which nobody knows who has made them. DICOM has no word for that (PS3.3, C.8.20.2).
UNKNOWN_ORIGIN = "converted, origin unknown"

_SIDE_WORDS = re.compile(r"\b(left|right)\b")


def describe_bone(
    bone: Bone, number: int, side: Side | None, remark: str, algorithm: tuple[str, str] | None
) -> SegmentDescription:
    """Return the description of a bone's segment.

    Args:
        bone: the bone.
        number: of its segment, from 1.
        side: the side that the radiograph's file tells, coded as a modifier of the type.
        remark: text of Segment Description.
        algorithm: name and version; None for masks that a person drew. What it is stands in no further words for
            `UNKNOWN_ORIGIN`.
    """
    from highdicom import AlgorithmIdentificationSequence  # noqa: PLC0415
    from highdicom.color import CIELabColor  # noqa: PLC0415
    from highdicom.seg import SegmentDescription  # noqa: PLC0415
    from highdicom.sr import CodedConcept  # noqa: PLC0415
    from pydicom.sr.coding import Code  # noqa: PLC0415

    coding = snomed_coding(bone)
    identified = algorithm and AlgorithmIdentificationSequence(
        name=algorithm[0], family=Code(*_ARTIFICIAL_INTELLIGENCE), version=algorithm[1]
    )
    segment = SegmentDescription(
        segment_number=number,
        segment_label=bone.anatomical_name,
        segmented_property_category=Code(*_ANATOMICAL_STRUCTURE),
        segmented_property_type=_code(coding.type),
        algorithm_type="AUTOMATIC" if algorithm else "MANUAL",
        algorithm_identification=identified,
        anatomic_regions=[_code(coding.region)],
        primary_anatomic_structures=[Code(str(bone.fma), _FMA, bone.anatomical_name)],
        display_color=CIELabColor.from_rgb(*bone.colour),
    )
    segment.SegmentDescription = remark
    if algorithm and algorithm[0] == UNKNOWN_ORIGIN:
        del segment.SegmentationAlgorithmIdentificationSequence
    modifiers = [concept for concept in (side and SIDE_CONCEPTS[side], coding.position) if concept]
    if modifiers:
        kind = segment.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [CodedConcept.from_code(_code(one)) for one in modifiers]
    return segment


def channel_of(segment: Dataset) -> int | None:
    """Return which bone a segment of any program is, None for anything else.

    It is known by its number in the Foundational Model of Anatomy, by its label or the meaning of its type
    (`channel_of_label`), or by SNOMED CT where that leaves a single bone.
    """
    structures = segment.get("PrimaryAnatomicStructureSequence") or ()
    types = segment.get("SegmentedPropertyTypeCodeSequence") or ()
    for item in (*structures, *types):
        if item.get("CodingSchemeDesignator") == _FMA and (channel := _BY_FMA.get(_value(item))) is not None:
            return channel
    texts = [segment.get("SegmentLabel"), segment.get("TrackingID"), *(item.get("CodeMeaning") for item in types)]
    named = (channel_of_label(str(text or "")) for text in texts)
    by_label = next((channel for channel in named if channel is not None), None)
    return _by_snomed(segment, types) if by_label is None else by_label


def channel_of_label(label: str) -> int | None:
    """Return which bone a label names, as in other formats, but for its side and the word bone; None for others."""
    return mask_image.channel_of(plain_label(label))


def plain_label(label: str) -> str:
    """Return a label in small letters without a side and the word bone behind it."""
    words = _SIDE_WORDS.sub("", label.lower().replace("_", " ")).strip()
    return words.removesuffix(" bone")


def sides_of(segment: Dataset) -> set[Side]:
    """Return the sides that the modifiers of a segment's type and region or, without one, its label tell."""
    types = segment.get("SegmentedPropertyTypeCodeSequence") or ()
    regions = segment.get("AnatomicRegionSequence") or ()
    modifiers = [one for item in types for one in item.get("SegmentedPropertyTypeModifierCodeSequence") or ()]
    modifiers += [one for item in regions for one in item.get("AnatomicRegionModifierSequence") or ()]
    coded = {side for item in modifiers for side in Side if _value(item) == SIDE_CONCEPTS[side].code}
    words = _SIDE_WORDS.findall(str(segment.get("SegmentLabel") or "").lower().replace("_", " "))
    return coded or {Side[word.upper()] for word in words}


def _by_snomed(segment: Dataset, types: Any) -> int | None:
    """Return the one bone that type, position and region mean."""
    modifiers = [one for item in types for one in item.get("SegmentedPropertyTypeModifierCodeSequence") or ()]
    regions = segment.get("AnatomicRegionSequence") or ()
    told = {_value(item) for item in (*types, *modifiers, *regions) if item.get("CodingSchemeDesignator") == _SCT}
    fits = []
    for bone in BONES:
        coding = snomed_coding(bone)
        # Only a finger is needed to tell which phalanx it is; other bones need no region.
        needed = [coding.type] if coding.position is None else [coding.type, coding.position, coding.region]
        if told.issuperset(concept.code for concept in needed):
            fits.append(CHANNEL[bone.name])
    return fits[0] if len(fits) == 1 else None


def _code(concept: Concept) -> Code:
    from pydicom.sr.coding import Code  # noqa: PLC0415

    return Code(concept.code, _SCT, concept.meaning)


def _value(item: Dataset) -> str:
    return str(item.get("CodeValue", "")).strip()


_BY_FMA = {str(bone.fma): channel for channel, bone in enumerate(BONES)}
