"""Pixels of DICOM files as stored levels, with compressed ones checked before they are decoded."""

from __future__ import annotations

import struct
from os import PathLike
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.dicom.bounded import EXPORT_AGAIN
from handseg_bundle_common.formats.dicom.files import name_of, reading, transfer_syntax
from handseg_bundle_common.formats.dicom.header import Layout

if TYPE_CHECKING:
    from pydicom import FileDataset

_RLE, _JPEG_EXTENDED = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.51"
# What decodes the families of transfer syntaxes (PS3.5, annex A), by the beginnings of their UIDs.
_PLUGINS = {
    "1.2.840.10008.1.2.4.8": "pip install pyjpegls",
    "1.2.840.10008.1.2.4.9": "pip install pylibjpeg pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.20": "pip install pylibjpeg pylibjpeg-openjpeg",
}
_JPEG_PLUGIN = "pip install pylibjpeg pylibjpeg-libjpeg, or python-gdcm"
_UNCOMPRESS = "write it uncompressed, for example with dcmdjpeg or gdcmconv --raw"

# Start of a JPEG 2000 codestream and of its size segment (ISO/IEC 15444-1, A.4 and A.5).
_JPEG_2000 = b"\xff\x4f\xff\x51"
_JPEG_2000_SYNTAXES = ("1.2.840.10008.1.2.4.9", "1.2.840.10008.1.2.4.20")
# Markers of JPEG and JPEG-LS frames (ITU-T T.81, table B.1; T.87, C.1.1): all SOFn but DHT, JPG and DAC.
_FRAME_MARKERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}


def decoded(path: str | PathLike[str], dataset: FileDataset, layout: Layout) -> NDArray[Any]:
    """Return the levels (H, W), or (H, W, 3) in colour, as whole numbers.

    Bits of a sample that do not count, in which old files keep overlays, are dropped.

    Raises:
        HandsegInputError: the pixels are missing, cut off or damaged, of another size than the header says, or
            compressed in a way for which no plugin of pydicom is installed.
    """
    from pydicom.pixels.utils import pixel_array  # noqa: PLC0415

    with reading(path):
        if "PixelData" not in dataset:
            raise HandsegInputError(path, "has no pixels", EXPORT_AGAIN)
        syntax = transfer_syntax(dataset)
        if syntax.is_encapsulated:
            _check_plugin(path, syntax, layout)
            _check_frame(dataset, syntax, layout)
        _describe(dataset, layout, is_plain=not syntax.is_encapsulated)
        pixels: NDArray[Any] = pixel_array(dataset)
        pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
        shape = (layout.rows, layout.columns) if layout.samples == 1 else (layout.rows, layout.columns, 3)
        if pixels.shape != shape:
            raise ValueError(f"it has {pixels.shape} pixels instead of {shape}")
        return _counted_bits(pixels, layout)


def _describe(dataset: FileDataset, layout: Layout, *, is_plain: bool) -> None:
    """Let the data set tell what was found of its pixels, which pydicom refuses to guess."""
    # Of plain pixels, pydicom would drop the upper bits, whichever of them count.
    dataset.BitsStored = layout.allocated if is_plain else layout.stored
    dataset.HighBit = layout.allocated - 1 if is_plain else layout.high_bit
    dataset.PixelRepresentation, dataset.SamplesPerPixel = int(layout.is_signed), layout.samples
    dataset.NumberOfFrames = 1
    if not dataset.get("PhotometricInterpretation"):
        dataset.PhotometricInterpretation = "MONOCHROME2"


def _check_plugin(path: str | PathLike[str], syntax: Any, layout: Layout) -> None:
    from pydicom.pixels.decoders.base import get_decoder  # noqa: PLC0415

    try:
        available = set(get_decoder(syntax).available_plugins)
    except NotImplementedError:
        problem = f"is compressed as {name_of(syntax)}, which pydicom cannot decode"
        raise HandsegInputError(path, problem, _UNCOMPRESS) from None
    if syntax == _JPEG_EXTENDED and layout.stored > 8:
        available.discard("pillow")  # which decodes those of 8 bits alone
    if not available:
        plugin = next((plugin for start, plugin in _PLUGINS.items() if syntax.startswith(start)), _JPEG_PLUGIN)
        raise HandsegInputError(path, f"is compressed as {name_of(syntax)}, for which a plugin is missing", plugin)


def _check_frame(dataset: FileDataset, syntax: Any, layout: Layout) -> None:
    """Compare what a compressed frame would take with what the header says.

    Raises:
        ValueError: they differ.
    """
    from pydicom.encaps import get_frame  # noqa: PLC0415

    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    if syntax == _RLE:
        plane, planes = layout.rows * layout.columns, layout.samples * layout.allocated // 8
        _check_run_lengths(frame, plane, planes)
        return
    size = _jpeg_2000_size(frame) if syntax.startswith(_JPEG_2000_SYNTAXES) else _jpeg_size(frame)
    if size != (layout.rows, layout.columns):
        raise ValueError(f"its compressed pixels are {size}, its header says {(layout.rows, layout.columns)}")


def _check_run_lengths(frame: bytes, plane: int, planes: int) -> None:
    """Refuse run lengths (PS3.5, annex G) that unroll to more than one byte a pixel and plane."""
    count, *offsets = struct.unpack_from("<16L", frame)
    if count != planes:
        raise ValueError(f"it has {count} RLE segments instead of {planes}")
    for start, end in zip(offsets[:count], [*offsets[1:count], len(frame)], strict=True):
        position, total = start, 0
        # A last byte on its own pads the segment to an even length.
        while position + 1 < end and total <= plane:
            head = frame[position]
            if head < 128:
                total, position = total + head + 1, position + head + 2
            elif head > 128:
                total, position = total + 257 - head, position + 2
            else:
                position += 1
        if total > plane + 1:
            raise ValueError("its RLE segments unroll to more than its pixels")


def _jpeg_2000_size(frame: bytes) -> tuple[int, int]:
    """Return the size (H, W) that a codestream of JPEG 2000 has by its own header."""
    if not frame.startswith(_JPEG_2000):
        raise ValueError("its compressed pixels are no codestream of JPEG 2000")
    right, bottom, left, top = struct.unpack_from(">4L", frame, len(_JPEG_2000) + 4)
    return bottom - top, right - left


def _jpeg_size(frame: bytes) -> tuple[int, int]:
    """Return the size (H, W) that a JPEG or JPEG-LS frame has by its own header."""
    position = 2
    while position + 9 <= len(frame) and frame[position] == 0xFF:
        marker = frame[position + 1]
        if marker == 0xFF or marker in _WITHOUT_LENGTH:
            position += 1 if marker == 0xFF else 2
            continue
        if marker in _FRAME_MARKERS:
            height, width = struct.unpack_from(">HH", frame, position + 5)
            return height, width
        position += 2 + int.from_bytes(frame[position + 2 : position + 4], "big")
    raise ValueError("its compressed pixels do not tell their size")


def _counted_bits(pixels: NDArray[Any], layout: Layout) -> NDArray[Any]:
    """Return levels of the bits that count, as unsigned numbers or two's complements of the allocated width."""
    if layout.stored == layout.allocated:
        return pixels
    unsigned = pixels.view(f"u{pixels.itemsize}")
    above, spare = layout.allocated - 1 - layout.high_bit, layout.allocated - layout.stored
    if not layout.is_signed:
        return (unsigned << above) >> spare
    return (unsigned << above).view(f"i{pixels.itemsize}") >> spare
