"""Segmentations of 3D Slicer: NRRD files `.seg.nrrd` whose segments overlap.

Slicer's convention: segments that do not overlap share a layer and are told apart by their label values; layers are the
first axis, of kind `list`, and a file of one layer has no such axis. Written are as few layers as a greedy colouring
needs. The pixels lie in the patient space of ITK (left, posterior, superior), columns along its first axis and rows
along its second, which is where Slicer puts a PNG, JPEG or TIFF of the same size. Files of other axes are turned.
"""

from __future__ import annotations

import os
import zlib
from os import PathLike
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONES, NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import write_atomically
from handseg_bundle_common.formats.mask_image import (
    PLACEHOLDER,
    MaskImage,
    Size,
    bone_bits,
    channel_of,
    is_merged,
    merged_note,
    missing_note,
    united_note,
    unknown_note,
)
from handseg_bundle_common.formats.nrrd import WRITE_AGAIN, NrrdReader, open_nrrd, reference_geometry
from handseg_bundle_common.formats.seg_nrrd_segments import Segment, read_segments
from handseg_bundle_common.formats.stored import check_size
from handseg_bundle_common.masks import Packed

SUFFIXES = (".seg.nrrd", ".nrrd")

_IMAGE = "handseg_image"
_REPRESENTATION = "Binary labelmap"
_LEVEL = 6
# Bytes that are packed or unpacked at a time.
_BLOCK = 2**22


def write_seg_nrrd(path: str | PathLike[str], image: MaskImage) -> None:
    """Write masks with all 29 segments, also those of no pixel; of one layer or several.

    Raises:
        HandsegInputError: the file cannot be written.
    """
    layers = _layers(image.masks)
    count = max(layer for layer, _ in layers) + 1
    height, width = image.masks.shape
    packer = zlib.compressobj(_LEVEL, wbits=31)  # a gzip header without name and time
    step = max(1, _BLOCK // (width * count))
    with write_atomically(path) as temporary, temporary.open("wb") as file:
        file.write(_header(image, layers, count).encode("ascii"))
        for start in range(0, height, step):
            file.write(packer.compress(_labels(image.masks[start : start + step], layers, count).tobytes()))
        file.write(packer.flush())


def read_seg_nrrd(path: str | PathLike[str], size: Size | None = None) -> MaskImage:
    """Read masks, whatever the number of layers and the order of the segments, matched by their names.

    Of a file that Slicer has cropped, the pixels around are empty.

    Args:
        path: the file.
        size: (H, W) of the image as displayed, which a cropped file does not tell.

    Raises:
        HandsegInputError: the file cannot be read, is too large or larger than its image, or holds no bone.
    """
    with open_nrrd(path) as reader:
        segments = read_segments(path, reader)
        bones = [(segment, channel) for segment in segments if (channel := channel_of(segment.label)) is not None]
        if not bones:
            raise HandsegInputError(path, "holds no segment with the name of a bone", "name its segments as bones")
        masks = _place(path, reader, bones, size)
    labels = [segment.label for segment in segments]
    notes = missing_note("segment", [channel for _, channel in bones])
    notes += unknown_note("segment", [label for label in labels if channel_of(label) is None])
    notes += united_note("segments", [channel for _, channel in bones])
    notes += merged_note([label for label in labels if is_merged(label)])
    if any(reader.offset) and size is None and reader.image_size == reader.smallest_size:
        notes += ("cropped: the size of the image is not in the file and was taken as small as the masks allow",)
    name = os.fsdecode(unquote_to_bytes(reader.keys.get(_IMAGE, "")))
    return MaskImage(name, masks, reader.spacing_mm, notes)


def _layers(masks: Packed) -> list[tuple[int, int]]:
    """Return layer and label value of every bone: the first layer in which it overlaps no bone before it."""
    seen = [int(value) for value in np.unique(masks)]
    conflicts = [0] * NUM_BONES
    for channel in range(NUM_BONES):
        for value in seen:
            if value >> channel & 1:
                conflicts[channel] |= value
    members: list[int] = []
    counts: list[int] = []
    layers = []
    for channel in range(NUM_BONES):
        fitting = (number for number, member in enumerate(members) if not member & conflicts[channel])
        layer = next(fitting, len(members))
        if layer == len(members):
            members.append(0)
            counts.append(0)
        members[layer] |= 1 << channel
        counts[layer] += 1
        layers.append((layer, counts[layer]))
    return layers


def _labels(masks: Packed, layers: list[tuple[int, int]], count: int) -> NDArray[np.uint8]:
    """Return label values (H, W, layers)."""
    labels = np.zeros((*masks.shape, count), np.uint8)
    for channel, (layer, value) in enumerate(layers):
        labels[..., layer][bone_bits(masks, channel)] = value
    return labels


def _header(image: MaskImage, layers: list[tuple[int, int]], count: int) -> str:
    height, width = image.masks.shape
    rows, columns = image.spacing_mm or (PLACEHOLDER, PLACEHOLDER)
    is_list = count > 1
    lines = [
        "NRRD0004",
        "type: unsigned char",
        f"dimension: {3 + is_list}",
        "space: left-posterior-superior",
        f"sizes: {f'{count} ' if is_list else ''}{width} {height} 1",
        f"space directions: {'none ' if is_list else ''}({columns!r},0,0) (0,{rows!r},0) (0,0,1)",
        f"kinds: {'list ' if is_list else ''}domain domain domain",
        "encoding: gzip",
        "space origin: (0,0,0)",
        *([] if image.spacing_mm is None else ['space units: "mm" "mm" "mm"']),
        f"{_IMAGE}:={quote(os.fsencode(image.name))}",
        f"Segmentation_ContainedRepresentationNames:={_REPRESENTATION}|",
        # Without it, Slicer saves no more of the picture than the segments need.
        f"Segmentation_ConversionParameters:={reference_geometry((height, width), (rows, columns))}",
        f"Segmentation_MasterRepresentation:={_REPRESENTATION}",
        "Segmentation_ReferenceImageExtentOffset:=0 0 0",
    ]
    for channel, (layer, value) in enumerate(layers):
        lines += _segment_lines(channel, layer, value, bone_bits(image.masks, channel))
    return "\n".join(lines) + "\n\n"


def _segment_lines(channel: int, layer: int, value: int, mask: NDArray[np.bool_]) -> list[str]:
    bone = BONES[channel]
    fields = {
        "Color": " ".join(f"{level / 255:.6g}" for level in bone.colour),
        "ColorAutoGenerated": "0",
        "Extent": _extent(mask),
        "ID": bone.name,
        "LabelValue": str(value),
        "Layer": str(layer),
        "Name": bone.name,
        "NameAutoGenerated": "0",
    }
    return [f"Segment{channel}_{key}:={text}" for key, text in fields.items()]


def _extent(mask: NDArray[np.bool_]) -> str:
    """Return the first and last column, row and slice of a mask; `0 -1` where there is none."""
    columns, rows = (np.flatnonzero(mask.any(axis=axis)) for axis in (0, 1))
    if not columns.size:
        return "0 -1 0 -1 0 -1"
    return f"{columns[0]} {columns[-1]} {rows[0]} {rows[-1]} 0 0"


def _place(
    path: str | PathLike[str], reader: NrrdReader, bones: list[tuple[Segment, int]], size: Size | None
) -> Packed:
    """Return the masks at their place in the image, as displayed."""
    left, top = reader.offset
    if size is not None and reader.turn[0, 0] == 1:
        size = size[::-1]
    height, width = size or reader.image_size
    check_size(path, height, width)
    if left < 0 or top < 0 or top + reader.rows > height or left + reader.columns > width:
        problem = f"covers {reader.columns} x {reader.rows} px from column {left}, row {top} of {width} x {height}"
        raise HandsegInputError(path, problem, "name the images that were segmented")
    masks = np.zeros((height, width), np.uint32)
    step = max(1, _BLOCK // (reader.columns * reader.layers))
    for start in range(0, reader.rows, step):
        labels = reader.read_rows(min(step, reader.rows - start))
        window = masks[top + start : top + start + len(labels), left : left + reader.columns]
        for segment, channel in bones:
            bit = np.uint32(1 << channel)
            np.bitwise_or(window, bit, out=window, where=labels[..., segment.layer] == segment.value)
    reader.read_end()
    return np.ascontiguousarray(nib.orientations.apply_orientation(masks.T, reader.turn).T)


def is_seg_nrrd(path: str | PathLike[str]) -> bool:
    """Tell by its first bytes whether a file is NRRD."""
    try:
        with Path(path).open("rb") as file:
            return file.read(4) == b"NRRD"
    except OSError as error:
        raise HandsegInputError(path, f"cannot be read ({error.strerror})", WRITE_AGAIN) from error
