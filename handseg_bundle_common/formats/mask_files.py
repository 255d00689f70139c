"""Files of masks that are named as radiographs are."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from handseg_bundle_common.formats.dicom import is_dicom_seg
from handseg_bundle_common.formats.nifti import SUFFIXES, is_nifti_masks
from handseg_bundle_common.formats.png_stack import is_png_mask

_PICTURES = (".jpg", ".jpeg", ".tif", ".tiff")


def is_mask_file(path: str | PathLike[str]) -> bool:
    """Tell whether a NIfTI or DICOM file or a picture of a bone holds masks, not a radiograph; by its header alone.

    Raises:
        HandsegInputError: a DICOM file cannot be read.
    """
    name = Path(path).name.lower()
    if name.endswith(_PICTURES):
        return False
    if name.endswith(".png"):
        return is_png_mask(path)
    return is_nifti_masks(path) if name.endswith(SUFFIXES) else is_dicom_seg(path)
