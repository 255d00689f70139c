"""The data set's own annotations: polygons of the bones in one JSON file a radiograph."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONE_NAMES, CHANNEL, NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import read_json, write_atomically
from handseg_bundle_common.masks import Packed, unpack_masks

Ring = NDArray[np.float64]
Annotations = dict[str, list[Ring]]

# Far outside any radiograph; polygon fill would walk through every row up to a stray vertex.
MAX_COORDINATE = 1_000_000
# Filling a ring takes the longer, by far, the more points it has; outlines of bones have some thousands.
MAX_POINTS = 50_000

EXPORT_AGAIN = 'export the polygons again, as {"annotations": [{"label": ..., "points": [[x, y], ...]}, ...]}'


def read_annotations(path: str | PathLike[str]) -> Annotations:
    """Read the polygons of one radiograph.

    A bone that is annotated twice has the rings of both; a bone that is not annotated is left out.

    Returns:
        Bone name -> rings, each (N, 2) vertices x, y in pixels.

    Raises:
        HandsegInputError: the file cannot be read, or holds an unknown label or an unusable ring.
    """
    return parse_annotations(path, read_json(path, EXPORT_AGAIN))


def parse_annotations(path: str | PathLike[str], document: Any) -> Annotations:
    """Return the polygons of a JSON document; see `read_annotations`.

    Args:
        path: the document's file, for messages.
        document: what the file holds.

    Raises:
        HandsegInputError: it holds no annotations, an unknown label or an unusable ring.
    """
    entries = document.get("annotations") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise HandsegInputError(path, 'has no list "annotations"', EXPORT_AGAIN)
    annotations: Annotations = {}
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict) or not {"label", "points"} <= entry.keys():
            raise HandsegInputError(path, f'annotation {number} has no "label" or no "points"', EXPORT_AGAIN)
        label, points = entry["label"], entry["points"]
        _check_label(path, label)
        rings = points if _depth(points) == 3 else [points]
        annotations.setdefault(label, []).extend(_ring(path, label, ring) for ring in rings)
    return annotations


def write_annotations(
    path: str | PathLike[str], annotations: Annotations, more: Mapping[str, Any] | None = None
) -> None:
    """Write polygons in the layout of the data set; whole-pixel vertices are written as integers.

    Args:
        path: the file.
        annotations: rings by bone name.
        more: what the document holds beside its `annotations`.

    Raises:
        HandsegInputError: a label is unknown, a ring is unusable or the file cannot be written.
    """
    entries: list[dict[str, Any]] = []
    for label, rings in annotations.items():
        _check_label(path, label)
        points = [_as_numbers(_ring(path, label, ring)) for ring in rings]
        if points:
            entries.append(
                {
                    "id": f"{Path(path).stem}-{label}",
                    "type": "poly_seg",
                    "attributes": {},
                    "points": points[0] if len(points) == 1 else points,
                    "label": label,
                }
            )
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps({"annotations": entries, **(more or {})}), encoding="utf-8")


def rasterise(annotations: Annotations, height: int, width: int) -> NDArray[np.bool_]:
    """Fill the polygons as masks (29, H, W), pixel for pixel like `rasterise_packed`."""
    return unpack_masks(rasterise_packed(annotations, height, width))


def rasterise_packed(
    annotations: Annotations, height: int, width: int, window: tuple[slice, slice] | None = None
) -> Packed:
    """Fill the polygons as packed masks (H, W), or only the part of them within a window.

    Vertices are rounded to whole pixels and every ring is filled as by `cv2.fillPoly`, outline included;
    the rings of a bone are united, so that a ring within another makes no hole.

    Args:
        annotations: polygons by bone name.
        height: rows of the radiograph in px.
        width: columns of the radiograph in px.
        window: slices of rows and columns with a start and a stop inside the radiograph.

    Returns:
        Packed masks of the radiograph or of the window; the latter are what slicing the former would give.
    """
    rows, columns = window or (slice(0, height), slice(0, width))
    packed = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint32)
    for label, rings in annotations.items():
        bit = np.uint32(1 << CHANNEL[label])
        for ring in rings:
            _fill_ring(packed, ring, bit, (height, width), (rows.start, columns.start))
    return packed


def masks_to_annotations(masks: NDArray[np.bool_] | Packed) -> Annotations:
    """Trace the outlines of masks (29, H, W) or packed masks (H, W); bones without a pixel are left out.

    Rasterising the outlines gives the masks back exactly. United rings have no holes, so a part with holes is cut along
    the top row of each, which leaves several parts without.
    """
    # One bone at a time: all of them would take 29 bytes a pixel.
    bits = (np.uint32(1 << channel) for channel in range(NUM_BONES))
    bones = masks if masks.ndim == 3 else ((masks & bit) != 0 for bit in bits)
    traced = {name: _outlines(mask) for name, mask in zip(BONE_NAMES, bones, strict=True)}
    return {name: rings for name, rings in traced.items() if rings}


def _check_label(source: str | PathLike[str], label: object) -> None:
    if not isinstance(label, str) or label not in CHANNEL:
        raise HandsegInputError(source, f"has the unknown label {label!r}", f"use one of {', '.join(BONE_NAMES)}")


def _depth(points: object) -> int:
    """Return how many lists lie around the first number: 2 in one ring, 3 in a list of rings."""
    depth = 0
    while isinstance(points, list) and points:
        points = points[0]
        depth += 1
    return depth


def _ring(source: str | PathLike[str], label: str, points: Any) -> Ring:
    """Return the points of one ring as an array (N, 2) or raise a HandsegInputError."""
    try:
        ring = np.array(points)
    except ValueError:  # points of different lengths
        ring = np.empty(1, object)
    is_pairs = ring.dtype.kind in "iuf" and ring.shape[1:] == (2,)
    if not is_pairs and ring.shape != (0,):
        problem = "points that are not pairs of numbers"
    elif len(ring) < 3:
        problem = f"a ring of only {len(ring)} points"
    elif len(ring) > MAX_POINTS:
        problem = f"a ring of {len(ring)} points, more than {MAX_POINTS}"
    elif not (np.abs(ring.astype(np.float64)) <= MAX_COORDINATE).all():  # the smallest integer has no absolute value
        problem = f"points that are not finite or more than {MAX_COORDINATE} pixels away"
    else:
        return ring.astype(np.float64)
    raise HandsegInputError(source, f"{label} has {problem}", "redraw the polygon or remove the annotation")


def _as_numbers(ring: Ring) -> list[list[float]]:
    """Return JSON numbers; many readers hand them to polygon fill, which takes integers only."""
    whole = np.rint(ring).astype(np.int64)
    numbers: list[list[float]] = (whole if (whole == ring).all() else ring).tolist()
    return numbers


def _fill_ring(packed: Packed, ring: Ring, bit: np.uint32, size: tuple[int, int], origin: tuple[int, int]) -> None:
    """Set `bit` where the ring lies in a window of a radiograph, drawing only within the ring's bounding box.

    The box is cut at the radiograph's edges and never at the window's, because OpenCV draws a line that it has to cut
    with slightly other pixels.
    """
    vertices = np.round(ring).astype(np.int32)
    low = np.maximum(vertices.min(axis=0), 0)
    high = np.minimum(vertices.max(axis=0) + 1, size[::-1])
    offset = np.array(origin[::-1])
    left, top = np.maximum(low - offset, 0)
    right, bottom = np.minimum(high - offset, packed.shape[::-1])
    if left >= right or top >= bottom:
        return
    scratch = np.zeros((high - low)[::-1], np.uint8)
    cv2.fillPoly(scratch, [vertices - low], 1)
    window = packed[top:bottom, left:right]
    x, y = offset - low
    inside = scratch[top + y : bottom + y, left + x : right + x].view(np.bool_)
    np.bitwise_or(window, bit, out=window, where=inside)


def _outlines(mask: NDArray[np.bool_]) -> list[Ring]:
    """Return the outlines of a mask; one of one or two pixels repeats its last vertex to make a ring."""
    contours, hierarchy = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    rings: list[Ring] = []
    # Each contour has: the next and previous one on its level, its first hole, and the part whose hole it is, or -1.
    for contour, (_, _, hole, part) in zip(contours, [] if hierarchy is None else hierarchy[0].tolist(), strict=True):
        if part < 0:
            rings += [contour[:, 0].astype(np.float64)] if hole < 0 else _cut_outlines(mask, contour)
    return [np.pad(ring, ((0, max(0, 3 - len(ring))), (0, 0)), mode="edge") for ring in rings]


def _cut_outlines(mask: NDArray[np.bool_], contour: NDArray[Any]) -> list[Ring]:
    """Return the outlines of one connected part with holes, cut into bands of rows.

    A hole reaches the edge of every band, because each one ends in the top row of a hole: none is enclosed any more.
    """
    left, top, width, height = cv2.boundingRect(contour)
    window = mask[top : top + height, left : left + width].astype(np.uint8)
    # Other parts lie within the window too, and even within the holes.
    _, labels = cv2.connectedComponents(window, connectivity=8)
    x, y = contour[0, 0] - (left, top)
    own = (labels == labels[y, x]).astype(np.uint8)
    _, _, boxes, _ = cv2.connectedComponentsWithStats(1 - np.pad(own, 1), connectivity=4)
    # The first is the part itself, and what begins left of it is the outside.
    holes = boxes[1:][boxes[1:, cv2.CC_STAT_LEFT] > 0]
    bounds = [0, *np.unique(holes[:, cv2.CC_STAT_TOP]).tolist(), height]
    rings: list[Ring] = []
    for first, end in pairwise(bounds):
        parts, _ = cv2.findContours(own[first:end], cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        rings += [np.add(part[:, 0], [left, top + first], dtype=np.float64) for part in parts]
    return rings
