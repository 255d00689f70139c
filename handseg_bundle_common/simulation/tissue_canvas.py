"""A grid of 0.6 mm on which bodies of soft tissue are stacked, and its way to the detector's pixels."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.simulation.bodies import Body
from handseg_bundle_common.simulation.projection import Beam

Image = NDArray[np.float32]

_GRID_MM = 0.6
# The grid is blurred by this standard deviation, so that the skin's edge has no steps.
_EDGE_MM = 0.35
# Muscles have softer borders than skin.
_SOFT_MM = 0.9
# Relative squared distance of grid points outside of a body; anything above 1.
_OUTSIDE = 9.0


class Canvas:
    """A coarse grid over a detector.

    Attributes:
        shape: rows and columns.
        pitch: distances of grid points along x and y in millimetres.
    """

    def __init__(self, beam: Beam) -> None:
        """Lay a grid of 0.6 mm, or of half a pixel where that is more, over a detector."""
        pitch = max(_GRID_MM, beam.spacing_mm / 2)
        extent = np.array([beam.height, beam.width]) * beam.spacing_mm
        rows, columns = np.maximum(np.round(extent / pitch).astype(int), 2)
        self.shape = (int(rows), int(columns))
        self.pitch = np.array([extent[1] / columns, extent[0] / rows])
        self._first = (self.pitch - beam.spacing_mm) / 2
        self._size = beam.width, beam.height
        self._scratch = np.full((4, *self.shape), _OUTSIDE, np.float32)

    def grid(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return columns and rows of points (N, 2) in millimetres on the detector."""
        return np.asarray((points - self._first) / self.pitch)

    def layers(
        self, fingers: Sequence[Body], palm: Sequence[Body], skin_mm: float, flatness: float
    ) -> tuple[Image, Image, Image]:
        """Return thickness from skin to skin, inside the skin and of the muscles (rows, columns).

        Neighbouring fingers add up as the root of their squares; palm, webs and fingers melt into each other as the
        root of their fourth powers.

        Args:
            fingers: bodies that lie beside each other.
            palm: bodies that lie within each other.
            skin_mm: thickness of the skin.
            flatness: exponent of the cross-sections.
        """
        total = np.zeros((3, *self.shape), np.float32)
        for body in fingers:
            box = self._cover(body)
            _stack(self._scratch[box], total[box], np.float32(skin_mm), np.float32(flatness), False)
        total *= total
        for body in palm:
            box = self._cover(body)
            _stack(self._scratch[box], total[box], np.float32(skin_mm), np.float32(flatness), True)
        smooth = [self._blurred(np.sqrt(np.sqrt(layer))) for layer in total]
        return smooth[0], smooth[1], smooth[2]

    def lenses(self, bodies: Sequence[Body], edge: float) -> Image:
        """Return the sum of bodies whose full half depth is their thickness (rows, columns); `edge` softens them."""
        total = np.zeros(self.shape, np.float32)
        for body in bodies:
            box = self._cover(body)
            _lens(self._scratch[box], total[box[1:]], np.float32(edge))
        return np.asarray(cv2.GaussianBlur(total, (9, 9), _SOFT_MM / float(self.pitch.mean())), np.float32)

    def enlarged(self, image: Image) -> Image:
        """Return an image of the grid at the detector's pixels (H, W)."""
        coarse = self._size[1] < self.shape[0]
        large = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA if coarse else cv2.INTER_CUBIC)
        return np.asarray(np.maximum(large, 0, out=large), np.float32)

    def _blurred(self, image: Image) -> Image:
        return np.asarray(cv2.GaussianBlur(image, (5, 5), _EDGE_MM / float(self.pitch.mean())), np.float32)

    def _cover(self, body: Body) -> tuple[slice, slice, slice]:
        """Write relative distance, half width, half depth and inset of a body into the scratch; return its box."""
        reach = body.nodes[:, 2].max()
        limit = np.array(self.shape[::-1])
        low = np.clip(np.floor(self.grid(body.nodes[:, :2].min(0) - reach)), 0, limit).astype(int)
        high = np.clip(np.ceil(self.grid(body.nodes[:, :2].max(0) + reach)) + 1, low, limit).astype(int)
        box = (slice(None), slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0])))
        _cover(body.nodes, body.starts, body.capped, self._first + low * self.pitch, self.pitch, self._scratch[box])
        return box


@numba.njit(cache=True, nogil=True)
def _cover(nodes, starts, capped, first, pitch, scratch):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Write the relative distance to the nearest line and what its nodes say there."""
    rows, columns = scratch.shape[1:]
    for line in range(len(starts) - 1):
        start, end = starts[line], starts[line + 1] - 1
        for k in range(start, end):
            ax, ay, bx, by = nodes[k, 0], nodes[k, 1], nodes[k + 1, 0], nodes[k + 1, 1]
            before, after = max(k - 1, start), min(k + 2, end)
            # Cross-sections at both nodes bound the segment, so that neighbours neither overlap nor gape.
            ux, uy = bx - nodes[before, 0], by - nodes[before, 1]
            vx, vy = nodes[after, 0] - ax, nodes[after, 1] - ay
            u_norm, v_norm = np.sqrt(ux * ux + uy * uy) + 1e-9, np.sqrt(vx * vx + vy * vy) + 1e-9
            reach = max(nodes[k, 2], nodes[k + 1, 2])
            top = max(int(np.ceil((min(ay, by) - reach - first[1]) / pitch[1])), 0)
            bottom = min(int((max(ay, by) + reach - first[1]) / pitch[1]), rows - 1)
            left = max(int(np.ceil((min(ax, bx) - reach - first[0]) / pitch[0])), 0)
            right = min(int((max(ax, bx) + reach - first[0]) / pitch[0]), columns - 1)
            for row in range(top, bottom + 1):
                y = first[1] + row * pitch[1]
                for column in range(left, right + 1):
                    x = first[0] + column * pitch[0]
                    ahead = ((x - ax) * ux + (y - ay) * uy) / u_norm
                    behind = -((x - bx) * vx + (y - by) * vy) / v_norm
                    if (ahead < 0 and (k > start or not capped)) or (behind < 0 and (k + 1 < end or not capped)):
                        continue
                    if ahead < 0 and behind < 0:
                        continue
                    share = 0.0 if ahead < 0 else (1.0 if behind < 0 else ahead / (ahead + behind + 1e-9))
                    width = nodes[k, 2] + share * (nodes[k + 1, 2] - nodes[k, 2])
                    distance = (x - ax - share * (bx - ax)) ** 2 + (y - ay - share * (by - ay)) ** 2
                    distance /= width * width
                    if distance < 1 and distance < scratch[0, row, column]:
                        scratch[0, row, column] = distance
                        scratch[1, row, column] = width
                        scratch[2, row, column] = nodes[k, 3] + share * (nodes[k + 1, 3] - nodes[k, 3])
                        scratch[3, row, column] = nodes[k, 4] + share * (nodes[k + 1, 4] - nodes[k, 4])


@numba.njit(cache=True, nogil=True, fastmath=True)
def _stack(scratch, total, skin, flatness, fourth):  # type: ignore[no-untyped-def]
    """Add powers of the chords through skin, fat and muscle, and wipe the scratch."""
    rows, columns = scratch.shape[1:]
    half = flatness / 2
    for row in range(rows):
        for column in range(columns):
            squared = scratch[0, row, column]
            if squared >= 1:
                continue
            scratch[0, row, column] = _OUTSIDE
            width, depth, inset = scratch[1, row, column], scratch[2, row, column], scratch[3, row, column]
            for layer in range(3):
                below = np.float32(0) if layer == 0 else (skin if layer == 1 else inset)
                if width - below < 0.5 or depth - below < 0.2:
                    break
                ratio = width / (width - below)
                inner = squared * ratio * ratio
                if inner >= 1:
                    break
                squared_chord = 4 * (depth - below) ** 2 * (1 - inner**half)
                total[layer, row, column] += squared_chord**2 if fourth else squared_chord


@numba.njit(cache=True, nogil=True, fastmath=True)
def _lens(scratch, total, edge):  # type: ignore[no-untyped-def]
    """Add half depths that fall to the bodies' borders, and wipe the scratch."""
    rows, columns = total.shape
    for row in range(rows):
        for column in range(columns):
            squared = scratch[0, row, column]
            if squared < 1:
                scratch[0, row, column] = _OUTSIDE
                total[row, column] += scratch[2, row, column] * (1 - squared) ** edge
