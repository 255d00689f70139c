"""Ulnar variance: how much longer the ulna is than the radius at the wrist."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from handseg_bundle_common.measurements.marks import Measure, why_missing
from handseg_bundle_common.measurements.regions import BoneRegion, Values, pixel_reach

# In widths of the radius. The shaft begins where its end has lost its flare; a shorter piece of it has no clear axis.
_FLARE, _LEAST_SHAFT = 1.0, 0.5
# In px: what is narrower is no radius, and a line through its middles would be one through noise.
_LEAST_WIDTH = 5
# Of the median width; a section of less goes through the corner of an end that the axis does not meet squarely.
_FULL = 0.75
# Each turn starts from the axis of the one before it; the last changes it by about 0.1 degrees at most.
_TURNS = 3
# What counts as the ulna's head, from its distal end, in widths of the radius.
_HEAD = 0.7


@dataclass(frozen=True)
class _Shaft:
    """The straight part of the radius.

    Attributes:
        distal: direction of its axis, of length one.
        places: ends of its axis, distances along that direction.
        across: distance of the axis from the picture's first pixel, at right angles to it.
        width: largest width of the bone across the axis, in px.
    """

    distal: complex
    places: tuple[float, float]
    across: float
    width: float


def ulnar_variance(regions: Mapping[str, BoneRegion]) -> Measure:
    """Return the distance of the distal ends of ulna and radius along the radius, in px, positive for a longer ulna.

    Method of perpendiculars (Steyers & Blair, Measuring ulnar variance: a comparison of techniques, J Hand Surg Am
    14:607, 1989): of two lines at right angles to the long axis of the radius, one touches the ulnar end of its distal
    outline, the other the dome of the ulna.

    - The long axis is the line that fits the middles of the shaft's sections best.
    - The ulnar end is the point of the radius that lies farthest towards distal and ulnar, at 45 degrees to both.
    - The dome is the most distal point of the radial half of the ulna's head, so that the styloid process, which stands
      at its ulnar side, does not count.

    Args:
        regions: the bones that were found.
    """
    missing = why_missing(regions, "Radius", "Ulna", whole=False)
    if missing:
        return Measure(missing=missing)
    radius, ulna = regions["Radius"], regions["Ulna"]
    others = [region.middle for bone, region in regions.items() if bone not in {"Radius", "Ulna"}]
    if not others:
        return Measure(missing="no bone but radius and ulna found")
    shaft = _shaft(radius, complex(np.mean(others)))
    if shaft is None:
        return Measure(missing="too little of the radius in the picture")
    side = (ulna.middle - radius.middle) * shaft.distal.conjugate()
    ulnar = math.copysign(1, side.imag)
    corner = _corner(radius, shaft.distal, ulnar)
    dome = _dome(ulna, shaft, ulnar)
    points = np.array([corner, dome]) * shaft.distal
    if any((region.is_at_border(points[k : k + 1])).any() for k, region in enumerate((radius, ulna))):
        return Measure(missing="the distal end of radius or ulna is cut by the border")
    return _measured(shaft, corner, dome, ulnar)


def _measured(shaft: _Shaft, corner: complex, dome: complex, ulnar: float) -> Measure:
    """Return the variance with its lines: the distance beside the dome, both perpendiculars, the axis."""
    end = dome.imag + ulnar * 0.35 * shaft.width
    start = corner.imag - ulnar * 0.15 * shaft.width
    radial, ulnar_side = corner.real + 1j * start, dome.real + 1j * (dome.imag - ulnar * 0.35 * shaft.width)
    marks = (
        (corner.real + 1j * end, dome.real + 1j * end),
        (radial, corner.real + 1j * end),
        (ulnar_side, dome.real + 1j * end),
        (shaft.places[0] + 1j * shaft.across, shaft.places[1] + 1j * shaft.across),
    )
    lines = tuple((first * shaft.distal, last * shaft.distal) for first, last in marks)
    return Measure(dome.real - corner.real, lines)


def _shaft(radius: BoneRegion, hand: complex) -> _Shaft | None:
    """Return the shaft of the radius, or None where too little of it is seen."""
    distal = radius.axis
    for _ in range(_TURNS):
        if ((hand - radius.middle) * distal.conjugate()).real < 0:
            distal = -distal
        places = radius.pixels * distal.conjugate()
        first = math.floor(places.real.min())
        rows = np.rint(places.real).astype(np.intp) - first
        counts = np.bincount(rows)
        top, width = first + len(counts) - 1, float(counts.max())
        # The shaft begins where the border does not cut it any more; a cut wrist is another matter.
        border = places.real[radius.is_at_border(radius.pixels) & (places.real < places.real.mean())]
        bottom = math.ceil(border.max()) + 1 - first if border.size else 0
        sections = np.arange(bottom, math.floor(top - _FLARE * width) - first)
        if width < _LEAST_WIDTH or len(sections) < _LEAST_SHAFT * width:
            return None
        sections = sections[counts[sections] >= max(1, _FULL * np.median(counts[sections]))]
        if len(sections) < 2:  # a line has two points
            return None
        middles: Values = np.bincount(rows, places.imag)[sections] / counts[sections]
        slope, across = np.polyfit(sections, middles, 1)
        turned = distal * complex(1, slope)
        distal = turned / abs(turned)
    axis = complex(first + sections[0], across + slope * sections[0])
    return _Shaft(distal, (axis.real, float(top)), axis.imag, width)


def _corner(radius: BoneRegion, distal: complex, ulnar: float) -> complex:
    """Return the ulnar end of the radius's distal outline, along and across its axis."""
    places = radius.outline * distal.conjugate()
    towards = places.real + ulnar * places.imag
    # Of a blunt corner, whose points lie at nearly one height, the middle.
    return complex(places[towards >= towards.max() - 1].mean() + pixel_reach(distal))


def _dome(ulna: BoneRegion, shaft: _Shaft, ulnar: float) -> complex:
    """Return the most distal point of the radial half of the ulna's head, along and across the radius's axis."""
    places = ulna.outline * shaft.distal.conjugate()
    head = places[places.real > places.real.max() - _HEAD * shaft.width]
    middle = (head.imag.min() + head.imag.max()) / 2
    half = head[ulnar * (head.imag - middle) <= 0]
    return complex(half[half.real.argmax()] + pixel_reach(shaft.distal))
