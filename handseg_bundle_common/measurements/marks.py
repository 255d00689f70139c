"""What a measure is: a value, the lines that show where it was taken, or why there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from handseg_bundle_common.anatomy import BONES, CHANNEL
from handseg_bundle_common.measurements.regions import BoneRegion

Line = tuple[complex, complex]


@dataclass(frozen=True)
class Measure:
    """One measure of a hand.

    Attributes:
        value: in px, of an angle in degrees, of a ratio without unit; NaN where it could not be taken.
        lines: the distance itself first, then what helps to see it; ends x + iy in px.
        missing: why there is no value, for readers; empty where there is one.
    """

    value: float = math.nan
    lines: tuple[Line, ...] = ()
    missing: str = ""


def why_missing(regions: Mapping[str, BoneRegion], *bones: str, whole: bool = True) -> str:
    """Return why a measure of some bones cannot be taken, or an empty string when it can.

    Args:
        regions: the bones that were found.
        bones: names of the bones that are needed.
        whole: whether the border of the picture must not cut them.
    """
    lacking = [f"{_told(bone)} missing" for bone in bones if bone not in regions]
    cut = [f"{_told(bone)} cut by the border" for bone in bones if whole and bone in regions and regions[bone].is_cut]
    return ", ".join(lacking + cut)


def _told(bone: str) -> str:
    return BONES[CHANNEL[bone]].anatomical_name
