"""Variety of anatomy: bone proportions and a smooth warp of the assembled hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONES, NUM_BONES, Group
from handseg_bundle_common.simulation.assets import HandModel

_WAVES = 8
# Standard deviations of the logarithm of length and width, by group.
_SCALE_SD = {
    Group.PHALANGES: (0.030, 0.050),
    Group.METACARPALS: (0.020, 0.050),
    Group.CARPALS: (0.040, 0.045),
    Group.FOREARM: (0.0, 0.035),
}


@dataclass(frozen=True)
class Shape:
    """Drawn anatomy of one person.

    Attributes:
        size: factor on the whole hand.
        bone_scales: factors along radial, proximal and dorsal for each bone (29, 3).
        wave_vectors: spatial frequencies of the warp in radians per millimetre (8, 3).
        wave_phases: phases of the warp (8,).
        wave_amplitudes: displacements of the warp in millimetres (8, 3).
        cortex: factor on the thickness of the cortex.
    """

    size: float
    bone_scales: NDArray[np.float64]
    wave_vectors: NDArray[np.float64]
    wave_phases: NDArray[np.float64]
    wave_amplitudes: NDArray[np.float64]
    cortex: float


def draw_shape(generator: np.random.Generator) -> Shape:
    """Draw the anatomy of one person."""
    scales = np.empty((NUM_BONES, 3))
    robustness = generator.normal(0, 0.035)
    for channel, bone in enumerate(BONES):
        length_sd, width_sd = _SCALE_SD[bone.group]
        width, depth = generator.normal(robustness, width_sd) + generator.normal(0, 0.015, 2)
        scales[channel] = np.exp([width, generator.normal(0, length_sd), depth])
    directions = generator.normal(size=(_WAVES, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    wavelengths = generator.uniform(50, 200, (_WAVES, 1))
    return Shape(
        size=float(np.exp(generator.normal(0, 0.06))),
        bone_scales=scales,
        wave_vectors=directions * 2 * np.pi / wavelengths,
        wave_phases=generator.uniform(0, 2 * np.pi, _WAVES),
        # The strain, amplitude over wavelength, is the same for all waves.
        wave_amplitudes=generator.normal(0, 0.0045, (_WAVES, 3)) * wavelengths,
        cortex=float(np.clip(generator.normal(1, 0.2), 0.5, 1.5)),
    )


def apply_shape(model: HandModel, shape: Shape) -> HandModel:
    """Return the hand of the drawn person at rest.

    Bones are scaled about their own centres; rays grow from the wrist outwards, so joints stay closed.
    """
    moves = _ray_shifts(model, shape)
    return HandModel(
        vertices=_warped(model, model.vertices, shape, moves),
        inner_vertices=_warped(model, _inner(model, shape), shape, moves),
        triangles=model.triangles,
        vertex_starts=model.vertex_starts,
        triangle_starts=model.triangle_starts,
        joint_centres=_warp(model.joint_centres + moves, shape),
    )


def _inner(model: HandModel, shape: Shape) -> NDArray[np.float32]:
    return model.vertices + (model.inner_vertices - model.vertices) * np.float32(shape.cortex)


def _anchor(model: HandModel, channel: int) -> NDArray[np.float64]:
    """Return the point that a bone is scaled about: its proximal end for long bones, its centre for carpals."""
    points = model.vertices[model.vertices_of(channel)]
    group = BONES[channel].group
    if group is Group.CARPALS:
        return np.asarray(points.mean(0), np.float64)
    end = points[:, 1].min() if group is Group.FOREARM else points[:, 1].max()
    return np.asarray(points[np.abs(points[:, 1] - end) < 4].mean(0), np.float64)


def _ray_shifts(model: HandModel, shape: Shape) -> NDArray[np.float64]:
    """Return how far each bone moves because the bones proximal to it in its ray grew (29, 3)."""
    moves = np.zeros((NUM_BONES, 3))
    for tip, base in ((0, 2), (3, 6), (7, 10), (11, 14), (15, 18)):
        for channel in range(base - 1, tip - 1, -1):
            parent = channel + 1
            arm = model.joint_centres[channel] - _anchor(model, parent)
            moves[channel] = moves[parent] + arm * (_scale(shape, parent) - 1)
    return moves


def _scale(shape: Shape, channel: int) -> NDArray[np.float64]:
    return shape.bone_scales[channel]


def _warped(
    model: HandModel, vertices: NDArray[np.float32], shape: Shape, moves: NDArray[np.float64]
) -> NDArray[np.float32]:
    scaled = np.empty_like(vertices)
    for channel in range(NUM_BONES):
        part, anchor = model.vertices_of(channel), _anchor(model, channel)
        offset = (anchor + moves[channel]).astype(np.float32)
        scaled[part] = (vertices[part] - anchor.astype(np.float32)) * shape.bone_scales[channel].astype(
            np.float32
        ) + offset
    return np.asarray(_warp(scaled, shape), np.float32)


def _warp(points: NDArray[np.floating], shape: Shape) -> NDArray[np.floating]:
    """Displace points (N, 3) by a sum of long waves, which keeps joint surfaces congruent, and scale them."""
    dtype = points.dtype
    phases = points @ shape.wave_vectors.T.astype(dtype) + shape.wave_phases.astype(dtype)
    return (points + np.sin(phases) @ shape.wave_amplitudes.astype(dtype)) * dtype.type(shape.size)
