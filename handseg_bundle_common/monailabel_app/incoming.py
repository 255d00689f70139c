"""What clients send: radiographs and labels, read once before they are kept."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.radiograph import read_size, read_stored
from handseg_bundle_common.formats.seg_nrrd import is_seg_nrrd, read_seg_nrrd

KEEP_OVERLAPS = (
    "send a .seg.nrrd; in 3D Slicer's settings of MONAI Label, tick 'Allow overlapping segmentations' and "
    "write .seg.nrrd as file extension"
)


def check_radiograph(path: str | PathLike[str]) -> None:
    """Decode a radiograph, to know that it can be used.

    Raises:
        HandsegInputError: it cannot be read.
    """
    read_stored(path)


def check_label(path: str | PathLike[str], image: str | PathLike[str]) -> tuple[str, ...]:
    """Return what a label lacks or leaves out, as sentences without a full stop.

    Args:
        path: the label.
        image: the radiograph that it belongs to.

    Raises:
        HandsegInputError: it is no segmentation of bones with a name each, or larger than its image.
    """
    if not is_seg_nrrd(path) or not Path(path).name.lower().endswith(".seg.nrrd"):
        raise HandsegInputError("label", "is no segmentation that keeps overlaps", KEEP_OVERLAPS)
    try:
        return read_seg_nrrd(path, read_size(image)).notes
    except HandsegInputError as error:  # its file is a temporary one, whose name says nothing
        raise HandsegInputError("label", error.problem, error.remedy) from error
