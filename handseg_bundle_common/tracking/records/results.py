"""Dice of a run with intervals, and what it gains over its parent run on the images that both have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from handseg_bundle_common.anatomy import BONE_NAMES, CHANNEL, SMALL_BONES
from handseg_bundle_common.metrics import Difference, ImageScores, Interval, bootstrap_interval, dice_differences
from handseg_bundle_common.metrics.differences import ALL, SMALL

LABELS = {ALL: "all bones", SMALL: "small bones"}

_SHOWN = 5
_SMALLEST = 0.00005


@dataclass(frozen=True)
class Gains:
    """What a run gains over its parent run.

    Attributes:
        images: number of images that both have.
        patients: number of patients whose images they are.
        overall: all bones and the small bones, by `all` and `small`.
        most: bones that gain most, the largest gain first.
        least: bones that lose most, the largest loss first.
    """

    images: int
    patients: int
    overall: dict[str, Difference]
    most: Sequence[Difference]
    least: Sequence[Difference]


def dice_with_intervals(scores: ImageScores) -> dict[str, Interval]:
    """Return the mean Dice of all and of the small bones with 95 % intervals over patients, by `all` and `small`."""
    small = scores.dice[:, [CHANNEL[name] for name in SMALL_BONES]]
    return {ALL: bootstrap_interval(scores.dice, scores.patients), SMALL: bootstrap_interval(small, scores.patients)}


def gains_over(scores: ImageScores, parent: ImageScores) -> Gains | None:
    """Return what a run gains over its parent run; None if they have no image in common."""
    rows = {name: row for row, name in enumerate(parent.image_names)}
    common = [row for row, name in enumerate(scores.image_names) if name in rows]
    if not common:
        return None
    before = parent.dice[[rows[scores.image_names[row]] for row in common]]
    patients = [scores.patients[row] for row in common]
    found = {one.part: one for one in dice_differences(scores.dice[common], before, patients)}
    # Neither gained nor lost are bones without scores, and those whose difference is too small to be shown.
    known = [found[name] for name in BONE_NAMES if abs(found[name].gain.estimate) >= _SMALLEST]
    bones = sorted(known, key=lambda bone: abs(bone.gain.estimate), reverse=True)
    return Gains(
        images=len(common),
        patients=len(set(patients)),
        overall={part: found[part] for part in LABELS},
        most=[bone for bone in bones if bone.gain.estimate > 0][:_SHOWN],
        least=[bone for bone in bones if bone.gain.estimate < 0][:_SHOWN],
    )
