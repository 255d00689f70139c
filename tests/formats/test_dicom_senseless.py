"""Elements that make no sense: a radiograph that can be shown is shown, by what else its file tells, with a warning."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from handseg_bundle_common.formats.dicom import read_dicom_spacing
from handseg_bundle_common.formats.radiograph import read_radiograph, read_size

Write = Callable[..., Path]

GREY_8 = np.random.default_rng(0).integers(0, 256, (5, 7), np.uint8)
GREY_12 = np.random.default_rng(0).integers(0, 4096, (5, 7), np.uint16)
SIGNED = np.random.default_rng(0).integers(-2000, 2000, (5, 7), np.int16)
BITS_12 = {"BitsStored": 12, "HighBit": 11}
WINDOW = {"WindowCenter": 2000, "WindowWidth": 1500}
WINDOWED = np.clip((GREY_12 - 1999.5) / 1499 + 0.5, 0, 1)
FULL = GREY_12 / 4095


def table(descriptor: Any, entries: Any, kind: str = "US") -> Sequence:
    """Return a sequence of one table; None leaves an element out."""
    item = Dataset()
    if descriptor is not None:
        item.add_new("LUTDescriptor", "US", descriptor)
    if entries is not None:
        item.add_new("LUTData", kind, entries)
    return Sequence([item])


SQUARES = [k * k // 64 for k in range(512)]
NO_TABLES: dict[str, Sequence] = {
    "without a descriptor": table(None, SQUARES),
    "without entries": table([512, 0, 12], None),
    "no entries at all": table([512, 0, 12], []),
    "descriptor of two numbers": table([512, 0], SQUARES),
    "fewer entries than it says": table([512, 0, 12], SQUARES[:10]),
    "entries that are all the same": table([512, 0, 12], [7] * 512),
    "packed, fewer than it says": table([512, 0, 12], b"\1\0\2\0", "OW"),
}
NO_WINDOWS: dict[str, dict[str, Any]] = {
    "no width": {"WindowCenter": 900, "WindowWidth": 0},
    "negative width": {"WindowCenter": 900, "WindowWidth": -40},
    "width below 1": {"WindowCenter": 900, "WindowWidth": 0.5},
    "endless": {"WindowCenter": 900, "WindowWidth": 1e38},
    "beside all levels": {"WindowCenter": 9000, "WindowWidth": 9},
    "width alone": {"WindowWidth": 900},
    "centre alone": {"WindowCenter": 900},
    "exact and negative": {"WindowCenter": 900, "WindowWidth": -1, "VOILUTFunction": "LINEAR_EXACT"},
}


def raw(tag: int, kind: str, value: bytes) -> RawDataElement:
    """Return an element with a value that pydicom would not write."""
    return RawDataElement(Tag(tag), kind, len(value), value, 0, False, True)


# Levels, elements, elements of raw bytes, and the expected shares.
SHOWN: dict[str, tuple[np.ndarray, dict[str, Any], list[RawDataElement], np.ndarray]] = {
    **{f"VOI LUT {name}": (GREY_12, {**BITS_12, "VOILUTSequence": lut}, [], FULL) for name, lut in NO_TABLES.items()},
    **{
        f"Modality LUT {name}": (GREY_12, {**BITS_12, "ModalityLUTSequence": lut}, [], FULL)
        for name, lut in NO_TABLES.items()
    },
    **{f"window: {name}": (GREY_12, {**BITS_12, **window}, [], FULL) for name, window in NO_WINDOWS.items()},
    "VOI LUT beside a window": (
        GREY_12,
        {**BITS_12, **WINDOW, "VOILUTSequence": NO_TABLES["no entries at all"]},
        [],
        WINDOWED,
    ),
    "window of words": (GREY_12, BITS_12, [raw(0x00281050, "DS", b"wide"), raw(0x00281051, "DS", b"open")], FULL),
    "window of no numbers": (GREY_12, BITS_12, [raw(0x00281050, "DS", b"nan "), raw(0x00281051, "DS", b"inf ")], FULL),
    "rescale of zero": (GREY_12, {**BITS_12, "RescaleSlope": 0, "RescaleIntercept": 5}, [], FULL),
    "rescale of words": (GREY_12, BITS_12, [raw(0x00281053, "DS", b"much")], FULL),
    "endless rescale": (
        GREY_12,
        {**BITS_12, **WINDOW, "RescaleSlope": 1e300, "RescaleIntercept": 0},
        [],
        WINDOWED,
    ),
    "padding that is all": (GREY_12, {**BITS_12, "PixelPaddingValue": 0, "PixelPaddingRangeLimit": 4095}, [], FULL),
    "padding of words": (GREY_12, BITS_12, [raw(0x00280120, "LO", b"none")], FULL),
    "more bits stored than allocated": (GREY_8, {"BitsStored": 12, "HighBit": 11}, [], GREY_8 / 255),
    "no bit stored": (GREY_8, {"BitsStored": 0, "HighBit": 7}, [], GREY_8 / 255),
    "high bit below the stored ones": (GREY_12, {"BitsStored": 12, "HighBit": 7}, [], FULL),
    "high bit above the allocated ones": (GREY_12, {"BitsStored": 12, "HighBit": 40}, [], FULL),
    "neither signed nor unsigned": (GREY_8, {"PixelRepresentation": 7}, [], GREY_8 / 255),
    "no photometric interpretation": (GREY_8, {"PhotometricInterpretation": None}, [], GREY_8 / 255),
}
# What is left out without a word: nothing is lost by it.
SILENT: dict[str, tuple[np.ndarray, dict[str, Any], np.ndarray]] = {
    "padding that no pixel has": (GREY_8, {"PixelPaddingValue": 65535}, GREY_8 / 255),
    "padding without a value": (GREY_8, {"PixelPaddingValue": ""}, GREY_8 / 255),
    "limit of padding without a value": (
        GREY_8,
        {"PixelPaddingValue": 300, "PixelPaddingRangeLimit": ""},
        GREY_8 / 255,
    ),
    "unknown function, taken as linear": (GREY_12, {**BITS_12, **WINDOW, "VOILUTFunction": "CUBIC"}, WINDOWED),
    "empty window": (GREY_12, {**BITS_12, "WindowCenter": "", "WindowWidth": ""}, FULL),
    "empty sequences": (GREY_12, {**BITS_12, "VOILUTSequence": [], "ModalityLUTSequence": []}, FULL),
    "no sign": (GREY_8, {"PixelRepresentation": None}, GREY_8 / 255),
    "no samples": (GREY_8, {"SamplesPerPixel": None}, GREY_8 / 255),
    "no frame": (GREY_8, {"NumberOfFrames": 0}, GREY_8 / 255),
    "no bits told": (GREY_12, {"BitsStored": None, "HighBit": None}, FULL),
}


@pytest.mark.parametrize("case", SHOWN)
def test_senseless_element(
    dicom_radiograph: Callable[..., Dataset], tmp_path: Path, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    levels, elements, raws, expected = SHOWN[case]
    dataset = dicom_radiograph(levels, **elements)
    for element in raws:
        dataset._dict[element.tag] = element  # pydicom offers no other way to write broken values
    path = tmp_path / "x.dcm"
    dataset.save_as(path, enforce_file_format=True)
    with caplog.at_level(logging.WARNING):
        image = read_radiograph(path)
        np.testing.assert_allclose(image[0], expected, atol=2e-6)
        read_radiograph(path)
    assert read_size(path) == levels.shape
    (message,) = (record.getMessage() for record in caplog.records)  # once, however often it is read
    assert message.startswith(f"{path}: ")


@pytest.mark.parametrize("case", SILENT)
def test_element_without_meaning(write_radiograph_dicom: Write, caplog: pytest.LogCaptureFixture, case: str) -> None:
    levels, elements, expected = SILENT[case]
    np.testing.assert_allclose(read_radiograph(write_radiograph_dicom(levels, **elements))[0], expected, atol=2e-6)
    assert not caplog.records


def look_up(levels: np.ndarray, first: int, entries: list[int]) -> np.ndarray:
    return np.vectorize(lambda level: entries[min(max(int(level) - first, 0), len(entries) - 1)])(levels)


WIDE = [k // 16 for k in range(4096)]
LONG = [min(k // 2, 4095) for k in range(65536)]
# Levels, elements and expected shares of tables that are unusual, but mean something.
TABLES: dict[str, tuple[np.ndarray, dict[str, Any], np.ndarray]] = {
    "more than 256 entries of 8 bits": (GREY_12, {"VOILUTSequence": table([4096, 0, 8], WIDE)}, GREY_12 // 16 / 255),
    "entries of 8 bits in words": (
        GREY_12,
        {"VOILUTSequence": table([4096, 0, 8], struct.pack("<4096H", *WIDE), "OW")},
        GREY_12 // 16 / 255,
    ),
    "entries of 8 bits in bytes": (
        GREY_8,
        {"VOILUTSequence": table([256, 0, 8], bytes(range(255, -1, -1)), "OW")},
        1 - GREY_8 / 255,
    ),
    "65536 entries, told as 0": (
        GREY_12,
        {"VOILUTSequence": table([0, 0, 12], struct.pack("<65536H", *LONG), "OW")},
        GREY_12 // 2 / 4095,
    ),
    "first level below zero": (
        SIGNED,
        {"VOILUTSequence": table([512, 65536 - 300, 12], SQUARES)},
        look_up(SIGNED, -300, SQUARES) / 4095,
    ),
    "larger entries than its bits": (
        GREY_12,
        {"VOILUTSequence": table([512, 0, 10], SQUARES)},
        look_up(GREY_12, 0, SQUARES) / 4095,
    ),
    "bits that are none": (
        GREY_12,
        {"VOILUTSequence": table([512, 0, 0], SQUARES)},
        look_up(GREY_12, 0, SQUARES) / 4095,
    ),
    "Modality LUT of 12 bits": (
        GREY_12,
        {"ModalityLUTSequence": table([512, 0, 12], SQUARES)},
        look_up(GREY_12, 0, SQUARES) / 4095,
    ),
    "Modality LUT longer than the levels": (
        GREY_8,
        {"ModalityLUTSequence": table([512, 0, 12], SQUARES)},
        look_up(GREY_8, 0, SQUARES) / 4095,
    ),
    "VOI LUT of rescaled levels": (
        GREY_12,
        {"RescaleSlope": 0.1, "RescaleIntercept": -20, "VOILUTSequence": table([512, 0, 12], SQUARES)},
        look_up(np.rint(GREY_12 * np.float32(0.1) - 20), 0, SQUARES) / 4095,
    ),
}


@pytest.mark.parametrize("case", TABLES)
def test_unusual_table(write_radiograph_dicom: Write, caplog: pytest.LogCaptureFixture, case: str) -> None:
    levels, elements, expected = TABLES[case]
    bits = BITS_12 if levels is GREY_12 else {}
    path = write_radiograph_dicom(levels, **bits, **elements)
    np.testing.assert_allclose(read_radiograph(path, inverted=False)[0], expected, atol=2e-6)
    assert not caplog.records


def test_padding_of_signed_levels_told_as_unsigned(dicom_radiograph: Callable[..., Dataset], tmp_path: Path) -> None:
    levels = np.where(SIGNED < -1000, np.int16(-1500), SIGNED)
    dataset = dicom_radiograph(levels)
    dataset.add_new("PixelPaddingValue", "US", 65536 - 1500)
    path = tmp_path / "x.dcm"
    dataset.save_as(path, enforce_file_format=True)
    counted = levels[levels != -1500].astype(float)
    expected = (levels - counted.min()) / (counted.max() - counted.min())
    np.testing.assert_allclose(read_radiograph(path)[0], np.where(levels == -1500, 0, expected), atol=2e-6)


def test_spacing_of_words(dicom_radiograph: Callable[..., Dataset], tmp_path: Path) -> None:
    dataset = dicom_radiograph(GREY_8)
    for tag in (0x00280030, 0x00181164):
        dataset._dict[Tag(tag)] = raw(tag, "DS", b"one\\two ")
    dataset._dict[Tag(0x00181114)] = raw(0x00181114, "DS", b"some")
    dataset.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    assert read_dicom_spacing(tmp_path / "x.dcm") is None
