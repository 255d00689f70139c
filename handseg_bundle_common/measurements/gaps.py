"""How far apart neighbouring bones are, and how much of them overlaps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from handseg_bundle_common.anatomy import BONES
from handseg_bundle_common.measurements.marks import Line
from handseg_bundle_common.measurements.regions import BoneRegion

_BY_ABBREVIATION = {bone.abbreviation: bone.name for bone in BONES}

# Bones that share a joint, and the ulna with the carpals across the disc, from the finger tips to the forearm.
NEIGHBOURS: tuple[tuple[str, str], ...] = tuple(
    (_BY_ABBREVIATION[first], _BY_ABBREVIATION[second])
    for first, second in (
        *(("DP1", "PP1"), ("PP1", "MC1")),
        *((f"{distal}{ray}", f"{proximal}{ray}") for ray in range(2, 6) for distal, proximal in (
            ("DP", "MP"), ("MP", "PP"), ("PP", "MC"),
        )),
        *(("MC2", "MC3"), ("MC3", "MC4"), ("MC4", "MC5")),
        *(("MC1", "Tm"), ("MC2", "Tm"), ("MC2", "Td"), ("MC2", "C"), ("MC3", "C"), ("MC4", "C")),
        *(("MC4", "H"), ("MC5", "H")),
        *(("Tm", "Td"), ("Td", "C"), ("C", "H")),
        *(("Tm", "S"), ("Td", "S"), ("C", "S"), ("C", "L"), ("H", "L"), ("H", "Tq")),
        *(("S", "L"), ("L", "Tq"), ("Tq", "P")),
        *(("S", "R"), ("L", "R"), ("L", "U"), ("Tq", "U"), ("R", "U")),
    )
)  # fmt: skip


@dataclass(frozen=True)
class Gap:
    """What lies between two neighbouring bones, in px.

    Attributes:
        bones: their names.
        distance: smallest distance of their outlines, which run along the edges of pixels: masks with n rows between
            them are n apart, and those that touch, be it at a corner, or overlap are 0; NaN where one is missing.
        overlap: px² that belong to both; NaN where one is missing.
        line: where they are nearest, between corners of pixels; None where they overlap or one is missing.
    """

    bones: tuple[str, str]
    distance: float = math.nan
    overlap: float = math.nan
    line: Line | None = None


def measure_gaps(regions: Mapping[str, BoneRegion]) -> tuple[Gap, ...]:
    """Return the gaps of all pairs of `NEIGHBOURS`.

    Args:
        regions: the bones that were found.
    """
    there = {bone for pair in NEIGHBOURS for bone in pair if bone in regions}
    trees = {bone: cKDTree(regions[bone].edges.view(np.float64).reshape(-1, 2)) for bone in there}
    return tuple(
        _gap((first, second), regions, trees) if {first, second} <= there else Gap((first, second))
        for first, second in NEIGHBOURS
    )


def _gap(bones: tuple[str, str], regions: Mapping[str, BoneRegion], trees: Mapping[str, cKDTree]) -> Gap:
    first, second = (regions[bone] for bone in bones)
    overlap = _overlap(first, second)
    if overlap:
        return Gap(bones, 0.0, float(overlap))
    # The nearest points of two sets of squares on one grid are corners of squares.
    distances, nearest = map(np.asarray, trees[bones[0]].query(trees[bones[1]].data))
    closest = int(distances.argmin())
    line = complex(first.edges[nearest[closest]]), complex(second.edges[closest])
    return Gap(bones, float(distances[closest]), 0.0, line)


def _overlap(first: BoneRegion, second: BoneRegion) -> int:
    """Return the number of pixels that belong to both."""
    shift = second.corner - first.corner
    windows = [
        _shared(int(offset), *lengths)
        for offset, lengths in zip(
            (shift.imag, shift.real), zip(first.mask.shape, second.mask.shape, strict=True), strict=True
        )
    ]
    own, other = (tuple(window[k] for window in windows) for k in (0, 1))
    return int(np.count_nonzero(first.mask[own] & second.mask[other]))


def _shared(offset: int, first: int, second: int) -> tuple[slice, slice]:
    """Return which part of two ranges they share, in each one's own numbers; the second begins `offset` later."""
    start, stop = max(offset, 0), max(min(first, second + offset), offset, 0)
    return slice(start, stop), slice(start - offset, stop - offset)
