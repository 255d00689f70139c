"""DICOM: radiographs in, segmentations of all bones out and in; pydicom and highdicom come with the extra `dicom`."""

from handseg_bundle_common.formats.dicom.files import is_dicom, is_dicom_seg
from handseg_bundle_common.formats.dicom.header import read_dicom_side_tag, read_dicom_size
from handseg_bundle_common.formats.dicom.picture import read_dicom
from handseg_bundle_common.formats.dicom.seg_reader import read_dicom_seg, read_dicom_seg_image, read_dicom_seg_packed
from handseg_bundle_common.formats.dicom.seg_writer import write_dicom_seg
from handseg_bundle_common.formats.dicom.spacing import Plane, Spacing, read_dicom_spacing

__all__ = [
    "Plane",
    "Spacing",
    "is_dicom",
    "is_dicom_seg",
    "read_dicom",
    "read_dicom_seg",
    "read_dicom_seg_image",
    "read_dicom_seg_packed",
    "read_dicom_side_tag",
    "read_dicom_size",
    "read_dicom_spacing",
    "write_dicom_seg",
]
