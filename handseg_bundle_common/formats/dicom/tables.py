"""Tables of grey levels in DICOM files (PS3.3, C.11.1 and C.11.2).

pydicom applies them too, but wraps levels above the range of the entries, and knows no entries of 12 bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.formats.stored import white_level

if TYPE_CHECKING:
    from pydicom import Dataset

# Values of 16 bits without a sign that may have been meant with one.
_HALF = 1 << 15


def look_up(values: NDArray[Any], table: Dataset) -> tuple[NDArray[np.uint16], int]:
    """Return the entries of a table for values (H, W), and the largest entry that its bits allow.

    Values below the first of the table have its first entry, those beyond its last one the last. Fractions are rounded.

    Raises:
        ValueError: the table has fewer entries than it says, or none.
        Exception: an element of it is missing or broken.
    """
    count, first, bits = (int(number) for number in table.LUTDescriptor)
    # Some files tell these as numbers with a sign, or the first level without.
    count = count % (1 << 16) or 1 << 16
    if first >= _HALF and values.min() < 0:
        first -= 1 << 16
    entries = _entries(table, count, bits)
    if len(entries) < count:
        raise ValueError(f"a table has {len(entries)} of {count} entries")
    whole = np.rint(values) if values.dtype.kind == "f" else values
    places = np.clip(whole, first, first + count - 1).astype(np.int64) - first
    told = (1 << bits) - 1 if 1 <= bits <= 16 else 0
    white = told if entries.max() <= told else white_level(entries)
    return entries[places], white


def _entries(table: Dataset, count: int, bits: int) -> NDArray[np.uint16]:
    """Return the entries, which stand as numbers, as words or, of up to 8 bits, as bytes."""
    data = table.LUTData
    if not isinstance(data, bytes):
        return np.atleast_1d(np.asarray(data, np.int64) % (1 << 16)).astype(np.uint16)[:count]
    if bits <= 8 and len(data) in (count, count + 1):
        return np.frombuffer(data, np.uint8)[:count].astype(np.uint16)
    is_big = table.original_encoding[1] is False
    return np.frombuffer(data[: len(data) // 2 * 2], ">u2" if is_big else "<u2").astype(np.uint16)[:count]
