"""Variety of anatomy: bone proportions and a smooth warp of the assembled hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONES, NUM_BONES, Group
from handseg_bundle_common.simulation.distributions import Distribution
from handseg_bundle_common.simulation.hand_model import RAYS, Growth, HandModel, grow_bones
from handseg_bundle_common.simulation.settings import ShapeSettings

_Float = TypeVar("_Float", np.float32, np.float64)

_WAVES, _RIPPLES = 8, 10


@dataclass(frozen=True)
class Shape:
    """Drawn anatomy of one person.

    Attributes:
        size: factor on the whole hand.
        growth: factors on every bone.
        wave_vectors: spatial frequencies of the warp in radians per millimetre (18, 3): long waves, then ripples.
        wave_phases: phases of the warp (18,).
        wave_amplitudes: displacements of the warp in millimetres (18, 3).
        cortex: factor on the thickness of the cortex.
        sesamoids: whether the thumb has its radial and its ulnar sesamoid.
        sesamoids_labelled: whether masks of the thumb's metacarpal hold them.
    """

    size: float
    growth: Growth
    wave_vectors: NDArray[np.float64]
    wave_phases: NDArray[np.float64]
    wave_amplitudes: NDArray[np.float64]
    cortex: float
    sesamoids: tuple[bool, bool]
    sesamoids_labelled: bool


def draw_shape(generator: np.random.Generator, settings: ShapeSettings) -> Shape:
    """Draw the anatomy of one person."""
    growth = _draw_growth(generator, settings)
    long = _draw_waves(generator, _WAVES, settings.warp_wavelength_mm)
    short = _draw_waves(generator, _RIPPLES, settings.ripple_wavelength_mm)
    # The strain, amplitude over wavelength, is the same for all long waves.
    strain = np.array([settings.warp_strain.draw(generator) for _ in range(3 * _WAVES)]).reshape(_WAVES, 3)
    ripples = generator.normal(0, settings.ripple_mm.draw(generator) / np.sqrt(_RIPPLES / 2), (_RIPPLES, 3))
    wavelengths = 2 * np.pi / np.linalg.norm(long, axis=1, keepdims=True)
    return Shape(
        size=float(np.exp(settings.size.draw(generator))),
        growth=growth,
        wave_vectors=np.concatenate([long, short]),
        wave_phases=generator.uniform(0, 2 * np.pi, _WAVES + _RIPPLES),
        wave_amplitudes=np.concatenate([strain * wavelengths, ripples]),
        cortex=settings.cortex.draw(generator),
        sesamoids=(bool(generator.random() < settings.sesamoid), bool(generator.random() < settings.sesamoid)),
        sesamoids_labelled=bool(generator.random() < settings.sesamoids_labelled),
    )


def apply_shape(model: HandModel, shape: Shape) -> HandModel:
    """Return the hand of the drawn person at rest."""
    cortex = (model.inner_vertices - model.vertices) * np.float32(shape.cortex)
    grown = grow_bones(replace(model, inner_vertices=model.vertices + cortex), shape.growth)
    moved = _warp(grown.vertices, shape)
    return replace(
        grown,
        vertices=moved,
        inner_vertices=moved + (grown.inner_vertices - grown.vertices) * np.float32(shape.size),
        joint_centres=_warp(grown.joint_centres, shape),
    )


def _draw_growth(generator: np.random.Generator, settings: ShapeSettings) -> Growth:
    """Draw factors on every bone: those of the person, of the ray and of the bone itself."""
    spread = {
        Group.PHALANGES: (settings.phalanx_length, settings.phalanx_width),
        Group.METACARPALS: (settings.metacarpal_length, settings.metacarpal_width),
        Group.CARPALS: (settings.carpal_length, settings.carpal_width),
        Group.FOREARM: (settings.forearm_length, settings.forearm_width),
    }
    robustness, fingers = settings.robustness.draw(generator), settings.finger_length.draw(generator)
    lengths, widths, depths = np.empty(NUM_BONES), np.empty(NUM_BONES), np.empty(NUM_BONES)
    for channel, bone in enumerate(BONES):
        length, width = spread[bone.group]
        longer = fingers if bone.group is Group.PHALANGES else 0.0
        lengths[channel] = longer + length.draw(generator)
        widths[channel] = robustness + width.draw(generator)
        depths[channel] = widths[channel] + settings.depth.draw(generator)
    for ray in RAYS:
        lengths[list(ray)] += settings.ray_length.draw(generator)
    nothing = np.zeros(NUM_BONES)
    return Growth(np.exp(widths), np.exp(lengths), np.exp(depths), nothing, np.zeros((NUM_BONES, 3)))


def _draw_waves(generator: np.random.Generator, count: int, wavelength_mm: Distribution) -> NDArray[np.float64]:
    """Return wave vectors (count, 3) of random directions in radians per millimetre."""
    directions = generator.normal(size=(count, 3))
    wavelengths = np.array([wavelength_mm.draw(generator) for _ in range(count)])
    scale = 2 * np.pi / (wavelengths * np.linalg.norm(directions, axis=1))
    return np.asarray(directions * scale[:, None])


def _warp(points: NDArray[_Float], shape: Shape) -> NDArray[_Float]:
    """Displace points (N, 3) by a sum of waves and scale them; both faces of a joint move alike."""
    dtype = points.dtype
    phases = points @ shape.wave_vectors.T.astype(dtype) + shape.wave_phases.astype(dtype)
    moved: NDArray[_Float] = (points + np.sin(phases) @ shape.wave_amplitudes.astype(dtype)) * dtype.type(shape.size)
    return moved
