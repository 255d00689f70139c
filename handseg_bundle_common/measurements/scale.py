"""From px to mm, where the distance of pixels is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from os import PathLike

import nibabel as nib

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.dicom import is_dicom, read_dicom_spacing

# Detectors for hands have pixels of 0.05 to 0.2 mm; pictures may have been shrunk to a tenth of their size.
LEAST_MM, MOST_MM = 0.01, 2.0

# Programs write 1 for a spacing that they do not know.
_PLACEHOLDER = 1.0
# Sides of a square pixel differ by no more than rounding.
_SQUARE = 1e-3


@dataclass(frozen=True)
class Scale:
    """Turns px into the unit of the tables.

    Attributes:
        spacing_mm: distance of pixel centres; None where it is not known, and px stay px.
    """

    spacing_mm: float | None = None

    @property
    def unit(self) -> str:
        """Unit of lengths; areas are in its square."""
        return "px" if self.spacing_mm is None else "mm"

    def length(self, px: float) -> float:
        """Return a length in px in the unit."""
        return px * (self.spacing_mm or 1.0)

    def area(self, px: float) -> float:
        """Return an area in px² in the unit's square."""
        return px * (self.spacing_mm or 1.0) ** 2


def check_spacing(spacing_mm: float) -> float:
    """Return a spacing that pixels of a radiograph can have.

    Raises:
        HandsegInputError: it is no number, not positive or out of range.
    """
    if not (math.isfinite(spacing_mm) and LEAST_MM <= spacing_mm <= MOST_MM):
        remedy = f"give the distance of pixel centres in mm, {LEAST_MM} to {MOST_MM}"
        raise HandsegInputError("spacing_mm", f"{spacing_mm} is not possible for a radiograph", remedy)
    return spacing_mm


def read_spacing(path: str | PathLike[str]) -> float | None:
    """Return the distance of pixel centres in mm that a radiograph's file tells, or None where it cannot be trusted.

    A NIfTI file is believed if its header says that it counts in mm, a DICOM file if it tells a spacing
    (`formats.dicom.read_dicom_spacing`), in either case only of square pixels whose side is neither 1 nor out of range.
    The resolution in PNG, JPEG and TIFF is that of paper or a screen.

    Args:
        path: a radiograph that can be read.
    """
    if is_dicom(path):
        told = read_dicom_spacing(path)
        return told.mm if told and LEAST_MM <= told.mm <= MOST_MM else None
    if not str(path).lower().endswith((".nii", ".nii.gz")):
        return None
    try:
        header = nib.load(path).header
        (first, second), (unit, _) = header.get_zooms()[:2], header.get_xyzt_units()
    except Exception:  # a header that can be read as a radiograph's may still be too odd for a spacing
        return None
    is_square = math.isclose(first, second, rel_tol=_SQUARE)
    is_told = unit == "mm" and is_square and not math.isclose(first, _PLACEHOLDER, rel_tol=_SQUARE)
    return float(first) if is_told and LEAST_MM <= first <= MOST_MM else None
