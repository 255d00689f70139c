"""Smooth bodies of soft tissue: ellipses on lines, single or side by side as sheets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

Points = NDArray[np.float64]

# Spacing of nodes along tubes.
NODES_MM = 5.0
# Density of the lines of a sheet, and nodes on each.
_LINES_PER_RADIUS, _SHEET_NODES = 3.5, 7


@dataclass(frozen=True)
class Body:
    """A smooth body: ellipses on lines.

    Attributes:
        nodes: x and y on the detector, half width, half depth and depth of the muscle below the skin (N, 5), in
            millimetres.
        starts: first node of each line and the total.
        capped: whether the lines' ends are rounded off; otherwise they are cut.
    """

    nodes: Points
    starts: NDArray[np.int64]
    capped: bool = True


def line_body(nodes: Points, capped: bool = True) -> Body:
    """Return the body of a single line of nodes (N, 5)."""
    return Body(nodes, np.array([0, len(nodes)]), capped)


def sheet(
    first: Points,
    second: Points,
    *,
    sag: float,
    radius: float,
    depths: tuple[float, float, float],
    fat: float,
    arch: float,
) -> Body:
    """Return a body between two lines, for webs and flat muscles.

    Curves from one line to the other lie side by side; `sag` draws them towards the lines' beginnings.

    Args:
        first: line (2, 2) in millimetres.
        second: line (2, 2).
        sag: depth of the curves as a share of their span.
        radius: half width of the rounded border.
        depths: half depths at the beginning, the middle and the end.
        fat: thickness of skin and fat.
        arch: share of the half depth that is missing at the two lines.
    """
    back = first[0] + second[0] - first[1] - second[1]
    back = back / (np.linalg.norm(back) + 1e-6)
    extent = max(np.linalg.norm(first[1] - first[0]), np.linalg.norm(second[1] - second[0]))
    across = np.linspace(0, 1, _SHEET_NODES)[:, None]
    vault = 4 * across * (1 - across)
    share = np.linspace(0, 1, int(extent * _LINES_PER_RADIUS / radius) + 2)[:, None, None]
    left, right = (line[0] + share * (line[1] - line[0]) for line in (first, second))
    span = np.linalg.norm(right - left, axis=2, keepdims=True)
    curves = left + across * (right - left) + vault * sag * share * span * back
    start, middle, end = (1 - share) * (1 - 2 * share), 4 * share * (1 - share), share * (2 * share - 1)
    depth = (start * depths[0] + middle * depths[1] + end * depths[2]) * (1 - arch * (1 - vault))
    nodes = np.concatenate([curves, np.full_like(depth, radius), depth, np.full_like(depth, fat)], axis=2)
    return Body(nodes.reshape(-1, 5), np.arange(len(share) + 1) * _SHEET_NODES)


def tube(points: Points, radius: float, depths: tuple[float, ...]) -> Body:
    """Return a spindle along a line (N, 2) with half depths at its points."""
    stations = np.column_stack([points, np.full(len(points), radius), depths, np.zeros(len(points))])
    return line_body(smooth_nodes(stations))


def smooth_nodes(stations: Points) -> Points:
    """Interpolate stations (N, 5) without overshoot at nodes a few millimetres apart."""
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(stations[:, :2], axis=0), axis=1) + 1e-3)])
    places = np.linspace(0, along[-1], int(along[-1] / NODES_MM) + 2)
    return np.asarray(PchipInterpolator(along, stations)(places))
