"""Masks of the bones from DICOM segmentations, of handseg and of other programs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.dicom.files import (
    SEG_CLASSES,
    read_header,
    read_whole,
    reading,
    sop_class,
    transfer_syntax,
)
from handseg_bundle_common.formats.dicom.header import whole_number
from handseg_bundle_common.formats.dicom.seg_codes import channel_of, channel_of_label, plain_label, sides_of
from handseg_bundle_common.formats.mask_image import (
    MaskImage,
    Size,
    Spacing,
    is_merged,
    known_spacing,
    merged_note,
    missing_note,
    united_note,
    unknown_note,
)
from handseg_bundle_common.formats.stored import check_size
from handseg_bundle_common.masks import Packed, unpack_masks

if TYPE_CHECKING:
    from pydicom import Dataset, FileDataset

_WRITE_AGAIN = "write it again as BINARY segmentation of one radiograph"
# More frames than that are no single picture of a hand.
_MAX_FRAMES = 1024
# Signs of a label that a message shows, as many as the standard allows, and so many labels.
_LABEL, _SHOWN = 64, 5

_logger = logging.getLogger(__name__)


def read_dicom_seg(path: str | PathLike[str]) -> NDArray[np.bool_]:
    """Read the masks (29, H, W) of a DICOM segmentation; see `read_dicom_seg_packed`."""
    return unpack_masks(read_dicom_seg_packed(path))


def read_dicom_seg_packed(path: str | PathLike[str]) -> Packed:
    """Read the packed masks (H, W) of a DICOM segmentation as `read_dicom_seg_image` does; its notes are warnings."""
    image = read_dicom_seg_image(path)
    for note in image.notes:
        _logger.warning("%s: %s.", path, note)
    return image.masks


def read_dicom_seg_image(path: str | PathLike[str], size: Size | None = None) -> MaskImage:
    """Read a DICOM segmentation of one radiograph.

    Segments are bones by their codes or labels (`seg_codes.channel_of`); others are left out, several of a bone are
    united, and bones without a segment are empty. Of fractional segmentations, what reaches half of the largest value
    belongs to the bone.

    Args:
        path: the file.
        size: (H, W) of the radiograph, if it is known.

    Returns:
        The masks, without a name; all that was not kept is in its notes.

    Raises:
        HandsegInputError: the file is broken, compressed, no segmentation, one of several pictures, of both hands or
            of another size, or names no bone; or the extra `dicom` is missing.
    """
    header = read_header(path)
    with reading(path):
        if sop_class(header) not in SEG_CLASSES:
            raise HandsegInputError(path, "is no DICOM segmentation", "name a file of the modality SEG")
        rows, columns = whole_number(header, "Rows", 0), whole_number(header, "Columns", 0)
        check_size(path, rows, columns)
        if size is not None and size != (rows, columns):
            problem = f"is of {columns} x {rows} px, its image of {size[1]} x {size[0]}"
            raise HandsegInputError(path, problem, "name the images that were segmented")
        channels, notes = _channels(path, header)
        frames, allocated = whole_number(header, "NumberOfFrames", 1), whole_number(header, "BitsAllocated")
        if frames > _MAX_FRAMES or allocated not in (1, 8, 16):
            raise HandsegInputError(path, f"holds {frames} frames of {allocated} bits", _WRITE_AGAIN)
        dataset = read_whole(path, frames * rows * columns * allocated // 8)
        if transfer_syntax(dataset).is_encapsulated:
            raise HandsegInputError(path, "is compressed", "write it uncompressed, for example with gdcmconv --raw")
        if header.get("SegmentationType") == "FRACTIONAL":
            notes += ("fractions became masks: what reaches half belongs to the bone",)
        return MaskImage("", _united(path, dataset, channels, (rows, columns)), _spacing(dataset), notes)


def _channels(path: str | PathLike[str], header: FileDataset) -> tuple[dict[int, int], tuple[str, ...]]:
    """Return the bone of each segment number, and what of the segments is not kept."""
    channels: dict[int, int] = {}
    labels, others, sides = [], [], set()
    for segment in header.get("SegmentSequence") or ():
        label, channel = str(segment.get("SegmentLabel", ""))[:_LABEL], channel_of(segment)
        if channel is None:
            others.append(label)
            continue
        channels[whole_number(segment, "SegmentNumber")] = channel
        labels.append((label, channel))
        sides |= sides_of(segment)
    if not channels:
        problem = f"has no segment that is a bone of the hand ({len(others)} others)"
        raise HandsegInputError(path, problem, "label segments with the names of the bones")
    if len(sides) > 1:
        raise HandsegInputError(path, "segments a left and a right hand", "write a file for each")
    return channels, _notes(labels, others)


def _notes(labels: list[tuple[str, int]], others: list[str]) -> tuple[str, ...]:
    """Return notes on segments that are bones, with their labels and channels, and on the labels of others."""
    found = [channel for _, channel in labels]
    renamed = [f"{label} ({BONE_NAMES[channel]})" for label, channel in labels if channel_of_label(label) != channel]
    notes = missing_note("segment", found) + unknown_note("segment", others) + united_note("segments", found)
    if renamed:
        notes += (f"names that differ from the codes, which count: {', '.join(sorted(renamed)[:_SHOWN])}",)
    return notes + merged_note([plain for label, _ in labels if is_merged(plain := plain_label(label))])


def _spacing(dataset: Dataset) -> Spacing | None:
    """Return the spacing of a segmentation in the space of the patient; one of a projection has none."""
    groups: Any = dataset.get("SharedFunctionalGroupsSequence") or ()
    try:
        rows, columns = groups[0].PixelMeasuresSequence[0].PixelSpacing
        return known_spacing(float(rows), float(columns))
    except (AttributeError, IndexError, TypeError, ValueError):
        return None


def _united(path: str | PathLike[str], dataset: FileDataset, channels: dict[int, int], size: tuple[int, int]) -> Packed:
    """Return the frames as packed masks."""
    packed = np.zeros(size, np.uint32)
    if sop_class(dataset) == SEG_CLASSES[1]:
        levels = next(_frames(dataset, size))
        if whole_number(dataset, "NumberOfFrames", 1) > 1:
            raise HandsegInputError(path, "segments several pictures", _WRITE_AGAIN)
        for number, channel in channels.items():
            packed |= np.where(levels == number, np.uint32(1 << channel), np.uint32(0))
        return packed
    seen: set[int] = set()
    least = (whole_number(dataset, "MaximumFractionalValue", 1) + 1) // 2
    for number, levels in zip(_segment_numbers(dataset), _frames(dataset, size), strict=True):
        if number in seen:
            raise HandsegInputError(path, "segments several pictures", _WRITE_AGAIN)
        seen.add(number)
        if number in channels:
            packed |= np.where(levels >= max(least, 1), np.uint32(1 << channels[number]), np.uint32(0))
    return packed


def _segment_numbers(dataset: Dataset) -> Iterator[int]:
    """Yield the segment of each frame; of a single segment, all frames share it."""
    shared = dataset.SharedFunctionalGroupsSequence[0].get("SegmentIdentificationSequence")
    for groups in dataset.PerFrameFunctionalGroupsSequence:
        told = groups.get("SegmentIdentificationSequence") or shared
        yield whole_number(told[0], "ReferencedSegmentNumber")


def _frames(dataset: Dataset, size: tuple[int, int]) -> Iterator[NDArray[np.unsignedinteger]]:
    """Yield the frames; those of one bit follow each other without a gap (PS3.5, 8.1.1)."""
    pixels, bits = size[0] * size[1], whole_number(dataset, "BitsAllocated")
    data = np.frombuffer(dataset.PixelData, np.uint8)
    for number in range(whole_number(dataset, "NumberOfFrames", 1)):
        start, end = number * pixels * bits, (number + 1) * pixels * bits
        part = data[start // 8 : -(-end // 8)]
        if len(part) < -(-end // 8) - start // 8:
            raise ValueError("its pixels are cut off")
        if bits == 1:
            part = np.unpackbits(part, bitorder="little")[start % 8 :][:pixels]
        yield part.view(np.uint8 if bits < 16 else "<u2").reshape(size)
