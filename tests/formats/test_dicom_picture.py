"""Grey levels of DICOM radiographs, pixel by pixel against the formulas of PS3.3."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence

from handseg_bundle_common.datasets import find_images
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats import stored
from handseg_bundle_common.formats.dicom import is_dicom, read_dicom_side_tag
from handseg_bundle_common.formats.radiograph import read_radiograph, read_size, read_stored
from handseg_bundle_common.transforms import LoadRadiographd

Write = Callable[..., Path]

GENERATOR = np.random.default_rng(0)
GREY_8 = GENERATOR.integers(0, 256, (5, 7), np.uint8)
GREY_12 = GENERATOR.integers(0, 4096, (5, 7), np.uint16)
GREY_16 = GENERATOR.integers(40_000, 65_536, (5, 7), np.uint16)
SIGNED = GENERATOR.integers(-2000, 2000, (5, 7), np.int16)
COLOUR = GENERATOR.integers(0, 256, (5, 7, 3), np.uint8)
BITS_12 = {"BitsStored": 12, "HighBit": 11}


def linear(value: float, centre: float, width: float) -> float:
    """PS3.3, C.11.2.1.2.1."""
    if value <= centre - 0.5 - (width - 1) / 2:
        return 0.0
    if value > centre - 0.5 + (width - 1) / 2:
        return 1.0
    return (value - (centre - 0.5)) / (width - 1) + 0.5


def exact(value: float, centre: float, width: float) -> float:
    """PS3.3, C.11.2.1.3.2."""
    return min(max((value - centre) / width + 0.5, 0.0), 1.0)


def sigmoid(value: float, centre: float, width: float) -> float:
    """PS3.3, C.11.2.1.3.1."""
    return 1 / (1 + math.exp(-4 * (value - centre) / width))


def table(first: int, bits: int, entries: list[int]) -> Sequence:
    """Return a LUT sequence of one table."""
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries), first, bits])
    item.add_new("LUTData", "US", entries)
    return Sequence([item])


def look_up(value: int, first: int, entries: list[int]) -> int:
    return entries[min(max(value - first, 0), len(entries) - 1)]


ENTRIES = [int(1023 * (k / 511) ** 2) for k in range(512)]
TABLE_16 = [k * k % 65536 for k in range(4096)]
OVERLAID = GREY_12 | np.uint16(0x8000)
PADDED = np.where(GREY_12 < 1000, np.uint16(4095), GREY_12)
LUMINANCE = COLOUR @ [0.299, 0.587, 0.114] / 255
HIGH = GREY_12 << np.uint16(4)
SPAN = int(SIGNED.max()) - int(SIGNED.min())
WINDOW = {"WindowCenter": 2000, "WindowWidth": 1500}

# Levels, elements and expected shares.
GOOD: dict[str, tuple[np.ndarray, dict[str, Any], np.ndarray]] = {
    "8 bits": (GREY_8, {}, GREY_8 / 255),
    "12 of 16 bits": (GREY_12, BITS_12, GREY_12 / 4095),
    "16 of 16 bits": (GREY_16, {}, GREY_16 / 65535),
    "12 bits that claim to be 16": (np.maximum(GREY_12, 4095), {}, np.maximum(GREY_12, 4095) / 4095),
    "MONOCHROME1": (GREY_12, {**BITS_12, "PhotometricInterpretation": "MONOCHROME1"}, 1 - GREY_12 / 4095),
    "signed": (SIGNED, {}, (SIGNED - float(SIGNED.min())) / SPAN),
    "signed, 12 of 16 bits": (
        SIGNED & np.int16(0x0FFF),
        BITS_12,
        (SIGNED - float(SIGNED.min())) / SPAN,
    ),
    "bits that do not count, as of overlays": (OVERLAID, BITS_12, GREY_12 / 4095),
    "high bit above the stored ones": (HIGH, {"BitsStored": 12, "HighBit": 15}, GREY_12 / 4095),
    "rescale without a window": (GREY_12, {**BITS_12, "RescaleSlope": 2, "RescaleIntercept": -50}, GREY_12 / 4095),
    "falling rescale": (GREY_12, {**BITS_12, "RescaleSlope": -1, "RescaleIntercept": 4095}, 1 - GREY_12 / 4095),
    "window": (GREY_12, WINDOW, np.vectorize(linear)(GREY_12.astype(float), 2000, 1500)),
    "window on rescaled values": (
        GREY_12,
        {**WINDOW, "RescaleSlope": 0.5, "RescaleIntercept": 900},
        np.vectorize(linear)(GREY_12 * 0.5 + 900, 2000, 1500),
    ),
    "first of two windows": (
        GREY_12,
        {"WindowCenter": [2000, 7], "WindowWidth": [1500, 3]},
        np.vectorize(linear)(GREY_12.astype(float), 2000, 1500),
    ),
    "exact window": (
        GREY_12,
        {**WINDOW, "VOILUTFunction": "LINEAR_EXACT"},
        np.vectorize(exact)(GREY_12.astype(float), 2000, 1500),
    ),
    "sigmoid window": (
        GREY_12,
        {**WINDOW, "VOILUTFunction": "SIGMOID"},
        np.vectorize(sigmoid)(GREY_12.astype(float), 2000, 1500),
    ),
    "window and MONOCHROME1": (
        GREY_12,
        {**WINDOW, "PhotometricInterpretation": "MONOCHROME1"},
        1 - np.vectorize(linear)(GREY_12.astype(float), 2000, 1500),
    ),
    "window of signed levels": (
        SIGNED,
        {"WindowCenter": 100, "WindowWidth": 900},
        np.vectorize(linear)(SIGNED.astype(float), 100, 900),
    ),
    "window that shows nothing": (GREY_12, {**BITS_12, "WindowCenter": 9000, "WindowWidth": 9}, GREY_12 / 4095),
    "window of no width": (GREY_12, {**BITS_12, "WindowCenter": 900, "WindowWidth": 0}, GREY_12 / 4095),
    "window without centre": (GREY_12, {**BITS_12, "WindowWidth": 9}, GREY_12 / 4095),
    "VOI LUT": (
        GREY_12,
        {**BITS_12, "VOILUTSequence": table(100, 10, ENTRIES)},
        np.vectorize(lambda v: look_up(int(v), 100, ENTRIES) / 1023)(GREY_12),
    ),
    "VOI LUT before a window": (
        GREY_12,
        {**BITS_12, **WINDOW, "VOILUTSequence": table(100, 10, ENTRIES)},
        np.vectorize(lambda v: look_up(int(v), 100, ENTRIES) / 1023)(GREY_12),
    ),
    "Modality LUT": (
        GREY_12,
        {**BITS_12, "ModalityLUTSequence": table(0, 16, TABLE_16)},
        np.vectorize(lambda v: TABLE_16[v] / 65535)(GREY_12),
    ),
    "Modality LUT and window": (
        GREY_12,
        {**BITS_12, "ModalityLUTSequence": table(0, 16, TABLE_16), "WindowCenter": 30000, "WindowWidth": 40000},
        np.vectorize(lambda v: linear(TABLE_16[v], 30000, 40000))(GREY_12),
    ),
    "padding": (
        PADDED,
        {**BITS_12, "PixelPaddingValue": 4095},
        np.where(PADDED == 4095, 0, PADDED / 4095),
    ),
    "padding of MONOCHROME1": (
        PADDED,
        {**BITS_12, "PixelPaddingValue": 4095, "PhotometricInterpretation": "MONOCHROME1"},
        np.where(PADDED == 4095, 0, 1 - PADDED / 4095),
    ),
    "range of padding": (
        GREY_12,
        {**BITS_12, "PixelPaddingValue": 0, "PixelPaddingRangeLimit": 900},
        np.where(GREY_12 <= 900, 0, GREY_12 / 4095),
    ),
    "all padding": (np.full((5, 7), 9, np.uint8), {"PixelPaddingValue": 9}, np.full((5, 7), 9 / 255)),
    "one level": (np.full((5, 7), 9, np.int16), {}, np.zeros((5, 7))),
    "colour": (COLOUR, {}, LUMINANCE),
    "colour by planes": (
        COLOUR,
        {"PlanarConfiguration": 1, "PixelData": COLOUR.transpose(2, 0, 1).tobytes()},
        LUMINANCE,
    ),
    "computed radiography": (GREY_8, {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1"}, GREY_8 / 255),
    "secondary capture": (GREY_8, {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, GREY_8 / 255),
    "one frame": (GREY_8, {"NumberOfFrames": 1}, GREY_8 / 255),
    "overlay of its own": (
        GREY_8,
        {"add": [(0x60000010, "US", 5), (0x60000011, "US", 7), (0x60003000, "OW", b"\xff" * 6)]},
        GREY_8 / 255,
    ),
}


@pytest.mark.parametrize("case", GOOD)
def test_grey_levels(dicom_radiograph: Callable[..., Dataset], tmp_path: Path, case: str) -> None:
    levels, elements, expected = GOOD[case]
    others = {name: value for name, value in elements.items() if name != "add"}
    dataset = dicom_radiograph(levels, **others)
    for tag, kind, value in elements.get("add", []):
        dataset.add_new(tag, kind, value)
    dataset.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = read_radiograph(tmp_path / "x.dcm")
    assert image.dtype == np.float32
    assert image.shape == (1, 5, 7)
    np.testing.assert_allclose(image[0], expected, atol=0.51 / 255 if levels.ndim == 3 else 2e-6)
    assert read_size(tmp_path / "x.dcm") == (5, 7)


def test_levels_keep_their_depth_without_a_window(write_radiograph_dicom: Write) -> None:
    assert read_stored(write_radiograph_dicom(GREY_8)).levels.dtype == np.uint8
    assert read_stored(write_radiograph_dicom(GREY_12, **BITS_12)).levels.dtype == np.uint16


NO_RADIOGRAPH = "not a radiograph; name a picture of computed or digital radiography"
EXPORT = "export it again as DICOM of one grey picture, or as PNG"

# Elements and the message.
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "report": ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11"}, f"holds Basic Text SR Storage, {NO_RADIOGRAPH}"),
    "segmentation": ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.4"}, f"holds Segmentation Storage, {NO_RADIOGRAPH}"),
    "computed tomography": ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, f"holds CT Image Storage, {NO_RADIOGRAPH}"),
    "DICOMDIR": ({"SOPClassUID": "1.2.840.10008.1.3.10"}, f"holds Media Storage Directory Storage, {NO_RADIOGRAPH}"),
    "for processing": ({"PresentationIntentType": "FOR PROCESSING"}, "holds what the detector measured"),
    "for processing, by class": ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1.1"}, "holds what the detector measured"),
    "frames": ({"NumberOfFrames": 3}, "holds 3 frames; save each one in a file of its own"),
    "no rows": ({"Rows": None}, "has no pixels"),
    "large": ({"Rows": 60_000, "Columns": 60_000}, "has more than 80,000,000 pixels; crop or shrink it"),
    "32 bits": ({"BitsAllocated": 32}, rf"has pixels of 1 x 32 bits, MONOCHROME2; {EXPORT}"),
    "palette": ({"PhotometricInterpretation": "PALETTE COLOR"}, "has pixels of 1 x 8 bits, PALETTE COLOR"),
    "no pixels": ({"PixelData": None}, "has no pixels"),
    "cut off": ({"PixelData": bytes(20)}, "cannot be read as DICOM"),
    "video": ({"TransferSyntax": "1.2.840.10008.1.2.4.100"}, "is compressed as MPEG2.* which pydicom cannot decode"),
}


@pytest.mark.parametrize("case", BAD)
def test_error(dicom_radiograph: Callable[..., Dataset], tmp_path: Path, case: str) -> None:
    elements, message = BAD[case]
    dataset = dicom_radiograph(GREY_8, **{name: value for name, value in elements.items() if name != "TransferSyntax"})
    dataset.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    if syntax := elements.get("TransferSyntax"):
        content = (tmp_path / "x.dcm").read_bytes()
        plain = b"1.2.840.10008.1.2.1\0"
        content = content.replace(len(plain).to_bytes(2, "little") + plain, b"\x18\0" + syntax.encode() + b"\0", 1)
        grown = int.from_bytes(content[140:144], "little") + 0x18 - len(plain)
        (tmp_path / "x.dcm").write_bytes(content[:140] + grown.to_bytes(4, "little") + content[144:])
    with pytest.raises(HandsegInputError, match=rf"/x\.dcm: {message}"):
        read_radiograph(tmp_path / "x.dcm")


def test_without_the_mark_it_is_no_dicom(tmp_path: Path) -> None:
    (tmp_path / "x.dcm").write_bytes(b"Dear colleague,\n")
    with pytest.raises(HandsegInputError, match=r"x\.dcm: .* as DICOM \(it does not begin as DICOM files do"):
        read_radiograph(tmp_path / "x.dcm")
    assert not is_dicom(tmp_path / "x.dcm")
    assert not is_dicom(tmp_path / "missing.dcm")


def test_limit_of_pixels(write_radiograph_dicom: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_radiograph_dicom(GREY_8)
    monkeypatch.setattr(stored, "MAX_PIXELS", 34)
    with pytest.raises(HandsegInputError, match="has more than 34 pixels"):
        read_size(path)


@pytest.mark.parametrize("name", ["IM00001", "1.2.840.113619.2.7", "a.b", "x.DCM"])
def test_files_of_any_name(write_radiograph_dicom: Write, tmp_path: Path, name: str) -> None:
    path = write_radiograph_dicom(GREY_8, name)
    write_radiograph_dicom(GREY_8, "DICOMDIR")
    (tmp_path / "notes").write_text("no picture")
    assert find_images(tmp_path) == [path]
    np.testing.assert_allclose(LoadRadiographd()({"image": str(path)})["image"][0], GREY_8 / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("elements", "told"),
    [
        ({"ImageLaterality": "L"}, "L"),
        ({"Laterality": "R"}, "R"),
        ({"ImageLaterality": "L", "Laterality": "R"}, "L"),
        ({"ImageLaterality": "U"}, "U"),
        ({"ImageLaterality": "", "Laterality": "R"}, "R"),
        ({}, ""),
    ],
)
def test_side(write_radiograph_dicom: Write, elements: dict[str, str], told: str) -> None:
    assert read_dicom_side_tag(write_radiograph_dicom(GREY_8, **elements)) == told


def test_other_files_tell_no_side(sample_data: Path) -> None:
    assert read_dicom_side_tag(next(sample_data.rglob("*.png"))) is None


def test_without_the_extra(write_radiograph_dicom: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_radiograph_dicom(GREY_8)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(HandsegInputError, match=r"is DICOM, which needs pydicom; pip install 'handseg\[dicom\]'\.$"):
        read_size(path)
