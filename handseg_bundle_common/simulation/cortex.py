"""The inner wall of the cortex of one person: thin at joint ends, plates below cartilage, irregular in shafts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONES, CHANNEL, NUM_BONES, Group
from handseg_bundle_common.simulation.hand_model import CHANNEL_OF_PART, HandModel, principal_axis
from handseg_bundle_common.simulation.settings import BoneSettings

Points = NDArray[np.float32]
_Float = TypeVar("_Float", np.float32, np.float64)

_WAVES = 6
# Depths in millimetres from which on the wall of a shaft begins and is fully one.
_THIN_MM, _SHAFT_MM = 0.5, 1.4
# Depth of the plate below cartilage against the drawn one, at the distal and the proximal end: the concave base of a
# phalanx and the radius bear the load on a small area.
_PLATES = {Group.PHALANGES: (0.6, 1.0), Group.METACARPALS: (0.55, 0.75), Group.CARPALS: (0.55, 0.55)}
_FOREARM_PLATES = {CHANNEL["Radius"]: 0.95, CHANNEL["Ulna"]: 0.7}
# Depth in the middle of shafts against the model's, fitted as the depths of the plates are to the rims of
# reference/intensity.csv.
_SHAFTS = {Group.PHALANGES: 0.95, Group.METACARPALS: 0.9, Group.CARPALS: 1.0, Group.FOREARM: 0.8}


@dataclass(frozen=True)
class Cortex:
    """Drawn cortex of one person.

    Attributes:
        factor: factor on its depth.
        end: factor on its depth at joint ends beside the cartilage.
        plate_mm: depth of the plate below the cartilage of a phalanx's base.
        wave_vectors: spatial frequencies of the inner wall's irregularity in radians per millimetre (6, 3).
        wave_phases: their phases (6,).
        wave_amplitude_mm: amplitude of each where a shaft has its full cortex.
    """

    factor: float
    end: float
    plate_mm: float
    wave_vectors: Points
    wave_phases: Points
    wave_amplitude_mm: float


def draw_cortex(generator: np.random.Generator, settings: BoneSettings, loss: float) -> Cortex:
    """Draw the cortex of one person who has lost the share `loss` of it."""
    directions = generator.normal(size=(_WAVES, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    wavelengths = generator.uniform(3.0, 14.0, (_WAVES, 1))
    return Cortex(
        factor=1 - loss,
        end=settings.end_cortex.draw(generator),
        plate_mm=settings.plate_mm.draw(generator),
        wave_vectors=(directions * 2 * np.pi / wavelengths).astype(np.float32),
        wave_phases=generator.uniform(0, 2 * np.pi, _WAVES).astype(np.float32),
        wave_amplitude_mm=settings.endosteum_mm.draw(generator) * (2 / _WAVES) ** 0.5,
    )


def inner_surface(hand: HandModel, cortex: Cortex) -> Points:
    """Return the inner wall (V, 3) of a posed hand's cortex with all that is particular to the person."""
    inwards = hand.inner_vertices - hand.vertices
    depth = np.sqrt(np.einsum("ij,ij->i", inwards, inwards)) + np.float32(1e-6)
    shaft = smoothstep((depth - _THIN_MM) / (_SHAFT_MM - _THIN_MM))
    thickest = np.repeat([_SHAFTS[BONES[channel].group] for channel in CHANNEL_OF_PART], np.diff(hand.vertex_starts))
    wanted = depth * cortex.factor * (cortex.end + (thickest - cortex.end) * shaft)
    thick = np.flatnonzero(shaft > 0)
    waves = np.sin(hand.vertices[thick] @ cortex.wave_vectors.T + cortex.wave_phases).sum(1)
    wanted[thick] += waves * shaft[thick] * cortex.wave_amplitude_mm
    inwards /= depth[:, None]
    for part in range(NUM_BONES):
        where = hand.slice_of(part)
        plate, covered = _plate(hand, part, inwards[where])
        # Where the cartilage ends the plate thins out; it is never thinner than the cortex beside it.
        plate = np.maximum(plate * cortex.plate_mm * cortex.factor, wanted[where])
        wanted[where] += covered * (plate - wanted[where])
    return np.asarray(hand.vertices + inwards * wanted[:, None].astype(np.float32), np.float32)


def distal_axis(hand: HandModel, part: int) -> NDArray[np.float64]:
    """Return the long axis of one part as a unit vector that points away from the elbow."""
    points = hand.vertices_of(part)[::4]
    axis = principal_axis(points)
    return np.asarray(axis * (np.sign(axis @ outwards(hand, part)) or 1.0), np.float64)


def outwards(hand: HandModel, part: int) -> NDArray[np.float64]:
    """Return a vector from the proximal to the distal half of one part."""
    channel = CHANNEL_OF_PART[part]
    centre = hand.vertices_of(part)[::16].mean(0)
    group = BONES[channel].group
    if group is Group.FOREARM:
        return np.asarray(hand.joint_centres[CHANNEL["Capitate"]] - centre)
    if group is Group.METACARPALS:
        return np.asarray(hand.joint_centres[channel - 1] - centre)
    return np.asarray(centre - hand.joint_centres[channel])


def _plate(hand: HandModel, part: int, inwards: Points) -> tuple[Points | float, Points]:
    """Return the relative depth of the plates below cartilage and the degree to which each vertex lies on one."""
    group = BONES[CHANNEL_OF_PART[part]].group
    # The axes of carpal bones point anywhere; their joints face the forearm and the metacarpals.
    axis = distal_axis(hand, CHANNEL["finger-11"] if group is Group.CARPALS else part).astype(np.float32)
    facing = -inwards @ axis
    if group is Group.FOREARM:
        return _FOREARM_PLATES[part], smoothstep((facing - 0.5) / 0.35)
    distal, proximal = _PLATES[group]
    return np.where(facing > 0, np.float32(distal), np.float32(proximal)), smoothstep((np.abs(facing) - 0.5) / 0.35)


def smoothstep(share: NDArray[_Float]) -> NDArray[_Float]:
    """Return 0 below 0, 1 above 1 and a smooth rise between."""
    clipped = np.clip(share, 0, 1)
    return np.asarray(clipped * clipped * (3 - 2 * clipped), share.dtype)
