"""Variety of anatomy: bone proportions and a smooth warp of the assembled hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONES, NUM_BONES, Group
from handseg_bundle_common.simulation.hand_model import HandModel, grow_bones
from handseg_bundle_common.simulation.settings import ShapeSettings

_Float = TypeVar("_Float", np.float32, np.float64)

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
        widths: factors across the axis of each bone (29,).
        lengths: factors along the axis of each bone (29,).
        wave_vectors: spatial frequencies of the warp in radians per millimetre (8, 3).
        wave_phases: phases of the warp (8,).
        wave_amplitudes: displacements of the warp in millimetres (8, 3).
        cortex: factor on the thickness of the cortex.
        sesamoids: whether the thumb has its radial and its ulnar sesamoid.
        sesamoids_labelled: whether masks of the thumb's metacarpal hold them.
    """

    size: float
    widths: NDArray[np.float64]
    lengths: NDArray[np.float64]
    wave_vectors: NDArray[np.float64]
    wave_phases: NDArray[np.float64]
    wave_amplitudes: NDArray[np.float64]
    cortex: float
    sesamoids: tuple[bool, bool]
    sesamoids_labelled: bool


def draw_shape(generator: np.random.Generator, settings: ShapeSettings) -> Shape:
    """Draw the anatomy of one person."""
    widths, lengths = np.empty(NUM_BONES), np.empty(NUM_BONES)
    robustness = generator.normal(0, 0.035)
    for channel, bone in enumerate(BONES):
        length_sd, width_sd = _SCALE_SD[bone.group]
        lengths[channel] = np.exp(generator.normal(0, length_sd))
        widths[channel] = np.exp(generator.normal(robustness, width_sd))
    directions = generator.normal(size=(_WAVES, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    wavelengths = generator.uniform(50, 200, (_WAVES, 1))
    return Shape(
        size=float(np.exp(settings.size.draw(generator))),
        widths=widths,
        lengths=lengths,
        wave_vectors=directions * 2 * np.pi / wavelengths,
        wave_phases=generator.uniform(0, 2 * np.pi, _WAVES),
        # The strain, amplitude over wavelength, is the same for all waves.
        wave_amplitudes=generator.normal(0, 0.0045, (_WAVES, 3)) * wavelengths,
        cortex=float(np.clip(generator.normal(1, 0.2), 0.5, 1.5)),
        sesamoids=(bool(generator.random() < settings.sesamoid), bool(generator.random() < settings.sesamoid)),
        sesamoids_labelled=bool(generator.random() < settings.sesamoids_labelled),
    )


def apply_shape(model: HandModel, shape: Shape) -> HandModel:
    """Return the hand of the drawn person at rest."""
    cortex = (model.inner_vertices - model.vertices) * np.float32(shape.cortex)
    grown = grow_bones(
        replace(model, inner_vertices=model.vertices + cortex), shape.widths, shape.lengths, np.zeros((NUM_BONES, 3))
    )
    moved = _warp(grown.vertices, shape)
    return replace(
        grown,
        vertices=moved,
        inner_vertices=moved + (grown.inner_vertices - grown.vertices) * np.float32(shape.size),
        joint_centres=_warp(grown.joint_centres, shape),
    )


def _warp(points: NDArray[_Float], shape: Shape) -> NDArray[_Float]:
    """Displace points (N, 3) by a sum of long waves, which keeps joint surfaces congruent, and scale them."""
    dtype = points.dtype
    phases = points @ shape.wave_vectors.T.astype(dtype) + shape.wave_phases.astype(dtype)
    moved: NDArray[_Float] = (points + np.sin(phases) @ shape.wave_amplitudes.astype(dtype)) * dtype.type(shape.size)
    return moved
