"""One simulated hand: anatomy, pose, projection and appearance from one seed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import CHANNEL, Side
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.simulation.attenuation import SOFT_TISSUE, bone_image, texture_tile
from handseg_bundle_common.simulation.detector import Appearance, develop, draw_appearance
from handseg_bundle_common.simulation.hand_model import HandModel
from handseg_bundle_common.simulation.pose import Pose, apply_pose, draw_pose
from handseg_bundle_common.simulation.projection import Beam
from handseg_bundle_common.simulation.shape import Shape, apply_shape, draw_shape
from handseg_bundle_common.simulation.soft_tissue import Build, draw_build, soft_tissue_thickness

# A radiograph shows about this height of the world: third metacarpals of 65 mm are 447 of 2048 pixels long.
_FIELD_MM = 312.0
# Coarser pixels than this sample the thickness three times finer than their centres.
_OVERSAMPLED_MM = 0.4
# Standard deviation of the trabecular texture against the bone's own attenuation.
_TEXTURE = 0.10
# Framing: bones keep this distance from the edges, and at least this much is left below the wrist's centre.
_MARGIN_MM, _FOREARM_MM, _MAGNIFICATION = 8.0, 65.0, 1.02


@dataclass(frozen=True)
class Placement:
    """Drawn geometry of one exposure.

    Attributes:
        field_mm: height of the picture on the detector.
        wrist: place of the wrist's centre as shares of the width and height, for a right hand.
        source_mm: height of the X-ray source above the detector.
        source_offset_mm: foot of the source (x, y) against the picture's centre.
        clearance_mm: distance of the lowest bone from the detector.
    """

    field_mm: float
    wrist: tuple[float, float]
    source_mm: float
    source_offset_mm: tuple[float, float]
    clearance_mm: float


@dataclass(frozen=True)
class SimulatedHand:
    """One radiograph with exact masks and all that was drawn for it.

    Attributes:
        radiograph: float32 (H, W), 0..1, bone bright.
        packed_masks: (H, W) uint32, bit k is bone k of `anatomy.BONES`.
        side: side of the body; a right hand has its thumb on the left of the picture.
        seed: seed of the patient.
        spacing_mm: distance of pixel centres on the detector.
        shape: bones of the patient.
        build: soft tissue of the patient.
        pose: pose of the hand.
        placement: geometry of the exposure.
        appearance: look of the radiograph.
    """

    radiograph: NDArray[np.float32]
    packed_masks: Packed
    side: Side
    seed: int
    spacing_mm: float
    shape: Shape
    build: Build
    pose: Pose
    placement: Placement
    appearance: Appearance


def hand_of(seed: int, number: int) -> tuple[int, Side]:
    """Return the patient's seed and the side of hand `number` of a set; hands 2 n and 2 n + 1 are one patient's.

    Sets of different seeds share no patient: the seed is mixed with the patient's number (NumPy's `SeedSequence`).
    """
    patient = np.random.SeedSequence([seed, number // 2]).generate_state(1, np.uint64)
    return int(patient[0]), list(Side)[number % 2]


def patient_name(number: int) -> str:
    """Return the name of the patient of hand `number` of a set, from sim0001 on."""
    return f"sim{number // 2 + 1:04d}"


def simulate_hand(seed: int, size: int | tuple[int, int], side: Side, assets: HandModel) -> SimulatedHand:
    """Simulate one posteroanterior radiograph.

    Both hands of a seed have the same bones and soft tissue; pose, placement and appearance are drawn for each.

    Args:
        seed: patient, a non-negative integer; the same seed, size and side give the same bytes.
        size: height and width in pixels, or one number for a square.
        side: which hand.
        assets: bones from `load_assets`.
    """
    height, width = (size, size) if isinstance(size, int) else size
    person, exposure = _generators(seed, Side(side))
    shape, build = draw_shape(person), draw_build(person)
    pose, placement, appearance = draw_pose(exposure), draw_placement(exposure), draw_appearance(exposure)
    hand = _mirrored(apply_pose(apply_shape(assets, shape), pose))
    placement = _framed(hand, placement, width / height)
    spacing = placement.field_mm / height
    oversampling = 3 if spacing > _OVERSAMPLED_MM else 1
    beam = _beam(placement, height, width, spacing)
    hand = _laid(hand, placement, beam)
    bones = bone_image(hand, beam, oversampling, texture_tile(exposure, spacing), _TEXTURE)
    skin = soft_tissue_thickness(hand, beam, build, shape.size)
    line_integrals = np.float32(SOFT_TISSUE) * np.maximum(skin, bones.thickness_mm) + bones.excess
    radiograph = develop(line_integrals, bones.packed_masks > 0, spacing, appearance, exposure)
    packed = bones.packed_masks
    if Side(side) is Side.LEFT:
        radiograph, packed = np.ascontiguousarray(radiograph[:, ::-1]), np.ascontiguousarray(packed[:, ::-1])
    return SimulatedHand(radiograph, packed, Side(side), seed, spacing, shape, build, pose, placement, appearance)


def draw_placement(generator: np.random.Generator) -> Placement:
    """Draw where the hand lies on the detector; the forearm leaves the picture through its bottom."""
    x, y = generator.normal(0.495, 0.03), generator.normal(0.675, 0.03)
    offset = generator.normal(0, 15, 2)
    return Placement(
        field_mm=float(_FIELD_MM * np.exp(generator.normal(0, 0.02))),
        wrist=(float(x), float(y)),
        source_mm=float(generator.uniform(950, 1150)),
        source_offset_mm=(float(offset[0]), float(offset[1])),
        clearance_mm=float(generator.uniform(3, 8)),
    )


def _generators(seed: int, side: Side) -> tuple[np.random.Generator, np.random.Generator]:
    """Return the generators of the person and of this exposure."""
    hand = 1 + list(Side).index(side)
    return np.random.default_rng(np.random.SeedSequence([seed, 0])), np.random.default_rng(
        np.random.SeedSequence([seed, hand])
    )


def _framed(hand: HandModel, drawn: Placement, aspect: float) -> Placement:
    """Move the wrist, and step back if need be, until the picture shows every bone of the hand.

    Args:
        hand: posed hand, thumb to the left, with the wrist's centre as its origin.
        drawn: placement without regard to this hand.
        aspect: width over height of the picture.
    """
    fingers = hand.vertices[: hand.slice_of(CHANNEL["finger-19"]).stop, :2] * _MAGNIFICATION
    low, high = fingers.min(0) - _MARGIN_MM, fingers.max(0) + _MARGIN_MM
    field = max(drawn.field_mm, float(high[0] - low[0]) / aspect, float(-low[1]) + _FOREARM_MM)
    x, y = np.array(drawn.wrist) * [aspect * field, field]
    x = np.clip(x, -low[0], aspect * field - high[0])
    y = np.clip(y, -low[1], field - _FOREARM_MM)
    return replace(drawn, field_mm=field, wrist=(float(x / (aspect * field)), float(y / field)))


def _beam(placement: Placement, height: int, width: int, spacing: float) -> Beam:
    centre = np.array([width, height]) * spacing / 2 + placement.source_offset_mm
    return Beam(height, width, spacing, (float(centre[0]), float(centre[1]), placement.source_mm))


def _mirrored(hand: HandModel) -> HandModel:
    """Turn the right hand's radial axis against the columns: the thumb lies on the left, as seen from the source."""
    mirror = np.array([-1, 1, 1], np.float32)
    return replace(
        hand,
        vertices=hand.vertices * mirror,
        inner_vertices=hand.inner_vertices * mirror,
        triangles=np.ascontiguousarray(hand.triangles[:, ::-1]),
        joint_centres=hand.joint_centres * mirror,
    )


def _laid(hand: HandModel, placement: Placement, beam: Beam) -> HandModel:
    """Lay the hand on the detector."""
    x, y = np.array(placement.wrist) * [beam.width, beam.height] * beam.spacing_mm
    lowest = hand.vertices[: hand.slice_of(CHANNEL["finger-19"]).stop, 2].min()
    offset = np.array([x, y, placement.clearance_mm - lowest], np.float32)
    return replace(
        hand,
        vertices=hand.vertices + offset,
        inner_vertices=hand.inner_vertices + offset,
        joint_centres=hand.joint_centres + offset,
    )
