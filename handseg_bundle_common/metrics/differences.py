"""What one model gains over another on the same images: by bone, by group, over small bones and over all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONES, CHANNEL, SMALL_BONES, Group
from handseg_bundle_common.metrics.bootstrap import Interval, bootstrap_difference, bootstrap_interval

Scores = NDArray[np.float64]

SMALL, ALL = "small", "all"


@dataclass(frozen=True)
class Difference:
    """What a model gains over another in a part of the hand.

    Attributes:
        part: a bone, a group of bones, `small` or `all`.
        label: what it is called in a sentence.
        images: number of images that both models have a score for.
        dice: mean Dice of the model.
        other_dice: that of the other.
        gain: difference of the two, positive where the model is better, with its interval over patients.
    """

    part: str
    label: str
    images: int
    dice: float
    other_dice: float
    gain: Interval

    @property
    def is_certain(self) -> bool:
        """Tell whether the interval leaves out 0."""
        return self.gain.low > 0 or self.gain.high < 0


def dice_difference(part: str, label: str, dice: Scores, other: Scores, patients: Sequence[str]) -> Difference:
    """Return the difference between two models in a part of the hand, see `bootstrap_difference`.

    Args:
        part: its name.
        label: what it is called in a sentence.
        dice: Dice (N, bones) of one model on N images; NaN is not scored.
        other: that of the other on the same images.
        patients: whose image each of the N is.
    """
    return Difference(
        part,
        label,
        images=int((~np.isnan(dice + other)).any(axis=1).sum()),
        dice=bootstrap_interval(dice, patients, resamples=1).estimate,
        other_dice=bootstrap_interval(other, patients, resamples=1).estimate,
        gain=bootstrap_difference(dice, other, patients),
    )


def dice_differences(dice: Scores, other: Scores, patients: Sequence[str]) -> list[Difference]:
    """Return the differences between two models: of the 29 bones, the groups, the small bones and all.

    Args:
        dice: Dice (N, 29) of one model on N images; NaN is not scored.
        other: that of the other on the same images.
        patients: whose image each of the N is.
    """
    parts = [(bone.name, bone.anatomical_name, [channel]) for channel, bone in enumerate(BONES)]
    parts += [(group, group, [k for k, bone in enumerate(BONES) if bone.group is group]) for group in Group]
    parts += [
        (SMALL, "small bones", [CHANNEL[name] for name in SMALL_BONES]),
        (ALL, "all bones", list(range(len(BONES)))),
    ]
    return [dice_difference(name, label, dice[:, k], other[:, k], patients) for name, label, k in parts]
