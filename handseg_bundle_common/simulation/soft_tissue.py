"""Thickness of the soft tissue: a smooth skin around the rays of the hand and the forearm."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import CHANNEL
from handseg_bundle_common.simulation.hand_model import RAYS, HandModel
from handseg_bundle_common.simulation.projection import Beam
from handseg_bundle_common.simulation.settings import TissueSettings

_GRID_MM = 2.0
# Distance in millimetres over which neighbouring rays flow into each other.
_BLEND_MM = 3.0
# Half widths and half thicknesses in millimetres at the elbow, wrist, base and head of the metacarpal, further joints
# and tip of each ray.
_HALF_WIDTHS = (
    (19, 21, 14, 13, 11.5, 8.5),
    (19, 21, 13, 13.5, 10.8, 9.4, 7.4),
    (17, 19, 13, 12.5, 11.0, 9.6, 7.6),
    (15, 14, 13, 12, 10.6, 9.2, 7.2),
    (16, 16, 17, 13.5, 9.4, 8.2, 6.4),
)
_HALF_DEPTHS = (
    (20, 16.5, 16, 11, 9, 6.5),
    (20, 16.5, 15, 11, 9, 7.6, 6),
    (20, 16.5, 15, 11.5, 9.2, 7.8, 6),
    (20, 16.5, 15, 11, 9, 7.4, 5.8),
    (20, 16.5, 15, 10.5, 8, 6.6, 5.2),
)


@dataclass(frozen=True)
class SoftTissue:
    """Soft tissue on the detector, as if there were no bones.

    Attributes:
        thickness_mm: distance from skin to skin along the rays (H, W).
        water_mm: water that attenuates like it (H, W).
    """

    thickness_mm: NDArray[np.float32]
    water_mm: NDArray[np.float32]


@dataclass(frozen=True)
class Build:
    """Drawn soft tissue of one person: factors on the widths of fingers and palm and on all depths, and the webs.

    Attributes:
        width: factor on all half widths.
        depth: factor on all half thicknesses.
        web: place of the web folds along the proximal phalanges, 0 at the metacarpal heads, 1 at the next joints.
        thumb_web: half width in millimetres of the fold between thumb and index finger.
    """

    width: float
    depth: float
    web: float
    thumb_web: float


def draw_build(generator: np.random.Generator, settings: TissueSettings) -> Build:
    """Draw the soft tissue of one person."""
    return Build(
        width=float(np.exp(settings.width.draw(generator))),
        depth=float(np.exp(generator.normal(0, 0.08))),
        web=float(generator.uniform(0.2, 0.4)),
        thumb_web=float(generator.uniform(5, 10)),
    )


def soft_tissue(hand: HandModel, beam: Beam, build: Build, size: float, generator: np.random.Generator) -> SoftTissue:
    """Return the soft tissue at every pixel (H, W).

    The skin is a smooth union of tapered rays that run from the elbow to the finger tips; their cross-sections are
    ellipses, so neither joints nor the wrist leave a step.

    Args:
        hand: posed hand in the beam's frame.
        beam: detector.
        build: drawn soft tissue.
        size: factor on the whole hand.
        generator: source of the texture of fat and muscle.
    """
    scale = np.array([1, 1, build.width * size, build.depth * size])
    lines = [line * scale for line in [*_rays(hand, beam), *_webs(hand, beam, build)]]
    nodes, starts = np.concatenate(lines), np.cumsum([0, *map(len, lines)])
    step = _GRID_MM / beam.spacing_mm
    grid = int(np.ceil(beam.height / step)) + 2, int(np.ceil(beam.width / step)) + 2
    field = _union(nodes, starts, grid[0], grid[1], _BLEND_MM * size)
    matrix = np.array([[1 / step, 0, 0], [0, 1 / step, 0]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    fine = cv2.warpAffine(field, matrix, (beam.width, beam.height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    inside, radius, depth = fine[..., 0], np.maximum(fine[..., 1], 1), np.maximum(fine[..., 2], 0)
    across = 1 - np.clip(inside / radius, 0, 1)
    thickness = np.asarray(2 * depth * np.sqrt(1 - across * across), np.float32)
    return SoftTissue(thickness, thickness)


def _flat(points: NDArray[np.float64], beam: Beam) -> NDArray[np.float64]:
    return beam.onto_detector(points)[0] * beam.spacing_mm


def _tip(hand: HandModel, channel: int) -> NDArray[np.float64]:
    """Return the centre of a distal phalanx's tuft: its vertices farthest from its joint."""
    points = hand.vertices_of(channel)
    distance = np.linalg.norm(points - hand.joint_centres[channel], axis=1)
    return np.asarray(points[distance > np.quantile(distance, 0.9)].mean(0), np.float64)


def _end(hand: HandModel, channel: int, proximal: bool) -> NDArray[np.float64]:
    points = hand.vertices_of(channel)
    limit = np.quantile(points[:, 1], 0.97 if proximal else 0.1)
    chosen = points[:, 1] > limit if proximal else points[:, 1] < limit
    return np.asarray(points[chosen].mean(0), np.float64)


def _ray_points(hand: HandModel, ray: int) -> NDArray[np.float64]:
    chain = RAYS[ray]
    forearm = CHANNEL["Radius"] if ray < 3 else CHANNEL["Ulna"]
    metacarpal = hand.vertices_of(chain[0])
    head = hand.joint_centres[chain[1]]
    distance = np.linalg.norm(metacarpal - head, axis=1)
    base = metacarpal[distance > np.quantile(distance, 0.9)].mean(0)
    joints = [hand.joint_centres[channel] for channel in chain[1:]]
    ends = [_end(hand, forearm, proximal=True), _end(hand, forearm, proximal=False)]
    return np.array([*ends, base, *joints, _tip(hand, chain[-1])])


def _rays(hand: HandModel, beam: Beam) -> list[NDArray[np.float64]]:
    """Return for each ray its nodes: x and y on the detector, half width and half depth in millimetres."""
    return [
        np.column_stack([_flat(_ray_points(hand, ray), beam), _HALF_WIDTHS[ray], _HALF_DEPTHS[ray]]) for ray in range(5)
    ]


def _webs(hand: HandModel, beam: Beam, build: Build) -> list[NDArray[np.float64]]:
    """Return the folds between neighbouring fingers and the one between thumb and index finger."""
    rays = [_flat(_ray_points(hand, ray), beam) for ray in range(5)]
    folds = []
    for ray in range(1, 4):
        left, right = (points[3] + build.web * (points[4] - points[3]) for points in rays[ray : ray + 2])
        folds.append(np.column_stack([[left, right], [6.0, 6.0], [9.0, 9.0]]))
    thumb, index = rays[0], rays[1]
    for on_thumb, on_index, width, depth in (
        (0.4, 0.25, 11.0, 12.0),
        (0.6, 0.4, 10.0, 10.5),
        (0.85, 0.6, build.thumb_web, 8.5),
    ):
        ends = [points[2] + share * (points[3] - points[2]) for points, share in ((thumb, on_thumb), (index, on_index))]
        folds.append(np.column_stack([ends, [width, width], [depth, depth]]))
    return folds


@numba.njit(cache=True, nogil=True)
def _union(nodes, starts, rows, columns, blend):  # type: ignore[no-untyped-def]
    """Return depth below the skin, half width and half thickness on the grid (rows, columns, 3)."""
    field = np.zeros((rows, columns, 3), np.float32)
    for row in range(rows):
        for column in range(columns):
            x, y = column * _GRID_MM, row * _GRID_MM
            total, width, depth = 0.0, 0.0, 0.0
            for line in range(len(starts) - 1):
                best, best_width, best_depth = 1e9, 0.0, 0.0
                for k in range(starts[line], starts[line + 1] - 1):
                    dx, dy = nodes[k + 1, 0] - nodes[k, 0], nodes[k + 1, 1] - nodes[k, 1]
                    share = ((x - nodes[k, 0]) * dx + (y - nodes[k, 1]) * dy) / (dx * dx + dy * dy + 1e-9)
                    share = min(max(share, 0.0), 1.0)
                    radius = nodes[k, 2] + share * (nodes[k + 1, 2] - nodes[k, 2])
                    distance = (
                        np.sqrt((x - nodes[k, 0] - share * dx) ** 2 + (y - nodes[k, 1] - share * dy) ** 2) - radius
                    )
                    if distance < best:
                        best, best_width = distance, radius
                        best_depth = nodes[k, 3] + share * (nodes[k + 1, 3] - nodes[k, 3])
                weight = np.exp(-min(best, 60.0) / blend)
                total += weight
                width += weight * best_width
                depth += weight * best_depth
            field[row, column, 0] = blend * np.log(total)
            field[row, column, 1] = width / total
            field[row, column, 2] = depth / total
    return field
