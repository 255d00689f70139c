"""Measures of single bones: size, outline, direction and brightness."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.measurements.frame import HandFrame
from handseg_bundle_common.measurements.marks import Line
from handseg_bundle_common.measurements.regions import BoneRegion


@dataclass(frozen=True)
class BoneMeasures:
    """Measures of the largest part of a bone's mask, in px; NaN where a measure cannot be taken.

    A bone that the border of the picture cuts has no true length, width, area or perimeter; direction and brightness
    are those of what is seen.

    Attributes:
        length: extent along the long axis, which is that of the smallest moment of inertia (Feret diameter).
        width: extent at right angles to it.
        area: px².
        orientation: angle of the long axis to the third metacarpal's in degrees, see `HandFrame.orientation`.
        perimeter: see `perimeter`.
        mean_intensity: mean of the radiograph over the bone, 0..1.
        is_cut: whether the bone reaches the border of the picture.
        calipers: length and width as lines, each through the middle of the other; none where the bone is cut.
    """

    length: float
    width: float
    area: float
    orientation: float
    perimeter: float
    mean_intensity: float
    is_cut: bool
    calipers: tuple[Line, ...]


def measure_bone(region: BoneRegion, radiograph: NDArray[np.floating[Any]], frame: HandFrame | None) -> BoneMeasures:
    """Measure one bone.

    Args:
        region: the largest part of its mask.
        radiograph: (H, W), 0..1, bone bright.
        frame: the hand's directions; without them there is no orientation.
    """
    whole = not region.is_cut
    calipers = _calipers(region) if whole else ()
    length, width = (abs(end - start) for start, end in calipers) if whole else (math.nan, math.nan)
    rows, columns = region.pixels.imag.astype(np.intp), region.pixels.real.astype(np.intp)
    return BoneMeasures(
        length=length,
        width=width,
        area=float(region.area) if whole else math.nan,
        orientation=math.nan if frame is None else frame.orientation(region),
        perimeter=perimeter(region.mask) if whole else math.nan,
        mean_intensity=float(radiograph[rows, columns].mean(dtype=np.float64)),
        is_cut=region.is_cut,
        calipers=calipers,
    )


def perimeter(mask: NDArray[np.uint8]) -> float:
    """Return the length of a mask's outline, holes included, in px.

    By Crofton's formula: in four directions, at 45 degrees to each other, the lines through pixel centres are counted
    each time they enter or leave the mask, and pi / 8 times the sum of counts times distances of the lines is the
    length (Legland, Kiêu & Devaux, Computation of Minkowski measures on 2D and 3D binary images, Image Analysis &
    Stereology 26:83, 2007). Straight outlines along rows or columns come out 5 % short, those at 22.5 degrees 3 % long.

    Args:
        mask: (h, w), 0 or 1, with background on all sides.
    """
    straight = np.count_nonzero(mask[1:] != mask[:-1]) + np.count_nonzero(mask[:, 1:] != mask[:, :-1])
    oblique = np.count_nonzero(mask[1:, 1:] != mask[:-1, :-1]) + np.count_nonzero(mask[1:, :-1] != mask[:-1, 1:])
    return math.pi / 8 * (straight + oblique / math.sqrt(2))


def _calipers(region: BoneRegion) -> tuple[Line, Line]:
    """Return length and width, each through the middle of the other."""
    along, across = region.axis, 1j * region.axis
    (start, end), (left, right) = region.extent(along), region.extent(across)
    middle = (start + end) / 2 * along + (left + right) / 2 * across
    half, side = (end - start) / 2 * along, (right - left) / 2 * across
    return (middle - half, middle + half), (middle - side, middle + side)
