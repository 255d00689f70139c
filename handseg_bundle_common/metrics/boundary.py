"""Boundary error rate: how often a pixel on the outline of a bone is wrong."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.metrics.crops import BoneCrop, Masks, score_crops
from handseg_bundle_common.metrics.cumulative import CumulativeBoneMetric
from handseg_bundle_common.metrics.empty import BOUNDARY_BAND, EmptyMasks

_SQUARE = np.ones((3, 3), np.uint8)


def boundary_error_rate(
    prediction: Masks, reference: Masks, *, empty: EmptyMasks = BOUNDARY_BAND
) -> NDArray[np.float64]:
    """Return for every bone the share of wrong pixels in the band along its outline.

    The band is the dilation of the reference without its erosion, both with a square of 3 x 3 pixels: one pixel on
    either side of the outline. What lies beyond the picture is background, so that a bone which the border cuts has an
    outline there, but only pixels of the picture are counted. Source of the band: J.-F. Rivest, P. Soille,
    S. Beucher, Morphological gradients, J. Electronic Imaging 2 (1993).

    Args:
        prediction: packed masks (H, W) uint32, or masks (C, H, W), bool or integer.
        reference: masks of the same picture in either form.
        empty: scores where a mask has no pixel; as it stands, a bone without a reference is NaN, and a missed bone has
            the band's inner pixels wrong.

    Returns:
        float64 (C,), 0 to 1.

    Raises:
        ValueError: the numbers of bones or the sizes of the pictures differ.
        TypeError: a mask is floating-point, or 2-D and not packed.
    """
    return score_crops(crop_boundary_error_rate, prediction, reference, empty)


def crop_boundary_error_rate(crop: BoneCrop) -> float:
    """Return the boundary error rate of one bone; NaN without a reference."""
    band = cv2.dilate(crop.reference, _SQUARE) != cv2.erode(crop.reference, _SQUARE)
    band = band[crop.inside]
    wrong = (crop.prediction != crop.reference)[crop.inside] & band
    return np.count_nonzero(wrong) / (np.count_nonzero(band) or np.nan)


class BoundaryErrorRate(CumulativeBoneMetric):
    """Cumulative form of `boundary_error_rate`.

    Args:
        empty: scores where a mask has no pixel; as it stands, a bone without a reference is left out.
    """

    def __init__(self, empty: EmptyMasks = BOUNDARY_BAND) -> None:
        super().__init__(partial(boundary_error_rate, empty=empty))
