"""Every score of one image, bone by bone, in one pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from handseg_bundle_common.metrics.boundary import crop_boundary_error_rate
from handseg_bundle_common.metrics.crops import BoneCrop, Masks, bone_crops
from handseg_bundle_common.metrics.dice import dice
from handseg_bundle_common.metrics.empty import BOUNDARY_BAND, SURFACE_DICE, SURFACE_DISTANCE
from handseg_bundle_common.metrics.shape_errors import ShapeErrors, crop_shape_errors
from handseg_bundle_common.metrics.surface import TOLERANCES_PX, Spacing, crop_surface_distances

_RULES = {
    "boundary_error_rate": BOUNDARY_BAND,
    "nsd_1px": SURFACE_DICE,
    "nsd_2px": SURFACE_DICE,
    "nsd_4px": SURFACE_DICE,
    "hd95_px": SURFACE_DISTANCE,
    "mean_surface_distance_px": SURFACE_DISTANCE,
    "hd95_mm": SURFACE_DISTANCE,
    "mean_surface_distance_mm": SURFACE_DISTANCE,
}


@dataclass(frozen=True, eq=False)
class CaseScores(ShapeErrors):
    """Scores of one image, one value a bone in channel order, float64 (C,); NaN where a score is not defined.

    Attributes (beyond those of `ShapeErrors`):
        predicted_px: pixels of the prediction.
        reference_px: pixels of the reference.
        dice: as `dice`.
        boundary_error_rate: as `boundary_error_rate`.
        nsd_1px: `surface_dice` with a tolerance of 1 px.
        nsd_2px: `surface_dice` with a tolerance of 2 px.
        nsd_4px: `surface_dice` with a tolerance of 4 px.
        hd95_px: `hausdorff_distance` at its 95th percentile.
        mean_surface_distance_px: as `mean_surface_distance`.
        hd95_mm: the same as `hd95_px` in mm; NaN without a spacing.
        mean_surface_distance_mm: the same as `mean_surface_distance_px` in mm; NaN without a spacing.
    """

    predicted_px: NDArray[np.float64]
    reference_px: NDArray[np.float64]
    dice: NDArray[np.float64]
    boundary_error_rate: NDArray[np.float64]
    nsd_1px: NDArray[np.float64]
    nsd_2px: NDArray[np.float64]
    nsd_4px: NDArray[np.float64]
    hd95_px: NDArray[np.float64]
    mean_surface_distance_px: NDArray[np.float64]
    hd95_mm: NDArray[np.float64]
    mean_surface_distance_mm: NDArray[np.float64]


def case_scores(prediction: Masks, reference: Masks, spacing_mm: Spacing | None = None) -> CaseScores:
    """Return every score of one image; each is what the function of its name returns as it stands.

    Args:
        prediction: packed masks (H, W) uint32, or masks (C, H, W), bool or integer; packed is fastest.
        reference: masks of the same picture in either form.
        spacing_mm: (row, column) or both in one number, for the columns in mm; the others are in px regardless.

    Raises:
        ValueError: the numbers of bones or the sizes of the pictures differ, or a spacing is not positive.
        TypeError: a mask is floating-point, or 2-D and not packed.
    """
    bones = [_bone_scores(crop, spacing_mm) for crop in bone_crops(prediction, reference)]
    columns = {name: torch.tensor([bone[name] for bone in bones], dtype=torch.float64) for name in bones[0]}
    sizes = columns["predicted_px"], columns["reference_px"]
    columns |= {name: rule.apply(columns[name], *sizes) for name, rule in _RULES.items()}
    return CaseScores(**{name: scores.numpy() for name, scores in columns.items()})


def _bone_scores(crop: BoneCrop, spacing_mm: Spacing | None) -> dict[str, float]:
    """Return one bone's scores by column."""
    masks = (torch.from_numpy(mask[None]) for mask in (crop.prediction, crop.reference))
    in_px = crop_surface_distances(crop)
    in_mm = None if spacing_mm is None else crop_surface_distances(crop, spacing_mm)
    nsd_1px, nsd_2px, nsd_4px = in_px.dice(TOLERANCES_PX)
    return {
        "predicted_px": np.count_nonzero(crop.prediction),
        "reference_px": np.count_nonzero(crop.reference),
        "dice": dice(*masks).item(),
        "boundary_error_rate": crop_boundary_error_rate(crop),
        "nsd_1px": nsd_1px,
        "nsd_2px": nsd_2px,
        "nsd_4px": nsd_4px,
        "hd95_px": in_px.hausdorff(),
        "mean_surface_distance_px": in_px.mean(),
        "hd95_mm": in_mm.hausdorff() if in_mm else np.nan,
        "mean_surface_distance_mm": in_mm.mean() if in_mm else np.nan,
        **crop_shape_errors(crop, spacing_mm),
    }
