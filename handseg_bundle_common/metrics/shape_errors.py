"""What is wrong with a bone's shape: area too much and too little, fragments, holes."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.metrics.crops import BoneCrop, Crop, Masks, bone_crops
from handseg_bundle_common.metrics.surface import Spacing, checked_spacing


@dataclass(frozen=True, eq=False)
class ShapeErrors:
    """Errors of one image, one value a bone in channel order, float64 (C,); NaN where an error is not defined.

    A component is 8-connected, the background around it 4-connected, so that no outline crosses itself (A. Rosenfeld,
    Connectivity in digital pictures, J. ACM 17 (1970)). What lies beyond the picture is background.

    Attributes:
        false_positive_px: pixels of the prediction outside the reference.
        false_negative_px: pixels of the reference that the prediction misses.
        false_positive_mm2: the same as `false_positive_px` in mm2; NaN without a spacing.
        false_negative_mm2: the same as `false_negative_px` in mm2; NaN without a spacing.
        relative_size_error: (predicted - reference area) / reference area, -1 for a missed bone; NaN without a
            reference.
        extra_components: components of the prediction beyond the number of the reference's, never below 0; without a
            reference, all of them.
        fragment_share: share of the prediction's area outside its largest component; NaN without a prediction.
        extra_holes: holes of the prediction that have no pixel in common with a hole of the reference. A hole is a
            region of background that the mask encloses, be it within the reference or beside it.
        extra_hole_px: pixels of those holes.
    """

    false_positive_px: NDArray[np.float64]
    false_negative_px: NDArray[np.float64]
    false_positive_mm2: NDArray[np.float64]
    false_negative_mm2: NDArray[np.float64]
    relative_size_error: NDArray[np.float64]
    extra_components: NDArray[np.float64]
    fragment_share: NDArray[np.float64]
    extra_holes: NDArray[np.float64]
    extra_hole_px: NDArray[np.float64]


def shape_errors(prediction: Masks, reference: Masks, spacing_mm: Spacing | None = None) -> ShapeErrors:
    """Return the errors of every bone's shape.

    Args:
        prediction: packed masks (H, W) uint32, or masks (C, H, W), bool or integer.
        reference: masks of the same picture in either form.
        spacing_mm: (row, column) or both in one number, for areas in mm2.

    Raises:
        ValueError: the numbers of bones or the sizes of the pictures differ, or a spacing is not positive.
        TypeError: a mask is floating-point, or 2-D and not packed.
    """
    bones = [crop_shape_errors(crop, spacing_mm) for crop in bone_crops(prediction, reference)]
    return ShapeErrors(**{name: np.array([bone[name] for bone in bones], np.float64) for name in bones[0]})


def crop_shape_errors(crop: BoneCrop, spacing_mm: Spacing | None = None) -> dict[str, float]:
    """Return the errors of one bone's shape by their names in `ShapeErrors`.

    Args:
        crop: the bone, with a margin of 1 px or more.
        spacing_mm: (row, column) or both in one number, for areas in mm2.

    Raises:
        ValueError: a spacing is not a positive number.
    """
    pixel_mm2 = _pixel_area(spacing_mm)
    too_much = np.count_nonzero(crop.prediction > crop.reference)
    too_little = np.count_nonzero(crop.prediction < crop.reference)
    components, expected = _component_areas(crop.prediction), _component_areas(crop.reference)
    holes = _extra_hole_areas(crop)
    return {
        "false_positive_px": too_much,
        "false_negative_px": too_little,
        "false_positive_mm2": too_much * pixel_mm2,
        "false_negative_mm2": too_little * pixel_mm2,
        "relative_size_error": (too_much - too_little) / (expected.sum() or np.nan),
        "extra_components": max(len(components) - len(expected), 0),
        "fragment_share": 1 - components.max(initial=0) / (components.sum() or np.nan),
        "extra_holes": len(holes),
        "extra_hole_px": holes.sum(),
    }


def _pixel_area(spacing_mm: Spacing | None) -> float:
    """Return the area of a pixel in mm2; NaN without a spacing."""
    if spacing_mm is None:
        return np.nan
    row, column = checked_spacing(spacing_mm)
    return row * column


def _component_areas(mask: Crop) -> NDArray[np.intp]:
    """Return the area of every 8-connected component."""
    return _labelled(mask, 8)[1][1:]


def _extra_hole_areas(crop: BoneCrop) -> NDArray[np.intp]:
    """Return the areas of the prediction's holes that have no pixel in common with one of the reference's."""
    regions, areas = _labelled(1 - crop.prediction, 4)
    extra = np.ones(len(areas), bool)
    # Region 0 is the mask itself; the crop's corner lies outside it.
    extra[[0, regions[0, 0]]] = False
    if extra.any():
        extra[regions[_holes(crop.reference)]] = False
    return areas[extra]


def _holes(mask: Crop) -> NDArray[np.bool_]:
    """Return the background that the mask encloses."""
    regions, _ = _labelled(1 - mask, 4)
    return np.asarray((regions != 0) & (regions != regions[0, 0]))


def _labelled(mask: Crop, connectivity: int) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    """Return the number of every pixel's component, 0 for the rest, and the areas of the rest and every component."""
    # Less than half the time of OpenCV's own statistics.
    count, labels = cv2.connectedComponents(mask, connectivity=connectivity)
    return np.asarray(labels, np.int32), np.bincount(labels.ravel(), minlength=count)
