"""Exact thickness of a closed surface along the rays of a cone beam or a parallel beam."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Beam:
    """Detector grid and source; x points to higher columns, y to higher rows, z from the detector to the source.

    Attributes:
        height: rows of the detector.
        width: columns of the detector.
        spacing_mm: distance of pixel centres.
        source_mm: foot of the source on the detector (x, y) and its height, or None for parallel rays along z.
        origin_mm: x and y of the centre of pixel (0, 0).
    """

    height: int
    width: int
    spacing_mm: float
    source_mm: tuple[float, float, float] | None
    origin_mm: float = 0.0

    def refined(self, factor: int) -> Beam:
        """Return the same detector with `factor` (odd) times finer pixels; every old centre is one of the new."""
        spacing = self.spacing_mm / factor
        origin = self.origin_mm - factor // 2 * spacing
        return Beam(self.height * factor, self.width * factor, spacing, self.source_mm, origin)

    def onto_detector(self, points: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Project points (N, 3) in millimetres to (column, row) in pixels (N, 2) and a depth linear on the detector.

        The depth is z itself for parallel rays and 1 / (distance to the source's plane) for a cone beam.
        """
        xyz: NDArray[np.float64] = points.astype(np.float64)
        if self.source_mm is None:
            return (xyz[:, :2] - self.origin_mm) / self.spacing_mm, xyz[:, 2].copy()
        source = np.array(self.source_mm)
        below = source[2] - xyz[:, 2]
        flat = source[:2] + (xyz[:, :2] - source[:2]) * (source[2] / below)[:, None]
        return (flat - self.origin_mm) / self.spacing_mm, 1 / below


@dataclass(frozen=True)
class Projection:
    """Thickness in millimetres of one surface inside its bounding box on the detector.

    Attributes:
        row: first row of the box.
        column: first column of the box.
        thickness_mm: path length inside the surface (h, w), 0 where the ray misses it.
        coverage: whether the ray through the pixel's centre meets the surface (h, w).
    """

    row: int
    column: int
    thickness_mm: NDArray[np.float32]
    coverage: NDArray[np.bool_]

    @property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns of the bounding box on the detector."""
        height, width = self.coverage.shape
        return slice(self.row, self.row + height), slice(self.column, self.column + width)


def project(vertices: NDArray[np.floating], triangles: NDArray[np.integer], beam: Beam, step: int = 1) -> Projection:
    """Measure how much of a closed surface lies on the ray through every pixel centre.

    Summed over the triangles that cover the pixel, the signed distance from the source is the path length inside.

    Args:
        vertices: (V, 3) in millimetres in the beam's frame.
        triangles: (T, 3), counter-clockwise from outside when (x, y, z) is read as a right-handed frame.
        beam: detector grid and source.
        step: rows and columns of the bounding box are multiples of it.
    """
    points, depth = beam.onto_detector(vertices)
    limit = np.array([beam.width, beam.height])
    low = np.clip(np.floor(points.min(0)).astype(int) // step * step, 0, limit)
    high = np.clip(-(-np.ceil(points.max(0) + 1).astype(int) // step) * step, low, limit)
    columns, rows = high - low
    thickness, coverage = np.zeros((rows, columns)), np.zeros((rows, columns), np.bool_)
    if coverage.size:
        _add_triangles(points - low, depth, triangles, beam.source_mm is not None, thickness, coverage)
    lengths = _path_lengths(thickness, *_slopes(beam, low, thickness.shape))
    return Projection(int(low[1]), int(low[0]), lengths, coverage)


def _slopes(
    beam: Beam, low: NDArray[np.int64], shape: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how far rays go across and down a box for each millimetre of height."""
    if beam.source_mm is None:
        return np.zeros(shape[1]), np.zeros(shape[0])
    x, y, height = beam.source_mm
    across = ((np.arange(shape[1]) + low[0]) * beam.spacing_mm + beam.origin_mm - x) / height
    down = ((np.arange(shape[0]) + low[1]) * beam.spacing_mm + beam.origin_mm - y) / height
    return across, down


@numba.njit(cache=True, nogil=True)
def _path_lengths(heights, across, down):  # type: ignore[no-untyped-def]
    """Turn differences of height along rays into lengths of their paths."""
    rows, columns = heights.shape
    lengths = np.zeros((rows, columns), np.float32)
    for row in range(rows):
        square = 1 + down[row] * down[row]
        for column in range(columns):
            if heights[row, column] > 0:
                lengths[row, column] = heights[row, column] * np.sqrt(square + across[column] * across[column])
    return lengths


@numba.njit(cache=True, nogil=True)
def _add_triangles(points, depth, triangles, cone, thickness, coverage):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Add the signed depth of every triangle at the pixel centres that it covers.

    An edge is always evaluated from its lower to its higher vertex index, so both triangles beside it compute the
    very same number; a centre on an edge or a vertex counts as shifted by an infinitesimal (e, e^2). So each centre
    belongs to exactly one of the triangles around it.
    """
    rows, columns = coverage.shape
    for t in range(len(triangles)):
        first, second, third = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        odd = (first > second) ^ (second > third) ^ (first > third)
        a, c = min(first, second, third), max(first, second, third)
        b = first + second + third - a - c
        ax, ay, bx, by, cx, cy = points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1]
        first_row = max(int(np.ceil(min(ay, by, cy))), 0)
        last_row = min(int(np.floor(max(ay, by, cy))), rows - 1)
        first_column = max(int(np.ceil(min(ax, bx, cx))), 0)
        last_column = min(int(np.floor(max(ax, bx, cx))), columns - 1)
        if first_row > last_row or first_column > last_column:
            continue
        ab_tie = by < ay or (by == ay and bx > ax)
        bc_tie = cy < by or (cy == by and cx > bx)
        ac_tie = cy < ay or (cy == ay and cx > ax)
        for row in range(first_row, last_row + 1):
            for column in range(first_column, last_column + 1):
                ab = (bx - ax) * (row - ay) - (by - ay) * (column - ax)
                bc = (cx - bx) * (row - by) - (cy - by) * (column - bx)
                ac = (cx - ax) * (row - ay) - (cy - ay) * (column - ax)
                left = ab > 0 or (ab == 0 and ab_tie)
                if left != (bc > 0 or (bc == 0 and bc_tie)) or left == (ac > 0 or (ac == 0 and ac_tie)):
                    continue
                area = ab + bc - ac
                if area == 0:
                    continue
                height = (bc * depth[a] - ac * depth[b] + ab * depth[c]) / area
                if cone:
                    height = -1 / height
                faces_source = left != odd
                thickness[row, column] += height if faces_source else -height
                coverage[row, column] = True
