"""The tilt of the hand against the forearm, from the polygons of a radiograph."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from pathlib import Path

import numpy as np

from handseg_bundle_common.datasets.lists import Item
from handseg_bundle_common.datasets.moments import Moments, long_axis, polygon_moments
from handseg_bundle_common.formats.boostcamp import Annotations, read_annotations

# Wrists of the data set are straight (-6 to 15 degrees) or tilted (31 to 53); this lies halfway between.
TILTED_FROM = 23.0

# A bone of which the picture shows a rectangle less than half again as long as wide has no clear long axis.
_MIN_ELONGATION = 1.5


class WristStratum(StrEnum):
    """Kinds of images that every fold has its share of, by the angle of the wrist."""

    STRAIGHT = "straight"
    TILTED = "tilted"
    UNKNOWN = "unknown"


def wrist_angle(annotations: Annotations) -> float | None:
    """Return the angle of `angle_of_moments`, or None also when the third metacarpal, radius or ulna is missing.

    Args:
        annotations: polygons by bone name.
    """
    metacarpal, radius, ulna = (polygon_moments(annotations.get(name, ())) for name in ("finger-11", "Radius", "Ulna"))
    if metacarpal is None or radius is None or ulna is None:
        return None
    return angle_of_moments(metacarpal, radius, ulna)


def angle_of_moments(metacarpal: Moments, radius: Moments, ulna: Moments) -> float | None:
    """Return the angle between the third metacarpal and the forearm in degrees, positive towards the ulna.

    Both are long axes of areas (second moments), turned from the radius towards the metacarpal. Radius and ulna share
    the forearm's axis, the longer one counting more, because the flare of the radius alone tilts its axis and the
    picture's edge may leave little of one of them. The ulna tells the side, so the angle is the same for
    a left and a right hand and for a mirrored or turned picture.

    Args:
        metacarpal: area of the third metacarpal.
        radius: area of the radius.
        ulna: area of the ulna.

    Returns:
        The angle, or None when the metacarpal or the forearm has no clear long axis.
    """
    distal = metacarpal.centroid - radius.centroid
    hand = long_axis(metacarpal.covariance, distal, _MIN_ELONGATION)
    both = (radius.area * radius.covariance + ulna.area * ulna.covariance) / (radius.area + ulna.area)
    forearm = long_axis(both, distal, _MIN_ELONGATION)
    if hand is None or forearm is None:
        return None
    across = np.array([-forearm[1], forearm[0]])
    ulnar = across if across @ (ulna.centroid - radius.centroid) > 0 else -across
    return float(np.degrees(np.arctan2(hand @ ulnar, hand @ forearm)))


def wrist_stratum(item: Item) -> WristStratum:
    """Return the stratum of an image: straight below `TILTED_FROM` degrees, unknown without polygons of the wrist.

    Raises:
        HandsegInputError: the polygons cannot be read.
    """
    label = Path(item["label"]) if "label" in item else None
    angle = None if label is None else _angle_in(label, label.stat().st_mtime_ns)
    if angle is None:
        return WristStratum.UNKNOWN
    return WristStratum.STRAIGHT if angle < TILTED_FROM else WristStratum.TILTED


@cache
def _angle_in(label: Path, _changed: int) -> float | None:
    """Return the angle in a polygon file, which training and validation ask for in turn, until the file changes."""
    return wrist_angle(read_annotations(label))
