"""How a DICOM segmentation names the bones: SNOMED CT, the Foundational Model of Anatomy, and plain labels."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from handseg_bundle_common.anatomy import BONES, CHANNEL, SIDE_CONCEPTS, Bone, Concept, Side, snomed_coding

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription
    from pydicom import Dataset
    from pydicom.sr.coding import Code

# DICOM PS3.16, CID 7150 and 7162.
_ANATOMICAL_STRUCTURE = ("91723000", "SCT", "Anatomical Structure")
_ARTIFICIAL_INTELLIGENCE = ("123110", "DCM", "Artificial Intelligence")
_SCT, _FMA = "SCT", "FMA"

_SIDE_WORDS = re.compile(r"\b(left|right)\b")
_OTHER_SIGNS = re.compile(r"[^a-z0-9]+")


def describe_bone(
    bone: Bone, number: int, side: Side | None, remark: str, algorithm: tuple[str, str] | None
) -> SegmentDescription:
    """Return the description of a bone's segment.

    Args:
        bone: the bone.
        number: of its segment, from 1.
        side: the side that the radiograph's file tells, coded as a modifier of the type.
        remark: text of Segment Description.
        algorithm: name and version; None for masks that a person drew.
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
    modifiers = [concept for concept in (side and SIDE_CONCEPTS[side], coding.position) if concept]
    if modifiers:
        kind = segment.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [CodedConcept.from_code(_code(one)) for one in modifiers]
    return segment


def channel_of(segment: Dataset) -> int | None:
    """Return which bone a segment of any program is, None for anything else.

    It is known by its number in the Foundational Model of Anatomy, by its label or the meaning of its type in the words
    of `anatomy`, or by SNOMED CT where that leaves a single bone.
    """
    structures = segment.get("PrimaryAnatomicStructureSequence") or ()
    types = segment.get("SegmentedPropertyTypeCodeSequence") or ()
    for item in (*structures, *types):
        if item.get("CodingSchemeDesignator") == _FMA and (channel := _BY_FMA.get(_value(item))) is not None:
            return channel
    texts = [segment.get("SegmentLabel"), segment.get("TrackingID"), *(item.get("CodeMeaning") for item in types)]
    named = (_BY_LABEL.get(_plain(str(text or ""))) for text in texts)
    by_label = next((channel for channel in named if channel is not None), None)
    return _by_snomed(segment, types) if by_label is None else by_label


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


def _plain(text: str) -> str:
    """Return a label without its side, signs and capitals."""
    return _OTHER_SIGNS.sub("", _SIDE_WORDS.sub("", text.lower().replace("_", " ")))


_BY_FMA = {str(bone.fma): channel for channel, bone in enumerate(BONES)}
# Only abbreviations of fingers: those of carpal bones are also words for a side.
_BY_LABEL = {
    _plain(text): channel
    for channel, bone in enumerate(BONES)
    for text in (bone.name, bone.anatomical_name, bone.abbreviation, f"{bone.anatomical_name} bone")
    if len(text) > 2
}
