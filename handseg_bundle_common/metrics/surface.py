"""Distances between the outlines of overlapping masks: surface Dice, Hausdorff distance, mean surface distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from handseg_bundle_common.metrics.crops import BoneCrop, Crop, Masks, score_crops
from handseg_bundle_common.metrics.cumulative import CumulativeBoneMetric
from handseg_bundle_common.metrics.empty import SURFACE_DICE, SURFACE_DISTANCE, EmptyMasks

TOLERANCES_PX = (1.0, 2.0, 4.0)

Spacing = float | tuple[float, float]

_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
# Products with a spacing are rounded; a distance equal to the tolerance lies within it.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """Distances from every surface pixel of one mask to the nearest of the other; infinite where that has none.

    Attributes:
        to_reference: from the prediction's surface, float64 (pixels of the prediction's surface,).
        to_prediction: from the reference's surface, float64 (pixels of the reference's surface,).
    """

    to_reference: NDArray[np.float64]
    to_prediction: NDArray[np.float64]

    def dice(self, tolerance: float | Sequence[float]) -> NDArray[np.float64]:
        """Return the share of both surfaces' pixels within each tolerance, in its shape; NaN where there is none."""
        distances = self._both
        within = distances <= np.asarray(tolerance, np.float64)[..., None] + _ROUNDING
        return np.asarray(np.count_nonzero(within, -1) / (len(distances) or np.nan), np.float64)

    def hausdorff(self, percentile: float = 95) -> float:
        """Return the larger of both directions' percentiles; NaN where a mask is empty."""
        if not self._defined:
            return np.nan
        return float(max(np.percentile(distances, percentile) for distances in (self.to_reference, self.to_prediction)))

    def mean(self) -> float:
        """Return the mean over the surface pixels of both masks; NaN where a mask is empty."""
        return float(self._both.mean()) if self._defined else np.nan

    @property
    def _both(self) -> NDArray[np.float64]:
        return np.concatenate((self.to_reference, self.to_prediction))

    @property
    def _defined(self) -> bool:
        return bool(len(self.to_reference) and len(self.to_prediction))


def checked_spacing(spacing_mm: Spacing) -> tuple[float, float]:
    """Return the spacing of rows and columns in mm.

    Raises:
        ValueError: one of them is not a positive number.
    """
    row, column = np.broadcast_to(np.asarray(spacing_mm, np.float64), 2).tolist()
    if not (0 < row < np.inf and 0 < column < np.inf):
        raise ValueError(f"spacing_mm must be positive, not {spacing_mm}")
    return row, column


def crop_surface_distances(crop: BoneCrop, spacing_mm: Spacing | None = None) -> SurfaceDistances:
    """Return the distances between the surfaces of one bone's masks, in px, or in mm with a spacing.

    The surface of a mask are its pixels that an erosion with a cross of 3 x 3 pixels removes. What lies beyond the
    picture is background, so that a bone which the border cuts has a surface there.

    Args:
        crop: the bone, with a margin of 1 px or more.
        spacing_mm: (row, column) or both in one number.

    Raises:
        ValueError: a spacing is not a positive number.
    """
    scale = np.array(checked_spacing(1.0 if spacing_mm is None else spacing_mm))
    predicted, expected = (_surface(mask) * scale for mask in (crop.prediction, crop.reference))
    return SurfaceDistances(_nearest(predicted, expected), _nearest(expected, predicted))


def _surface(mask: Crop) -> NDArray[np.intp]:
    """Return the rows and columns of surface pixels, (n, 2)."""
    return np.argwhere(mask != cv2.erode(mask, _CROSS))


def _nearest(points: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance from every point to the nearest of the others; infinite if there is none."""
    return np.asarray(cKDTree(others, leafsize=32).query(points)[0], np.float64)


def surface_dice(
    prediction: Masks,
    reference: Masks,
    tolerance: float | Sequence[float] = TOLERANCES_PX,
    *,
    spacing_mm: Spacing | None = None,
    empty: EmptyMasks = SURFACE_DICE,
) -> NDArray[np.float64]:
    """Return the normalised surface Dice of every bone: the share of both surfaces within a tolerance of the other.

    Source: S. Nikolov et al., Deep learning to achieve clinically applicable segmentation of head and neck anatomy,
    arXiv:1809.04430, with surfaces counted in pixels as MONAI's `compute_surface_dice` does.

    Args:
        prediction: packed masks (H, W) uint32, or masks (C, H, W), bool or integer.
        reference: masks of the same picture in either form.
        tolerance: one or several, in px, or in mm with a spacing.
        spacing_mm: (row, column) or both in one number.
        empty: scores where a mask has no pixel; as it stands, NaN where both are empty and 0 where one is.

    Returns:
        float64 (C,), or (tolerances, C) of several; 0 to 1.

    Raises:
        ValueError: the numbers of bones or the sizes of the pictures differ, or a spacing is not positive.
        TypeError: a mask is floating-point, or 2-D and not packed.
    """

    def score(crop: BoneCrop) -> NDArray[np.float64]:
        return crop_surface_distances(crop, spacing_mm).dice(tolerance)

    return score_crops(score, prediction, reference, empty)


def hausdorff_distance(
    prediction: Masks,
    reference: Masks,
    percentile: float = 95,
    *,
    spacing_mm: Spacing | None = None,
    empty: EmptyMasks = SURFACE_DISTANCE,
) -> NDArray[np.float64]:
    """Return the 95 % Hausdorff distance of every bone: the larger of both directions' percentiles.

    Source: D. P. Huttenlocher et al., Comparing images using the Hausdorff distance, IEEE PAMI 15 (1993), for ranked
    distances; the percentile is interpolated linearly as in MONAI's `compute_hausdorff_distance`.

    Args:
        prediction: packed masks (H, W) uint32, or masks (C, H, W), bool or integer.
        reference: masks of the same picture in either form.
        percentile: 0 to 100, which gives the Hausdorff distance itself.
        spacing_mm: (row, column) or both in one number.
        empty: scores where a mask has no pixel; NaN as it stands.

    Returns:
        float64 (C,), in px, or in mm with a spacing.

    Raises:
        ValueError: the numbers of bones or the sizes of the pictures differ, or a spacing is not positive.
        TypeError: a mask is floating-point, or 2-D and not packed.
    """

    def score(crop: BoneCrop) -> float:
        return crop_surface_distances(crop, spacing_mm).hausdorff(percentile)

    return score_crops(score, prediction, reference, empty)


def mean_surface_distance(
    prediction: Masks,
    reference: Masks,
    *,
    spacing_mm: Spacing | None = None,
    empty: EmptyMasks = SURFACE_DISTANCE,
) -> NDArray[np.float64]:
    """Return the average symmetric surface distance of every bone: the mean over the surface pixels of both masks.

    Source: T. Heimann et al., Comparison and evaluation of methods for liver segmentation from CT datasets,
    IEEE TMI 28 (2009); as MONAI's `compute_average_surface_distance(symmetric=True)`.

    Args:
        prediction: packed masks (H, W) uint32, or masks (C, H, W), bool or integer.
        reference: masks of the same picture in either form.
        spacing_mm: (row, column) or both in one number.
        empty: scores where a mask has no pixel; NaN as it stands.

    Returns:
        float64 (C,), in px, or in mm with a spacing.

    Raises:
        ValueError: the numbers of bones or the sizes of the pictures differ, or a spacing is not positive.
        TypeError: a mask is floating-point, or 2-D and not packed.
    """

    def score(crop: BoneCrop) -> float:
        return crop_surface_distances(crop, spacing_mm).mean()

    return score_crops(score, prediction, reference, empty)


class SurfaceDice(CumulativeBoneMetric):
    """Cumulative form of `surface_dice` at one tolerance.

    Args:
        tolerance: in px, or in mm with a spacing.
        spacing_mm: of every image, (row, column) or both in one number.
        empty: scores where a mask has no pixel; as it stands, left out where both are empty and 0 where one is.
    """

    def __init__(
        self, tolerance: float = 2.0, spacing_mm: Spacing | None = None, empty: EmptyMasks = SURFACE_DICE
    ) -> None:
        super().__init__(partial(surface_dice, tolerance=tolerance, spacing_mm=spacing_mm, empty=empty))


class HausdorffDistance95(CumulativeBoneMetric):
    """Cumulative form of `hausdorff_distance` at its 95th percentile.

    Args:
        spacing_mm: of every image, (row, column) or both in one number.
        empty: scores where a mask has no pixel; left out as it stands.
    """

    def __init__(self, spacing_mm: Spacing | None = None, empty: EmptyMasks = SURFACE_DISTANCE) -> None:
        super().__init__(partial(hausdorff_distance, spacing_mm=spacing_mm, empty=empty))


class MeanSurfaceDistance(CumulativeBoneMetric):
    """Cumulative form of `mean_surface_distance`.

    Args:
        spacing_mm: of every image, (row, column) or both in one number.
        empty: scores where a mask has no pixel; left out as it stands.
    """

    def __init__(self, spacing_mm: Spacing | None = None, empty: EmptyMasks = SURFACE_DISTANCE) -> None:
        super().__init__(partial(mean_surface_distance, spacing_mm=spacing_mm, empty=empty))
