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
from handseg_bundle_common.formats.dicom.files import read_header, read_whole, reading, sensible
from handseg_bundle_common.formats.dicom.header import Layout, check_radiograph
from handseg_bundle_common.formats.dicom.tables import look_up
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
    that pixels keep their place. Of these, what makes no sense or leaves a flat picture is left out with a warning.

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
        padding = sensible(path, "pixel padding value", lambda: _padding(dataset, levels, layout))
        radiograph = _displayed(path, dataset, levels, padding, layout)
        if layout.is_inverted:
            radiograph = radiograph.turned()
        if padding is not None:
            radiograph.levels[padding] = radiograph.black
        return radiograph


def _displayed(
    path: str | PathLike[str],
    dataset: FileDataset,
    levels: NDArray[Any],
    padding: NDArray[np.bool_] | None,
    layout: Layout,
) -> StoredRadiograph:
    """Return levels with their black and white, the smallest being black."""
    table = sensible(path, "modality LUT", lambda: _table(levels, dataset, "ModalityLUTSequence"))
    rescaled = None if table else sensible(path, "rescale slope or intercept", lambda: _rescaled(dataset, levels))
    values, falls = (table[0], False) if table else rescaled or (levels, False)
    shares = sensible(path, "VOI LUT", lambda: _voi_table(dataset, values))
    if shares is None:
        shares = sensible(path, "window", lambda: _window(dataset, values))
    if shares is not None:
        return StoredRadiograph(shares, 0, 1)
    if table is not None:
        return StoredRadiograph(table[0].astype(np.float32) / np.float32(table[1]), 0, 1)
    radiograph = _without_window(levels, padding, layout)
    return radiograph.turned() if falls else radiograph


def _table(values: NDArray[Any], dataset: Dataset, name: str) -> tuple[NDArray[np.uint16], int] | None:
    """Return what the first table of a sequence makes of values, and its white; None without a table.

    Raises:
        ValueError: nothing is left to see.
        Exception: the table is broken.
    """
    tables = dataset.get(name)
    if not tables:
        return None
    found, white = look_up(values, tables[0])
    _check_contrast(found, values)
    return found, white


def _rescaled(dataset: Dataset, levels: NDArray[Any]) -> tuple[NDArray[Any], bool]:
    """Return levels after slope and intercept (C.11.1.1.2), and whether they fall where the stored ones rise."""
    slope, intercept = _number(dataset, "RescaleSlope"), _number(dataset, "RescaleIntercept") or 0
    if slope in (None, 1) and intercept == 0:
        return levels, False
    slope = 1 if slope is None else slope
    values = levels.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    _check_contrast(values, levels)
    return values, slope < 0


def _voi_table(dataset: Dataset, values: NDArray[Any]) -> _Shares | None:
    """Return shares 0..1 after the first VOI LUT (C.11.2.1.1)."""
    found = _table(values, dataset, "VOILUTSequence")
    return None if found is None else found[0].astype(np.float32) / np.float32(found[1])


def _window(dataset: Dataset, values: NDArray[Any]) -> _Shares | None:
    """Return shares 0..1 after the first window (C.11.2.1.2)."""
    centre, width = _number(dataset, "WindowCenter"), _number(dataset, "WindowWidth")
    if centre is None and width is None:
        return None
    shape = str(dataset.get("VOILUTFunction") or "").strip().upper()
    shape = shape if shape in ("LINEAR_EXACT", "SIGMOID") else "LINEAR"
    if centre is None or width is None or width < (1 if shape == "LINEAR" else 1e-6):
        raise ValueError("a window has a centre and a width")
    shares = _windowed(np.asarray(values, np.float32), centre, width, shape)
    _check_contrast(shares, values)
    return shares


def _check_contrast(shown: NDArray[Any], values: NDArray[Any]) -> None:
    """Refuse to show a flat picture of levels that are not.

    Raises:
        ValueError: it is flat, or holds what is no number.
    """
    is_shown = np.isfinite(shown.min()) and shown.min() < shown.max() < math.inf
    if not is_shown and values.min() < values.max():
        raise ValueError("nothing is left to see")


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


def _padding(dataset: FileDataset, levels: NDArray[Any], layout: Layout) -> NDArray[np.bool_] | None:
    """Return which pixels are padding (C.7.5.1.1.2), None without any.

    Raises:
        ValueError: all are.
    """
    first = _number(dataset, "PixelPaddingValue")
    if first is None:
        return None
    last = _number(dataset, "PixelPaddingRangeLimit")
    # Some files tell levels below zero as numbers without a sign.
    above = 1 << layout.allocated if layout.is_signed else math.inf
    ends = [end - above if end >= above / 2 else end for end in (first, first if last is None else last)]
    padding = (levels >= min(ends)) & (levels <= max(ends))
    if padding.all() and levels.min() < levels.max():
        raise ValueError("all pixels are padding")
    return padding if padding.any() and not padding.all() else None


def _number(dataset: Dataset, name: str) -> float | None:
    """Return the first value of an element, None without one.

    Raises:
        ValueError: it is no finite number.
        Exception: its bytes are broken.
    """
    value: Any = dataset.get(name)
    if value is not None and not isinstance(value, str | int | float) and hasattr(value, "__len__"):
        value = value[0] if len(value) else None
    if value in (None, ""):
        return None
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{name} is no number")
    return number
