"""What a run gains over its parent run on the images that both have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.metrics import Difference, ImageScores, dice_differences
from handseg_bundle_common.metrics.differences import ALL, SMALL
from handseg_bundle_common.metrics.scores import paired

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


def gains_over(scores: ImageScores, parent: ImageScores) -> Gains | None:
    """Return what a run gains over its parent run; None if they have no image in common."""
    pair = paired(scores, parent)
    if pair is None:
        return None
    own, before = pair
    found = {one.part: one for one in dice_differences(own.dice, before.dice, own.patients)}
    # Neither gained nor lost are bones without scores, and those whose difference is too small to be shown.
    known = [found[name] for name in BONE_NAMES if abs(found[name].gain.estimate) >= _SMALLEST]
    bones = sorted(known, key=lambda bone: abs(bone.gain.estimate), reverse=True)
    return Gains(
        images=len(own.image_names),
        patients=len(set(own.patients)),
        overall={part: found[part] for part in LABELS},
        most=[bone for bone in bones if bone.gain.estimate > 0][:_SHOWN],
        least=[bone for bone in bones if bone.gain.estimate < 0][:_SHOWN],
    )
