"""One DICOM segmentation for all bones of a radiograph, each a segment of its own, overlaps kept."""

from __future__ import annotations

import hashlib
import uuid
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common import __version__
from handseg_bundle_common.anatomy import BONES, NUM_BONES, Side
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import write_atomically
from handseg_bundle_common.formats.dicom.files import is_dicom, need_extra, read_header, reading
from handseg_bundle_common.formats.dicom.header import check_radiograph, side_tag
from handseg_bundle_common.formats.dicom.seg_codes import describe_bone
from handseg_bundle_common.formats.dicom.seg_reference import date_or_time, orientation_of, reference_of
from handseg_bundle_common.masks import Packed, pack_masks, unpack_masks

if TYPE_CHECKING:
    from highdicom.seg import Segmentation
    from pydicom import Dataset, FileDataset

_SERIES_NUMBER = 29
# Characters that an element of type LO holds (PS3.5, 6.2).
_LONG_STRING = 64
_NOT_DICOM = "convert to NIfTI, seg.nrrd, COCO or polygons, or name the DICOM file of the radiograph"


def write_dicom_seg(
    path: str | PathLike[str],
    source: str | PathLike[str],
    masks: NDArray[np.bool_] | Packed,
    *,
    algorithm: str | None = "handseg",
    version: str = __version__,
    estimated_side: Side | None = None,
    estimated_from: str = "the picture",
) -> None:
    """Write the masks of one DICOM radiograph as one DICOM segmentation (PS3.3, A.51): BINARY, overlaps and all.

    It holds a segment and a frame of every bone in the order of `anatomy.BONES`, with or without pixels. The same
    radiograph, masks and other arguments give the same bytes: UIDs are derived from them, and the date is that of the
    radiograph. `seg_reference.COPIED` is all that is taken from the radiograph's file. The side is coded where Image
    Laterality or Laterality tells it. A side that something else tells stands as a remark in Segment Description alone.

    Args:
        path: file to write, `.dcm`.
        source: file of the radiograph, DICOM.
        masks: (29, H, W) or packed (H, W), of the radiograph's size.
        algorithm: what has made the masks, such as the bundle's name; None for a person.
        version: of the algorithm.
        estimated_side: side of a hand of which the file does not tell it.
        estimated_from: what tells that side, for the remark.

    Raises:
        HandsegInputError: the source is no DICOM radiograph, is of another size, lacks a UID or would be replaced, the
            extra `dicom` is missing, or the file cannot be written.
    """
    if not is_dicom(source):
        raise HandsegInputError(source, "is no DICOM file, to which a DICOM segmentation must refer", _NOT_DICOM)
    if Path(path).exists() and Path(path).samefile(source):
        raise HandsegInputError(path, "is the radiograph itself", "name another folder")
    need_extra(path)
    header = read_header(source)
    layout = check_radiograph(source, header)
    packed = masks if masks.ndim == 2 else pack_masks(np.asarray(masks, np.bool_))
    if packed.shape != (layout.rows, layout.columns):
        problem = f"is of {layout.columns} x {layout.rows} px, its masks of {packed.shape[1]} x {packed.shape[0]}"
        raise HandsegInputError(source, problem, "name the radiograph that was segmented")
    with reading(source):
        side = side_tag(header)
        told = Side(side) if side in list(Side) else None
        remark = _remark(told, estimated_side, estimated_from)
        reference = reference_of(source, header)
        segmentation = _segmentation(
            reference, packed.astype(np.uint32, copy=False), told, remark, (algorithm, version)
        )
        _complete(segmentation, header)
    with write_atomically(path) as temporary:
        segmentation.save_as(temporary, enforce_file_format=True)


def _remark(told: Side | None, estimated: Side | None, source: str) -> str:
    """Return the words on the side for every segment."""
    if told is not None:
        return "side told by the radiograph's file"
    if estimated is None:
        return "side unknown"
    return f"side estimated from {source}, not told by the radiograph's file: {estimated.name.lower()}"


def _segmentation(
    reference: Dataset, packed: Packed, side: Side | None, remark: str, algorithm: tuple[str | None, str]
) -> Segmentation:
    from highdicom.seg import Segmentation  # noqa: PLC0415

    name, version = algorithm
    # highdicom logs names that it finds unusual.
    patient, reference.PatientName = reference.PatientName, None
    content = hashlib.sha256(packed.tobytes()).hexdigest()
    key = f"{reference.SOPInstanceUID} {content} {side} {remark} {name} {version} {__version__}"
    of_series = f"{reference.SeriesInstanceUID} {name} {version} {__version__}"
    name = name and name[:_LONG_STRING]
    made_by = (name, version[:_LONG_STRING]) if name else None
    masks = unpack_masks(packed).view(np.uint8)
    segmentation = Segmentation(
        source_images=[reference],
        pixel_array=np.moveaxis(masks, 0, -1)[None],
        segmentation_type="BINARY",
        segment_descriptions=[describe_bone(BONES[k], k + 1, side, remark, made_by) for k in range(NUM_BONES)],
        series_instance_uid=_derived_uid("series", of_series),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=_derived_uid("instance", key),
        instance_number=1,
        manufacturer="handseg",
        manufacturer_model_name=name or "handseg",
        software_versions=__version__,
        device_serial_number="none",
        content_label="HAND_BONES",
        content_description="Bones of the hand and wrist, overlapping",
        series_description="Bones of the hand and wrist",
        omit_empty_frames=False,
    )
    segmentation.PatientName = patient
    segmentation.SegmentsOverlap = "YES"
    # Frames follow each other without a gap (PS3.5, 8.1.1), which highdicom leaves between those of under eight pixels.
    bits = np.packbits(masks, bitorder="little").tobytes()
    segmentation.PixelData = bits + bytes(len(bits) % 2)
    organisation = _derived_uid("dimensions", key)
    for item in (*segmentation.DimensionOrganizationSequence, *segmentation.DimensionIndexSequence):
        item.DimensionOrganizationUID = organisation
    return segmentation


def _complete(segmentation: Segmentation, header: FileDataset) -> None:
    """Add what highdicom leaves out, and dates that do not change with the clock."""
    segmentation.PatientOrientation = orientation_of(header)
    for name in ("InstanceCreationDate", "InstanceCreationTime"):
        segmentation.pop(name, None)
    for equipment in segmentation.ContributingEquipmentSequence:
        equipment.pop("ContributionDateTime", None)
    for kind, default in (("Date", "19000101"), ("Time", "000000")):
        told = (date_or_time(header, f"{of}{kind}") for of in ("Content", "Acquisition", "Study"))
        setattr(segmentation, f"Content{kind}", next(filter(None, told), default))


def _derived_uid(kind: str, key: str) -> str:
    """Return a UID made from a UUID (PS3.5, B.2) that is made from a name (RFC 9562, 5.5)."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'handseg {kind} {key}').int}"
