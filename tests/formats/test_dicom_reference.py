"""Grey levels of DICOM radiographs of any kind against pydicom's own processing, applied step by step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.pixels import apply_modality_lut, apply_voi_lut, pixel_array
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from handseg_bundle_common.formats.radiograph import read_radiograph, read_size

CLASSES = ["1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.1.1", "1.2.840.10008.5.1.4.1.1.7"]
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless, JPEGLSLossless, JPEG2000Lossless]
# JPEG 2000 as pydicom writes it takes no smaller picture.
SIZE = (36, 40)


def white_of(dataset: Dataset) -> tuple[float, float]:
    """Return what pydicom's windows make of black and of white: the range of what stands before them."""
    if "ModalityLUTSequence" in dataset:
        return 0, 2 ** dataset.ModalityLUTSequence[0].LUTDescriptor[2] - 1
    half = 2 ** (dataset.BitsStored - 1)
    low, high = (-half, half - 1) if dataset.PixelRepresentation else (0, 2 * half - 1)
    slope, intercept = dataset.get("RescaleSlope", 1), dataset.get("RescaleIntercept", 0)
    return low * slope + intercept, high * slope + intercept


def reference(path: Path) -> np.ndarray:
    """Return shares 0..1, black to white, of a file with a window or a table."""
    dataset = dcmread(path)
    with np.errstate(over="ignore"):
        values = apply_modality_lut(pixel_array(dataset), dataset)
        shown = apply_voi_lut(values, dataset, prefer_lut=True).astype(float)
    if "VOILUTSequence" in dataset:
        black, white = 0.0, 2.0 ** dataset.VOILUTSequence[0].LUTDescriptor[2] - 1
    else:
        black, white = white_of(dataset)
    shares = (shown - black) / (white - black)
    return 1 - shares if dataset.PhotometricInterpretation == "MONOCHROME1" else shares


def table(first: int, bits: int, count: int, seed: int) -> Sequence:
    entries = np.random.default_rng(seed).integers(0, 2**bits, count)
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [count, first, bits])
    item.add_new("LUTData", "US", entries.tolist())
    return Sequence([item])


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, dict[str, Any], UID]:
    """Draw levels, elements and a transfer syntax."""
    allocated = draw(st.sampled_from([8, 16]))
    stored = draw(st.integers(6, 8) if allocated == 8 else st.sampled_from([10, 12, 14, 16]))
    syntax = draw(st.sampled_from(SYNTAXES))
    # pydicom's encoders take signed levels of some widths only.
    is_signed = draw(st.booleans()) and not syntax.is_compressed
    low = -(2 ** (stored - 1)) if is_signed else 0
    kind = np.dtype(f"{'i' if is_signed else 'u'}{allocated // 8}")
    seed = draw(st.integers(0, 99))
    levels = np.random.default_rng(seed).integers(low, low + 2**stored, SIZE).astype(kind)
    elements: dict[str, Any] = {
        "SOPClassUID": draw(st.sampled_from(CLASSES)),
        "PhotometricInterpretation": draw(st.sampled_from(["MONOCHROME1", "MONOCHROME2"])),
        "BitsStored": stored,
        "HighBit": stored - 1,
    }
    modality = draw(st.sampled_from(["none", "rescale", "table"]))
    if modality == "rescale":
        elements["RescaleSlope"] = draw(st.sampled_from([0.5, 1, 2, -1]))
        elements["RescaleIntercept"] = draw(st.sampled_from([-1024, 0, 17]))
    elif modality == "table":
        elements["ModalityLUTSequence"] = table(low, 16, min(2**stored, 30_000), seed)
    voi = draw(st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID", "table"]))
    if voi == "table":
        # pydicom wraps levels above the range of the entries, so these have all 16 bits.
        assume(modality != "rescale")
        elements["VOILUTSequence"] = table(draw(st.integers(0, 20)), 16, draw(st.integers(2, 400)), seed + 1)
    else:
        elements["VOILUTFunction"] = voi
        elements["WindowCenter"] = draw(st.integers(-100, 2**stored))
        elements["WindowWidth"] = draw(st.integers(2, 2**stored))
    return levels, elements, syntax


@settings(max_examples=80, deadline=None)
@given(cases())
def test_as_pydicom_shows_it(
    dicom_radiograph: Callable[..., Dataset],
    tmp_path_factory: pytest.TempPathFactory,
    case: tuple[np.ndarray, dict[str, Any], UID],
) -> None:
    levels, elements, syntax = case
    dataset = dicom_radiograph(levels, **elements)
    if syntax.is_compressed:
        dataset.compress(syntax, generate_instance_uid=False)
    else:
        dataset.file_meta.TransferSyntaxUID = syntax
    path = tmp_path_factory.getbasetemp() / "reference.dcm"
    dataset.save_as(path, enforce_file_format=True)
    expected = reference(path)
    assume(np.ptp(expected) > 1e-3)  # what leaves nothing to see is not applied
    image = read_radiograph(path, inverted=False)
    np.testing.assert_allclose(image[0], expected, atol=2e-5)
    assert read_size(path) == SIZE
