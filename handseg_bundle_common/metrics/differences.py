"""What one model gains over another on the same images: by bone, by group, over small bones and over all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONES, CHANNEL, SMALL_BONES, Group
from handseg_bundle_common.metrics.bootstrap import Interval, bootstrap_difference, bootstrap_interval
from handseg_bundle_common.metrics.scores import ImageScores

Scores = NDArray[np.float64]

SMALL, ALL = "small", "all"

# Of bootstrapped 95 % intervals hold the truth: about 50 % for 2 patients, 78 % for 4, 87 % for 6, 94 % for 20.
FEWEST_PATIENTS, ENOUGH_PATIENTS = 5, 20


@dataclass(frozen=True)
class Difference:
    """What a model gains over another in a part of the hand.

    Attributes:
        part: a bone, a group of bones, `small` or `all`.
        label: what it is called in a sentence.
        images: number of images that both models have a score for.
        patients: number of patients whose images they are.
        dice: mean Dice of the model.
        other_dice: that of the other.
        gain: difference of the two, positive where the model is better, with its interval over patients.
    """

    part: str
    label: str
    images: int
    patients: int
    dice: float
    other_dice: float
    gain: Interval

    @property
    def is_certain(self) -> bool:
        """Tell whether the interval leaves out 0; that of a few patients is too narrow to tell."""
        return self.patients >= FEWEST_PATIENTS and (self.gain.low > 0 or self.gain.high < 0)


def patients_caution(patients: int) -> str:
    """Return what to think of 95 % intervals of so many patients, as a sentence; nothing if there are enough."""
    if patients >= ENOUGH_PATIENTS:
        return ""
    count = f"{patients} patient{'s' * (patients != 1)}"
    if patients < 2:
        return f"There is no interval of {count}."
    fewest = f", and no difference counts as certain below {FEWEST_PATIENTS}" if patients < FEWEST_PATIENTS else ""
    problem = "too narrow: they leave out the true value more often than five times in a hundred"
    return f"Intervals of {count} are {problem}; take them seriously from about {ENOUGH_PATIENTS} patients on{fewest}."


def dice_with_intervals(scores: ImageScores) -> dict[str, Interval]:
    """Return the mean Dice of all and of the small bones with 95 % intervals over patients, by `all` and `small`."""
    small = scores.dice[:, [CHANNEL[name] for name in SMALL_BONES]]
    return {ALL: bootstrap_interval(scores.dice, scores.patients), SMALL: bootstrap_interval(small, scores.patients)}


def dice_difference(part: str, label: str, dice: Scores, other: Scores, patients: Sequence[str]) -> Difference:
    """Return the difference between two models in a part of the hand, see `bootstrap_difference`.

    Args:
        part: its name.
        label: what it is called in a sentence.
        dice: Dice (N, bones) of one model on N images; NaN is not scored.
        other: that of the other on the same images.
        patients: whose image each of the N is.
    """
    is_scored = np.asarray((~np.isnan(dice + other)).any(axis=1))
    return Difference(
        part,
        label,
        images=int(is_scored.sum()),
        patients=len({patient for patient, is_one in zip(patients, is_scored, strict=True) if is_one}),
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
