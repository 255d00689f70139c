"""What lies inside a bone along the rays: cortex, spongy bone with its texture and physeal scar, and marrow."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from handseg_bundle_common.simulation.texture import sample

# Step in millimetres of the tables along a bone.
STEP_MM = 0.5
# Fat marrow, which fills an adult's hand, attenuates like about this share of water: adipose tissue of
# 0.95 g/cm3 has 0.2396 * 0.95 / 0.2683 = 0.85 at 40 keV (ICRU Report 44; NISTIR 5632).
_MARROW_WATER = 0.86
# Texture of 10 mm of cortex against that of spongy bone.
_CORTICAL_TEXTURE = 0.1
# Standard deviation of a physeal scar along the bone.
_SCAR_WIDTH_MM = 0.5


class Pattern(NamedTuple):
    """Texture and physeal scar of one bone.

    Attributes:
        pitch: distance of the tile's pixels in millimetres.
        shift_x: place of the bone in the tile in pixels, along the bone.
        shift_y: the same across the bone.
        stretch: length over width of the structures.
        texture: standard deviation of 10 mm of spongy bone from ray to ray, as a share of its compact bone.
        scar: spongy bone that the scar adds, as a share of what is around it.
        scar_place: its distance from the bone's distal end in millimetres.
    """

    pitch: float
    shift_x: float
    shift_y: float
    stretch: float
    texture: float
    scar: float
    scar_place: float


@numba.njit(cache=True, nogil=True)
def add_bone(total, core, frame, profile, tile, pattern, sums):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Add compact bone, water and thickness of one bone in millimetres to `sums` (3, h, w).

    Independent trabeculae add up along the ray, so the texture grows with the square root of the path.

    Args:
        total: path inside the outer surface (h, w) in millimetres.
        core: path inside the inner wall of the cortex (h, w).
        frame: (2, 3), takes (column, row, 1) to millimetres along the bone from its distal end and across it.
        profile: every `STEP_MM` along the bone (n, 4): the share of compact bone in the core, the bone's middle
            across, the squeeze of its trabeculae where it is narrow, and the share of compact bone in the cortex.
        tile: periodic pattern of mean 0 whose size is a power of two.
        pattern: texture and physeal scar.
        sums: compact bone, water and thickness, changed in place.
    """
    last = len(profile) - 1
    for row in range(total.shape[0]):
        for column in range(total.shape[1]):
            if total[row, column] <= 0:
                continue
            x = frame[0, 0] * column + frame[0, 1] * row + frame[0, 2]
            y = frame[1, 0] * column + frame[1, 1] * row + frame[1, 2]
            place = min(max(x / STEP_MM, 0.0), last - 1e-3)
            k = int(place)
            place -= k
            share = _between(profile, k, place, 0)
            u = x / pattern.stretch / pattern.pitch
            v = (y - _between(profile, k, place, 1)) * _between(profile, k, place, 2) / pattern.pitch
            grain = sample(tile, v + pattern.shift_y, u + pattern.shift_x)
            beside = x - pattern.scar_place
            if pattern.scar > 0 and abs(beside) < 4 * _SCAR_WIDTH_MM:
                wave = sample(tile, 0.2 * v + pattern.shift_x, 0.2 * u + pattern.shift_y)
                beside = (beside + 0.4 * wave) / _SCAR_WIDTH_MM
                share *= 1 + pattern.scar * max(0.7 + 0.5 * wave, 0.0) * np.exp(-0.5 * beside * beside)
            inside = core[row, column]
            cortex = (total[row, column] - inside) * _between(profile, k, place, 3)
            texture = pattern.texture * grain
            spongy = share * max(inside + np.sqrt(10 * inside) * texture, 0.0)
            compact = max(cortex + np.sqrt(10 * cortex) * _CORTICAL_TEXTURE * texture, 0.0)
            sums[0, row, column] += min(compact + spongy, total[row, column])
            sums[1, row, column] += (total[row, column] - cortex - share * inside) * _MARROW_WATER
            sums[2, row, column] += total[row, column]


@numba.njit(cache=True, nogil=True)
def _between(table, k, share, column):  # type: ignore[no-untyped-def]
    return table[k, column] + (table[k + 1, column] - table[k, column]) * share
