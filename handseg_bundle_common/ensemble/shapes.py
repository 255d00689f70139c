"""What the masks of single bones look like: their parts, where these lie, and whether the picture cuts the bone."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.files import open_csv
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.metrics.crops import BoneCrop, bone_crops

Values = NDArray[np.float64]

# Mean areas of the bones in real radiographs.
_REFERENCE = Path(__file__).parents[1] / "simulation" / "reference" / "bones.csv"


@dataclass(frozen=True)
class BoneShape:
    """The mask of one bone; a part is a connected component (8 neighbours). A missing bone has none.

    Attributes:
        areas: pixels of the parts, largest first.
        places: centroids of the parts as x + iy in px.
        middle: medians of the mask's x and y, which stray parts spare, as x + iy in px.
        axis: direction of the largest part's long axis, of length one, as x + iy; 0 for a missing bone.
        spread: standard deviations of the largest part's pixels along and across that axis, in px.
        is_cut: whether the mask reaches the border of the picture.
    """

    areas: tuple[int, ...] = ()
    places: tuple[complex, ...] = ()
    middle: complex = 0
    axis: complex = 0
    spread: tuple[float, float] = (0.0, 0.0)
    is_cut: bool = False

    @property
    def area(self) -> int:
        """Pixels of the mask."""
        return sum(self.areas)

    @property
    def largest_share(self) -> float:
        """Share of the largest part, 0 for a missing bone."""
        return self.areas[0] / self.area if self.areas else 0.0


def bone_shapes(packed: Packed) -> list[BoneShape]:
    """Return the shape of every bone in channel order.

    Args:
        packed: masks (H, W).
    """
    return [_shape(crop, packed.shape) for crop in bone_crops(packed, packed)]


def usual_ratios(shapes: Sequence[BoneShape]) -> Values:
    """Return the area of every bone over that in real posteroanterior radiographs of 2048 px, (29,)."""
    return np.array([shape.area for shape in shapes]) / _usual_areas()


def _shape(crop: BoneCrop, size: tuple[int, ...]) -> BoneShape:
    """Measure a crop with a margin of one pixel in a picture of that size."""
    count, labels = cv2.connectedComponents(crop.prediction, connectivity=8)
    if count == 1:
        return BoneShape()
    corner = complex(crop.offset[1], crop.offset[0])
    if count == 2:  # as nearly all bones are, whose area and middle the moments tell at a sixth of the time
        moments = cv2.moments(crop.prediction, binaryImage=True)
        areas, order = np.array([round(moments["m00"])]), np.zeros(1, np.intp)
        places = np.array([complex(moments["m10"], moments["m01"]) / moments["m00"] + corner])
    else:
        _, labels, statistics, centroids = cv2.connectedComponentsWithStats(crop.prediction, connectivity=8)
        areas = statistics[1:, cv2.CC_STAT_AREA]
        order = np.argsort(-areas, kind="stable")
        places = centroids[1:] @ [1, 1j] + corner
        moments = cv2.moments((labels == 1 + order[0]).astype(np.uint8), binaryImage=True)
    covariance = np.array([[moments["mu20"], moments["mu11"]], [moments["mu11"], moments["mu02"]]]) / moments["m00"]
    (across, along), axes = np.linalg.eigh(covariance)
    outer = zip(crop.offset, crop.prediction.shape, size, strict=True)
    return BoneShape(
        tuple(areas[order].tolist()),
        tuple(places[order].tolist()),
        complex(_median(crop.prediction, 0), _median(crop.prediction, 1)) + corner,
        complex(*axes[:, 1]),
        (float(np.sqrt(along)), float(np.sqrt(max(across, 0)))),
        any(start < 0 or start + length > end for start, length, end in outer),
    )


def _median(mask: NDArray[np.uint8], axis: int) -> float:
    """Return the median of the columns (axis 0) or rows (axis 1) of a mask's pixels, which need not be listed."""
    counts = cv2.reduce(mask, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel()
    below = np.cumsum(counts)
    middle = (below[-1] - 1) // 2, below[-1] // 2
    return float(np.searchsorted(below, middle, side="right").mean())


@cache
def _usual_areas() -> Values:
    """Return the mean areas of the bones in px² of a picture of 2048 px (29,)."""
    with open_csv(_REFERENCE) as file:
        areas = {row["bone"]: float(row["area_px_mean"]) for row in csv.DictReader(file)}
    return np.array([areas[name] for name in BONE_NAMES])
