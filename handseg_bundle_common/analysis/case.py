"""Everything that is known about one analysed image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from handseg_bundle_common.analysis.detection import find_faults
from handseg_bundle_common.analysis.faults import Fault
from handseg_bundle_common.anatomy import BONE_NAMES, BONES, CHANNEL, SMALL_BONES
from handseg_bundle_common.masks import Packed, unpack_masks
from handseg_bundle_common.metrics import (
    CaseScores,
    Confusion,
    case_scores,
    multi_label_confusion,
    overlap_zone_dice,
    pair_overlap_dice,
)

# Dice from which on a fault is worth naming as the reason of a bad image.
TELLING = 0.005
SMALL_CHANNELS = [CHANNEL[name] for name in SMALL_BONES]


@dataclass(frozen=True, eq=False)
class Case:
    """One image: scores, confusion and faults.

    Attributes:
        image_name: its name in the predictions.
        patient: whose hand it is.
        height: rows of the radiograph.
        width: columns of the radiograph.
        wrist_angle: `datasets.wrist.wrist_angle` in degrees, NaN where it is not known.
        scores: `metrics.case_scores`.
        overlap_dice: `metrics.overlap_zone_dice`, (29,).
        pair_dice: `metrics.pair_overlap_dice`, (pairs,).
        confusion: `metrics.multi_label_confusion`.
        faults: what went wrong, worst first.
    """

    image_name: str
    patient: str
    height: int
    width: int
    wrist_angle: float
    scores: CaseScores
    overlap_dice: NDArray[np.float64]
    pair_dice: NDArray[np.float64]
    confusion: Confusion
    faults: tuple[Fault, ...]

    @property
    def mean_dice(self) -> float:
        """Mean Dice of all bones, as the competition defines it."""
        return mean_of(self.scores.dice)

    @property
    def small_dice(self) -> float:
        """Mean Dice of `anatomy.SMALL_BONES`."""
        return mean_of(self.scores.dice[SMALL_CHANNELS])

    @property
    def mean_overlap_dice(self) -> float:
        """Mean overlap-zone Dice of the bones that reach into the zone; NaN where no bones overlap."""
        return mean_of(self.overlap_dice)

    @property
    def worst_bone(self) -> str:
        """Name of the bone with the lowest Dice."""
        return BONE_NAMES[int(np.nanargmin(self.scores.dice))]

    @property
    def costliest_fault(self) -> Fault | None:
        """The fault that costs most, if it costs `TELLING` or more."""
        return next((fault for fault in self.faults[:1] if fault.severity >= TELLING), None)

    @property
    def reason(self) -> str:
        """Why the image is bad: the worst bone with its Dice, and the costliest fault; empty for a perfect one."""
        channel = CHANNEL[self.worst_bone]
        if self.scores.dice[channel] >= 1:
            return ""
        worst = f"Lowest Dice: {BONES[channel].anatomical_name} {self.scores.dice[channel]:.3f}."
        return worst if self.costliest_fault is None else f"{worst} {self.costliest_fault.text}"

    @property
    def faults_text(self) -> str:
        """All faults as sentences; empty without any."""
        return " ".join(fault.text for fault in self.faults)


def mean_of(values: NDArray[np.float64]) -> float:
    """Return the mean without NaN; NaN where nothing is left."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else np.nan


def analyse_case(
    image_name: str, patient: str, prediction: Packed, reference: Packed, wrist_angle: float | None
) -> Case:
    """Return all that is to know about one image.

    Args:
        image_name: its name in the predictions.
        patient: whose hand it is.
        prediction: packed masks (H, W).
        reference: packed masks of the same size.
        wrist_angle: in degrees, or None.
    """
    scores = case_scores(prediction, reference)
    return Case(
        image_name=image_name,
        patient=patient,
        height=reference.shape[0],
        width=reference.shape[1],
        wrist_angle=np.nan if wrist_angle is None else wrist_angle,
        scores=scores,
        overlap_dice=_overlap_dice(prediction, reference),
        pair_dice=pair_overlap_dice(prediction, reference),
        confusion=multi_label_confusion(prediction, reference),
        faults=find_faults(prediction, reference, scores),
    )


def _overlap_dice(prediction: Packed, reference: Packed) -> NDArray[np.float64]:
    """Return the overlap-zone Dice, for which the zone's pixels do without their neighbours."""
    # A number with two bits or more keeps some when its lowest is cleared; 0 wraps around, but has no bit to keep.
    zone = reference & (reference - np.uint32(1)) != 0
    masks = (torch.from_numpy(unpack_masks(packed[zone][None])) for packed in (prediction, reference))
    return overlap_zone_dice(*masks).numpy()
