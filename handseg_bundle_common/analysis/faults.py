"""Names of what goes wrong with a bone, and sentences about it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from handseg_bundle_common.anatomy import BONES, CHANNEL

_DIRECTIONS = (
    "to the right",
    "down and to the right",
    "down",
    "down and to the left",
    "to the left",
    "up and to the left",
    "up",
    "up and to the right",
)


class FaultKind(StrEnum):
    """Kinds of faults."""

    MISSING = "missing"
    EXTRA = "extra"
    SHIFTED = "shifted"
    SWAPPED = "swapped"
    HOLE = "hole"
    FRAGMENT = "fragment"
    TOO_LARGE = "too large"
    TOO_SMALL = "too small"
    DIFFERENT = "different"


@dataclass(frozen=True)
class Fault:
    """What is wrong with one bone, or with two that are swapped.

    Attributes:
        kind: what it is.
        bone: name of the bone, one of `anatomy.BONE_NAMES`.
        other: the other bone of a swap, the one in whose place a shifted bone is drawn, or the one that takes most of
            a bone that differs.
        severity: Dice lost by it, which its mending regains; of both bones of a swap, so 0 to 2.
        count: number of holes or of further parts.
        pixels: area of the holes, the further parts, or a bone that should not be there, in px.
        shift_px: way of a shifted bone's centroid, (down, to the right).
        ratio: area of a bone of the wrong size, or that `other` takes of a bone that differs, over that of the
            reference.
        dice: Dice of a bone that differs.
    """

    kind: FaultKind
    bone: str
    other: str | None = None
    severity: float = 0.0
    count: int = 1
    pixels: int = 0
    shift_px: tuple[float, float] = (0.0, 0.0)
    ratio: float = 1.0
    dice: float = 1.0

    @property
    def text(self) -> str:
        """One plain sentence in anatomical names; directions are those in the picture."""
        bone, other = _anatomical(self.bone), _anatomical(self.other or self.bone)
        return (
            f"The {bone} "
            + {
                FaultKind.MISSING: "is missing.",
                FaultKind.EXTRA: f"is drawn, with {self.pixels} px, where the reference has none.",
                FaultKind.SHIFTED: f"is drawn in the place of the {other}." if self.other else f"is {self._shift}.",
                FaultKind.SWAPPED: f"and the {other} are swapped.",
                FaultKind.HOLE: f"has {'a hole' if self.count == 1 else f'{self.count} holes'} of {self.pixels} px.",
                FaultKind.FRAGMENT: f"has {self._parts} of {self.pixels} px.",
                FaultKind.TOO_LARGE: f"is {self.ratio:.1f} times as large as it should be.",
                FaultKind.TOO_SMALL: f"has only {100 * self.ratio:.0f} % of its area.",
                FaultKind.DIFFERENT: f"differs from the reference (Dice {self.dice:.2f}{self._taken}).",
            }[self.kind]
        )

    @property
    def _shift(self) -> str:
        down, right = self.shift_px
        sector = round(math.atan2(down, right) / (math.pi / 4)) % len(_DIRECTIONS)
        return f"shifted by {math.hypot(down, right):.0f} px {_DIRECTIONS[sector]}"

    @property
    def _taken(self) -> str:
        return f", {100 * self.ratio:.0f} % taken by the {_anatomical(self.other)}" if self.other else ""

    @property
    def _parts(self) -> str:
        return "a second part" if self.count == 1 else f"{self.count} further parts"


def _anatomical(bone: str) -> str:
    return BONES[CHANNEL[bone]].anatomical_name
