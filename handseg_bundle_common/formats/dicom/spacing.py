"""Distance of pixel centres that a DICOM radiograph tells, and how far it can be trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from os import PathLike
from typing import TYPE_CHECKING, Any

from handseg_bundle_common.formats.dicom.files import read_header, reading

if TYPE_CHECKING:
    from pydicom import Dataset

# Sides of a square pixel differ by no more than rounding; calibrated spacing differs from the detector's by more.
_SQUARE = 1e-3
# Programs write 1 for a spacing that they do not know.
_PLACEHOLDER = 1.0


class Plane(StrEnum):
    """Where a spacing holds."""

    OBJECT = "object"
    DETECTOR = "detector"
    UNSTATED = "unstated"


@dataclass(frozen=True)
class Spacing:
    """Distance of pixel centres of a radiograph.

    Attributes:
        mm: the distance.
        plane: `object` when it was calibrated by something of known size or by the geometry, `detector` when bones are
            cast larger than they are, `unstated` when the file leaves it open.
        magnification: source-to-detector over source-to-object distance as the file estimates it, 1 or more; None
            where it says nothing. It is told, not applied.
    """

    mm: float
    plane: Plane
    magnification: float | None = None

    @property
    def sentence(self) -> str:
        """What the spacing is worth, in words."""
        words = {
            Plane.OBJECT: "calibrated at the bones",
            Plane.DETECTOR: "at the detector, so bones come out larger than they are",
            Plane.UNSTATED: "the file does not say whether at the bones or at the detector",
        }
        factor = f"; estimated magnification {self.magnification:g}" if self.magnification else ""
        return f"{self.mm:g} mm, {words[self.plane]}{factor}"


def read_dicom_spacing(path: str | PathLike[str]) -> Spacing | None:
    """Return the spacing of a DICOM radiograph, None where it tells none that a square pixel can have.

    Raises:
        HandsegInputError: the file cannot be read.
    """
    header = read_header(path)
    with reading(path):
        return spacing_of(header)


def spacing_of(dataset: Dataset) -> Spacing | None:
    """Return the spacing that a data set tells (PS3.3, 10.7.1.3).

    Pixel Spacing of which Pixel Spacing Calibration Type is GEOMETRY or FIDUCIAL holds at the object. Otherwise Imager
    Pixel Spacing holds at the detector, whatever Pixel Spacing says. Pixel Spacing, or else Nominal Scanned Pixel
    Spacing, alone leaves it open.
    """
    pixel, imager = _square(dataset, "PixelSpacing"), _square(dataset, "ImagerPixelSpacing")
    scanned = _square(dataset, "NominalScannedPixelSpacing")
    magnification = _magnification(dataset)
    if pixel and dataset.get("PixelSpacingCalibrationType") in ("GEOMETRY", "FIDUCIAL"):
        return Spacing(pixel, Plane.OBJECT, magnification)
    if imager:
        return Spacing(imager, Plane.DETECTOR, magnification)
    alone = pixel or scanned
    return Spacing(alone, Plane.UNSTATED, magnification) if alone else None


def _square(dataset: Dataset, name: str) -> float | None:
    """Return the side of a square pixel in mm."""
    try:
        rows, columns = (float(side) for side in dataset.get(name) or ())
    except (TypeError, ValueError):
        return None
    is_told = math.isfinite(rows) and rows > 0 and math.isclose(rows, columns, rel_tol=_SQUARE)
    return rows if is_told and not math.isclose(rows, _PLACEHOLDER, rel_tol=_SQUARE) else None


def _magnification(dataset: Dataset) -> float | None:
    value: Any = dataset.get("EstimatedRadiographicMagnificationFactor")
    try:
        factor = float(value)
    except (TypeError, ValueError):
        return None
    return factor if math.isfinite(factor) and factor >= 1 else None
