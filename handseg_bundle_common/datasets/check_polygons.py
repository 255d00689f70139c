"""Check of the polygons of one radiograph: every fault of a file, where reading it stops at the first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from handseg_bundle_common.anatomy import BONE_NAMES, CHANNEL, Group, bones_of
from handseg_bundle_common.datasets.check_faults import Fault, FaultKind
from handseg_bundle_common.formats.boostcamp import MAX_COORDINATE, Annotations, Ring

# Vertices on the last pixel's far edge are still on the picture.
_MARGIN_PX = 1.0
# Polygons that end within this share of the picture's width and height were drawn on a smaller one: the forearm of
# 1440 simulated hands reaches the last row.
_MIN_REACH = 0.6


def scan_polygons(document: Any) -> tuple[Annotations, list[Fault]]:
    """Return the usable rings of a polygon file and all that is wrong with its entries.

    There is a fault of an error's kind exactly if `formats.boostcamp.read_annotations` refuses the file.

    Args:
        document: what the JSON file holds.
    """
    entries = document.get("annotations") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        return {}, [Fault(FaultKind.UNREADABLE_POLYGONS, 'the file has no list "annotations"')]
    annotations: Annotations = {}
    faults: list[Fault] = []
    times: Counter[str] = Counter()
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict) or not {"label", "points"} <= entry.keys():
            problem = f'annotation {number} has no "label" or no "points"'
            faults.append(Fault(FaultKind.UNREADABLE_POLYGONS, problem))
        elif not isinstance(entry["label"], str) or entry["label"] not in CHANNEL:
            faults.append(Fault(FaultKind.UNKNOWN_BONE, "is no name of a bone", bone=str(entry["label"])))
        else:
            bone = entry["label"]
            times[bone] += 1
            rings = [_scan_ring(bone, ring) for ring in _rings_of(entry["points"])]
            annotations.setdefault(bone, []).extend(ring for ring in rings if not isinstance(ring, Fault))
            faults += [ring for ring in rings if isinstance(ring, Fault)]
    usable = {bone: rings for bone, rings in annotations.items() if rings}
    return usable, [*faults, *_count_bones(times)]


def nested_rings(annotations: Annotations) -> tuple[Annotations, list[Fault]]:
    """Return the polygons without rings that lie within others of their bone, and a fault for every such bone.

    Rings of a bone are united, so a ring that was meant as a hole is filled.
    """
    outer: Annotations = {}
    faults: list[Fault] = []
    for bone, rings in annotations.items():
        kept: list[Ring] = []
        holes = 0
        for ring in sorted(rings, key=_area, reverse=True):
            depth = max((_depth_within(ring, other) for other in kept), default=-1.0)
            holes += depth > 0
            if depth < 0:
                kept.append(ring)
        outer[bone] = kept
        if holes:
            problem = f"{holes} of {len(rings)} rings lie within another and make no hole, because rings are united"
            faults.append(Fault(FaultKind.NESTED_RING, problem, bone=bone))
    return outer, faults


def points_outside(annotations: Annotations, height: int, width: int) -> list[Fault]:
    """Return a fault for every bone with vertices outside a picture of this size in px."""
    faults: list[Fault] = []
    for bone, rings in annotations.items():
        points = np.concatenate(rings)
        outside = (points < -_MARGIN_PX) | (points > np.array([width, height]) - 1 + _MARGIN_PX)
        count = int(outside.any(axis=1).sum())
        if count:
            problem = f"{count} of {len(points)} points lie outside the picture of {width} x {height} px"
            faults.append(Fault(FaultKind.OUTSIDE, problem, bone=bone))
    return faults


def scale_faults(annotations: Annotations, height: int, width: int) -> list[Fault]:
    """Return a fault if hand and forearm end far above and left of the lower right corner of a picture of this size.

    Polygons lie so if they were drawn on a smaller copy. Without a bone of the forearm nothing is found.
    """
    if not any(bone.name in annotations for bone in bones_of(Group.FOREARM)):
        return []
    right, bottom = np.concatenate([ring for rings in annotations.values() for ring in rings]).max(axis=0)
    if right > _MIN_REACH * width or bottom > _MIN_REACH * height:
        return []
    problem = (
        f"all polygons lie within the upper left {right:.0f} x {bottom:.0f} px of the picture of {width} x {height} px"
    )
    return [Fault(FaultKind.OTHER_SCALE, problem)]


def _count_bones(times: Counter[str]) -> Iterator[Fault]:
    for bone in BONE_NAMES:
        if times[bone] == 0:
            yield Fault(FaultKind.MISSING_BONE, "has no polygon", bone=bone)
        elif times[bone] > 1:
            problem = f"is annotated {times[bone]} times; its rings are united"
            yield Fault(FaultKind.DOUBLED_BONE, problem, bone=bone)


def _rings_of(points: Any) -> list[Any]:
    """Return the rings of an entry, which are its points themselves or a list of such lists."""
    first = points[0] if isinstance(points, list) and points else None
    is_several = isinstance(first, list) and bool(first) and isinstance(first[0], list)
    return points if is_several else [points]


def _scan_ring(bone: str, points: Any) -> Ring | Fault:
    """Return the points of one ring as an array (N, 2), or what is wrong with them."""
    try:
        ring = np.array(points)
    except ValueError:  # points of different lengths
        ring = np.empty(1, object)
    if ring.shape != (0,) and not (ring.dtype.kind in "iuf" and ring.shape[1:] == (2,)):
        return Fault(FaultKind.BAD_POINTS, "has points that are not pairs of numbers", bone=bone)
    if len(ring) < 3:
        return Fault(FaultKind.FEW_POINTS, f"has a ring of only {len(ring)} points", bone=bone)
    if not (np.abs(ring) <= MAX_COORDINATE).all():
        problem = f"has points that are not finite or more than {MAX_COORDINATE} pixels away"
        return Fault(FaultKind.BAD_POINTS, problem, bone=bone)
    return ring.astype(np.float64)


def _area(ring: Ring) -> float:
    return cv2.contourArea(ring.astype(np.float32))


def _depth_within(ring: Ring, other: Ring) -> float:
    """Return how deep a ring lies within another in px; 0 if it touches it, negative if it leaves it."""
    outline = other.astype(np.float32)
    return min(cv2.pointPolygonTest(outline, (float(x), float(y)), True) for x, y in ring)
