"""Indices of the wrist and the palm: carpal height ratios, metacarpal index, ulnar variance, and angle of the wrist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from handseg_bundle_common.anatomy import BONES, CHANNEL, Group, bones_of
from handseg_bundle_common.datasets.wrist import angle_of_moments
from handseg_bundle_common.measurements.bones import BoneMeasures
from handseg_bundle_common.measurements.frame import THIRD_METACARPAL, HandFrame
from handseg_bundle_common.measurements.marks import Line, Measure, why_missing
from handseg_bundle_common.measurements.regions import BoneRegion
from handseg_bundle_common.measurements.ulnar_variance import ulnar_variance

# Names of the metacarpals of the index to the little finger.
METACARPALS = tuple(bone.name for bone in bones_of(Group.METACARPALS)[1:])

# Share of a metacarpal's length over which the width of its middle is averaged: no single row of pixels decides.
_MIDSHAFT = 0.05


@dataclass(frozen=True)
class Indices:
    """Indices of one hand; distances in px.

    Attributes:
        carpal_height: see `carpal_height`.
        carpal_height_ratio: carpal height over the length of the third metacarpal on its axis (Youm, McMurtry, Flatt &
            Gillespie, Kinematics of the wrist, J Bone Joint Surg Am 60:423, 1978).
        revised_carpal_height_ratio: carpal height over the length of the capitate on its long axis (Nattrass, King,
            McMurtry & Brant, An alternative method for determination of the carpal height ratio, J Bone Joint Surg Am
            76:88, 1994), which was made for pictures that do not show the whole metacarpal.
        metacarpal_index: see `metacarpal_index`.
        ulnar_variance: see `ulnar_variance.ulnar_variance`.
        wrist_angle: see `wrist_angle`, in degrees.
    """

    carpal_height: Measure
    carpal_height_ratio: Measure
    revised_carpal_height_ratio: Measure
    metacarpal_index: Measure
    ulnar_variance: Measure
    wrist_angle: Measure


def measure_indices(
    regions: Mapping[str, BoneRegion], bones: Mapping[str, BoneMeasures], frame: HandFrame | None
) -> Indices:
    """Return the indices of a hand, each with the reason where it cannot be taken.

    Args:
        regions: the bones that were found.
        bones: their measures.
        frame: the hand's directions.
    """
    height = carpal_height(regions, frame)
    return Indices(
        carpal_height=height,
        carpal_height_ratio=_ratio(height, regions, THIRD_METACARPAL),
        revised_carpal_height_ratio=_ratio(height, regions, "Capitate"),
        metacarpal_index=metacarpal_index(regions, bones),
        ulnar_variance=ulnar_variance(regions),
        wrist_angle=wrist_angle(regions),
    )


def carpal_height(regions: Mapping[str, BoneRegion], frame: HandFrame | None) -> Measure:
    """Return the distance from the base of the third metacarpal to the radius, in px.

    It is measured on the third metacarpal's long axis, continued to the distal outline of the radius (Youm et al.,
    see `Indices`). The border may cut the metacarpal's head: the axis is then that of what is seen of it.

    Args:
        regions: the bones that were found.
        frame: the hand's directions.
    """
    missing = why_missing(regions, THIRD_METACARPAL, "Radius", whole=False)
    if missing or frame is None:
        return Measure(missing=missing or "too few bones to tell how the hand lies")
    metacarpal = regions[THIRD_METACARPAL]
    axis = _on_axis(metacarpal, frame.distal)
    if axis is None or _is_cut_at_base(metacarpal, frame.distal):
        return Measure(missing="base of the third metacarpal cut by the border or too thin")
    base, _ = axis
    reached = regions["Radius"].on_line(base, -frame.distal)
    if reached is None or reached[0] < 0:
        return Measure(missing="the axis of the third metacarpal does not meet the radius")
    return Measure(reached[0], ((base, base - reached[0] * frame.distal), axis))


def metacarpal_index(regions: Mapping[str, BoneRegion], bones: Mapping[str, BoneMeasures]) -> Measure:
    """Return the mean over the second to fifth metacarpal of length over width at the middle of the length.

    Sinclair, Kitchin & Turner, The Marfan syndrome, Q J Med 29:19, 1960.

    Args:
        regions: the bones that were found.
        bones: their measures.
    """
    missing = why_missing(regions, *METACARPALS)
    if missing:
        return Measure(missing=missing)
    middles = [_midshaft(regions[bone], bones[bone].length) for bone in METACARPALS]
    ratios = [bones[bone].length / abs(end - start) for bone, (start, end) in zip(METACARPALS, middles, strict=True)]
    return Measure(float(np.mean(ratios)), tuple(middles))


def wrist_angle(regions: Mapping[str, BoneRegion]) -> Measure:
    """Return the angle between the third metacarpal and the forearm in degrees, positive towards the ulna.

    It is that of `datasets.wrist`, whose long axes are those of what is seen of the bones. The other indices of the
    wrist are meant for a neutral one.

    Args:
        regions: the bones that were found.
    """
    bones = THIRD_METACARPAL, "Radius", "Ulna"
    missing = why_missing(regions, *bones, whole=False)
    if missing:
        return Measure(missing=missing)
    metacarpal, radius, ulna = (regions[bone].moments for bone in bones)
    angle = angle_of_moments(metacarpal, radius, ulna)
    return Measure(missing="metacarpal or forearm without a clear long axis") if angle is None else Measure(angle)


def _on_axis(region: BoneRegion, direction: complex) -> Line | None:
    """Return where a line through a bone's middle enters and leaves it, or None if it slips between single pixels."""
    ends = region.on_line(region.middle, direction)
    if ends is None:
        return None
    start, end = (region.middle + place * direction for place in ends)
    return start, end


def _is_cut_at_base(metacarpal: BoneRegion, distal: complex) -> bool:
    """Tell whether the border cuts the proximal half of what is seen; a cut head leaves base and axis as they are."""
    pixels = metacarpal.pixels
    is_proximal = ((pixels - metacarpal.middle) * distal.conjugate()).real < 0
    return bool(metacarpal.is_at_border(pixels[is_proximal]).any())


def _ratio(height: Measure, regions: Mapping[str, BoneRegion], bone: str) -> Measure:
    """Return carpal height over the length of a whole bone on its long axis."""
    missing = height.missing or why_missing(regions, bone)
    if missing:
        return Measure(missing=missing)
    line = _on_axis(regions[bone], regions[bone].axis)
    if line is None:
        return Measure(missing=f"{BONES[CHANNEL[bone]].anatomical_name} too thin")
    return Measure(height.value / abs(line[1] - line[0]), (line,))


def _midshaft(region: BoneRegion, length: float) -> Line:
    """Return the width at the middle of a bone's length: the area of a short piece of it over the piece's length."""
    start, end = region.extent(region.axis)
    places = region.pixels * region.axis.conjugate() - (start + end) / 2
    half = max(_MIDSHAFT * length, 2.0) / 2
    shares = np.clip(half + 0.5 - np.abs(places.real), 0, 1)
    width, middle = shares.sum() / (2 * half), shares @ places.imag / shares.sum()
    first, last = ((start + end) / 2 + 1j * (middle + side * width / 2) for side in (-1, 1))
    return first * region.axis, last * region.axis
