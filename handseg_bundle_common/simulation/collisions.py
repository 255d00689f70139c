"""Poses that no hand can take: bones inside one another and fingers that cross."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.simulation.hand_model import RAYS, HandModel

# Edge of a cell in millimetres.
PITCH_MM = 1.0
# Cells on an edge between two triangles belong to both, whatever rounding says.
_EDGE = 1e-4
# Greatest share of a bone's volume inside another one. The surfaces are rigid and enlarged to the outlines of
# radiographs, so close carpal bones share a little even in poses that hands do take.
_TOLERANCE = 0.1
# Greatest share of a phalanx's outline that one of another finger covers.
_CROSSING = 0.05

_PAIRS = np.triu(np.ones((NUM_BONES, NUM_BONES), bool), 1)
# Phalanges of different fingers.
_FINGER = np.full(NUM_BONES, -1)
for _ray, _chain in enumerate(RAYS):
    _FINGER[list(_chain[1:])] = _ray
_TWO_FINGERS = (_FINGER[:, None] != _FINGER) & (_FINGER[:, None] >= 0) & (_FINGER >= 0)


def worst_clash(hand: HandModel) -> float:
    """Return how far a posed hand is from what hands can take: above 1 where bones share too much or fingers cross."""
    inside, covered = (common / np.minimum.outer(*[common.diagonal()] * 2) for common in common_parts(hand))
    return float(max(inside[_PAIRS].max() / _TOLERANCE, covered[_TWO_FINGERS].max() / _CROSSING))


def common_parts(hand: HandModel) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measure what every two bones have in common.

    On every cell of a grid a bone counts as one column along z, from its lowest to its highest point.

    Returns:
        Volumes in cubic millimetres and areas seen along z in square millimetres, both (29, 29); the diagonals are the
        volumes and areas of the bones themselves.
    """
    points = hand.vertices[: hand.vertex_starts[NUM_BONES]] / np.float32(PITCH_MM)
    points[:, :2] -= np.floor(points[:, :2].min(0))
    columns, rows = (np.ceil(points[:, :2].max(0)) + 1).astype(int)
    bottom = np.full((NUM_BONES, rows, columns), np.inf, np.float32)
    top = np.full_like(bottom, -np.inf)
    boxes = np.empty((NUM_BONES, 4), np.int64)
    for channel in range(NUM_BONES):
        part = points[hand.slice_of(channel)]
        boxes[channel] = *np.floor(part[:, 1::-1].min(0)), *(np.ceil(part[:, 1::-1].max(0)) + 1)
        _add_columns(part, hand.triangles_of(channel), bottom[channel], top[channel])
    volumes, areas = _common(bottom, top, boxes)
    return volumes * PITCH_MM**3, areas * PITCH_MM**2


def columns_of(
    vertices: NDArray[np.float32], triangles: NDArray[np.int32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return the columns of one surface along its third axis.

    Returns:
        Place (x, y) in millimetres of the first cell, and the lowest and highest points (h, w) in millimetres, inf and
        -inf where there are none.
    """
    low = np.floor(vertices[:, :2].min(0) / PITCH_MM).astype(np.float32)
    points = vertices / np.float32(PITCH_MM) - np.array([*low, 0], np.float32)
    width, height = (np.ceil(points[:, :2].max(0)) + 1).astype(int)
    bottom = np.full((height, width), np.inf, np.float32)
    top = np.full_like(bottom, -np.inf)
    _add_columns(points, triangles, bottom, top)
    return low * np.float32(PITCH_MM), bottom * np.float32(PITCH_MM), top * np.float32(PITCH_MM)


@numba.njit(cache=True, nogil=True)
def _add_columns(points, triangles, bottom, top):  # type: ignore[no-untyped-def]
    """Lower `bottom` and raise `top` to the triangles above every cell's centre."""
    rows, columns = bottom.shape
    for t in range(len(triangles)):
        ax, ay, az = points[triangles[t, 0]]
        bx, by, bz = points[triangles[t, 1]]
        cx, cy, cz = points[triangles[t, 2]]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area == 0:
            continue
        for row in range(max(int(np.ceil(min(ay, by, cy))), 0), min(int(np.floor(max(ay, by, cy))), rows - 1) + 1):
            for column in range(
                max(int(np.ceil(min(ax, bx, cx))), 0), min(int(np.floor(max(ax, bx, cx))), columns - 1) + 1
            ):
                b = ((column - ax) * (cy - ay) - (row - ay) * (cx - ax)) / area
                c = ((bx - ax) * (row - ay) - (by - ay) * (column - ax)) / area
                if min(b, c) >= -_EDGE and b + c <= 1 + _EDGE:
                    z = az + b * (bz - az) + c * (cz - az)
                    bottom[row, column] = min(bottom[row, column], z)
                    top[row, column] = max(top[row, column], z)


@numba.njit(cache=True, nogil=True)
def _common(bottom, top, boxes):  # type: ignore[no-untyped-def]
    """Return volumes and areas, in cells, that the columns of every two bones share."""
    count = len(boxes)
    volumes, areas = np.zeros((count, count)), np.zeros((count, count))
    for a in range(count):
        for b in range(a, count):
            for row in range(max(boxes[a, 0], boxes[b, 0]), min(boxes[a, 2], boxes[b, 2])):
                for column in range(max(boxes[a, 1], boxes[b, 1]), min(boxes[a, 3], boxes[b, 3])):
                    if top[a, row, column] >= bottom[a, row, column] and top[b, row, column] >= bottom[b, row, column]:
                        areas[a, b] += 1
                        low = max(bottom[a, row, column], bottom[b, row, column])
                        volumes[a, b] += max(min(top[a, row, column], top[b, row, column]) - low, 0)
            volumes[b, a], areas[b, a] = volumes[a, b], areas[a, b]
    return volumes, areas
