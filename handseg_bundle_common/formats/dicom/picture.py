"""Radiographs in DICOM files, as a workstation shows them: grey levels after modality and VOI transformation.

Sections are those of DICOM PS3.3.
"""

from __future__ import annotations

import math
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handseg_bundle_common.formats.dicom.decoding import decoded
from handseg_bundle_common.formats.dicom.files import read_header, read_whole, reading
from handseg_bundle_common.formats.dicom.header import Layout, check_radiograph
from handseg_bundle_common.formats.stored import StoredRadiograph, white_level

if TYPE_CHECKING:
    from pydicom import Dataset, FileDataset

_Shares = NDArray[np.float32]


def read_dicom(path: str | PathLike[str]) -> StoredRadiograph:
    """Read a DICOM radiograph: computed or digital radiography, or a secondary capture, of one frame.

    Grey levels pass through the Modality LUT or the rescale slope and intercept, and through the first VOI LUT or else
    the first window; then MONOCHROME1 is turned, so that 0 is black. Without a window the range of the stored bits
    counts; for signed levels and all 16 bits, that of the levels. Pixels of the padding value become black. Overlays
    and presentation states are not drawn, and the picture is neither turned nor mirrored by Patient Orientation, so
    that pixels keep their place.

    Raises:
        HandsegInputError: the file is broken, holds no radiograph, several frames or more than `stored.MAX_PIXELS`,
            is compressed in a way for which no plugin is installed, or the extra `dicom` is missing.
    """
    layout = check_radiograph(path, read_header(path))
    dataset = read_whole(path, layout.pixel_bytes)
    levels = decoded(path, dataset, layout)
    with reading(path), np.errstate(all="ignore"):
        if layout.samples == 3:
            return StoredRadiograph(np.asarray(Image.fromarray(levels).convert("L")), 0, 255)
        padding = _padding(dataset, levels)
        radiograph = _displayed(dataset, levels, padding, layout)
        if layout.is_inverted:
            radiograph = radiograph.turned()
        if padding is not None:
            radiograph.levels[padding] = radiograph.black
        return radiograph


def _displayed(
    dataset: FileDataset, levels: NDArray[Any], padding: NDArray[np.bool_] | None, layout: Layout
) -> StoredRadiograph:
    """Return levels with their black and white, the smallest being black."""
    values, full_range = _modality(dataset, levels, layout)
    shares = _voi(dataset, values)
    if shares is not None and shares.min() < shares.max():
        return StoredRadiograph(shares, 0, 1)
    if full_range is not None:
        low, high = full_range
        return StoredRadiograph(((values - low) / (high - low)).astype(np.float32), 0, 1)
    radiograph = _without_window(levels, padding, layout)
    return radiograph.turned() if _rescale(dataset)[0] < 0 else radiograph


def _modality(
    dataset: FileDataset, levels: NDArray[Any], layout: Layout
) -> tuple[NDArray[Any], tuple[float, float] | None]:
    """Return values after the Modality LUT (C.11.1), and the range of its output where it is a table."""
    if dataset.get("ModalityLUTSequence"):
        from pydicom.pixels.processing import apply_modality_lut  # noqa: PLC0415

        return apply_modality_lut(levels, dataset), (0, _table_white(dataset.ModalityLUTSequence[0]))
    slope, intercept = _rescale(dataset)
    if (slope, intercept) == (1, 0):
        return levels, None
    return levels.astype(np.float32) * np.float32(slope) + np.float32(intercept), None


def _rescale(dataset: Dataset) -> tuple[float, float]:
    """Return slope and intercept; those that make no sense do not count."""
    slope, intercept = _number(dataset, "RescaleSlope", 1), _number(dataset, "RescaleIntercept", 0)
    return (slope, intercept) if slope else (1, 0)


def _voi(dataset: FileDataset, values: NDArray[Any]) -> _Shares | None:
    """Return shares 0..1 after the first VOI LUT or window (C.11.2), None without one that makes sense."""
    if dataset.get("VOILUTSequence"):
        from pydicom.pixels.processing import apply_voi  # noqa: PLC0415

        white = _table_white(dataset.VOILUTSequence[0])
        whole = np.rint(values).astype(np.int32) if values.dtype.kind == "f" else values
        return np.asarray(apply_voi(whole, dataset), np.float32) / np.float32(white)
    centre, width = _number(dataset, "WindowCenter", math.nan), _number(dataset, "WindowWidth", math.nan)
    shape = str(dataset.get("VOILUTFunction") or "LINEAR")
    if not (math.isfinite(centre) and width >= (1 if shape == "LINEAR" else 1e-6)):
        return None
    return _windowed(np.asarray(values, np.float32), centre, width, shape)


def _windowed(values: _Shares, centre: float, width: float, shape: str) -> _Shares:
    """Apply a window: LINEAR (C.11.2.1.2.1), SIGMOID (C.11.2.1.3.1) or LINEAR_EXACT (C.11.2.1.3.2)."""
    if shape == "SIGMOID":
        curve: _Shares = 1 / (1 + np.exp(-4 * (values - np.float32(centre)) / np.float32(width)))
        return curve
    if shape == "LINEAR":
        centre, width = centre - 0.5, max(width - 1, 1e-6)
    shares: _Shares = (values - np.float32(centre)) / np.float32(width) + np.float32(0.5)
    np.clip(shares, 0, 1, out=shares)
    return shares


def _without_window(levels: NDArray[Any], padding: NDArray[np.bool_] | None, layout: Layout) -> StoredRadiograph:
    """Return levels with the range of their bits, or their own where that says little."""
    counted = levels if padding is None else levels[~padding]
    if layout.is_signed:
        low, high = int(counted.min()), int(counted.max())
        unsigned = np.clip(levels.astype(np.int32) - low, 0, high - low).astype(np.uint16)
        return StoredRadiograph(unsigned, 0, max(high - low, 1))
    own = np.array(levels)
    return StoredRadiograph(own, 0, white_level(counted) if layout.stored == 16 else (1 << layout.stored) - 1)


def _padding(dataset: FileDataset, levels: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Return which pixels are padding (C.7.5.1.1.2); None without any, and where it would be all."""
    first = dataset.get("PixelPaddingValue")
    if first is None:
        return None
    last = dataset.get("PixelPaddingRangeLimit", first)
    low, high = sorted((int(first), int(last)))
    padding = (levels >= low) & (levels <= high)
    return padding if padding.any() and not padding.all() else None


def _table_white(table: Dataset) -> float:
    """Return the largest value that the entries of a LUT can have (C.11.1.1.1); files that claim odd bits have 16."""
    bits = int(table.LUTDescriptor[2])
    return float((1 << bits) - 1) if 8 <= bits <= 16 else 65535.0


def _number(dataset: Dataset, name: str, default: float) -> float:
    """Return the first value of an element; the default without one that is a finite number."""
    value: Any = dataset.get(name)
    if value is not None and not isinstance(value, str | int | float) and hasattr(value, "__len__"):
        value = value[0] if len(value) else None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return default
    return number if math.isfinite(number) else default
