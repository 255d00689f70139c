"""One simulated hand: anatomy, pose, projection and appearance from one seed."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import CHANNEL, NUM_BONES, Side
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.simulation.attenuation import BoneTissue, bone_image, draw_bone_tissue
from handseg_bundle_common.simulation.collisions import worst_clash
from handseg_bundle_common.simulation.detector import Appearance, develop, draw_appearance
from handseg_bundle_common.simulation.field import Scene, draw_scene, furnish
from handseg_bundle_common.simulation.hand_model import SESAMOIDS, HandModel
from handseg_bundle_common.simulation.placement import Placement, draw_placement, place
from handseg_bundle_common.simulation.pose import Pose, apply_pose, draw_deviation, draw_pose
from handseg_bundle_common.simulation.presets import DATASET
from handseg_bundle_common.simulation.settings import PoseSettings, Settings
from handseg_bundle_common.simulation.shape import Shape, apply_shape, draw_shape
from handseg_bundle_common.simulation.soft_tissue import Build, draw_build, soft_tissue

_TRIES = 12
# Below this bones have no pixel left; above it a radiograph takes more memory than a worker should.
MIN_SIZE, MAX_SIZE = 64, 4096


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
        bone: bone of the patient.
        pose: pose of the hand.
        placement: geometry of the exposure.
        appearance: look of the radiograph.
        scene: what stands beside the hand.
    """

    radiograph: NDArray[np.float32]
    packed_masks: Packed
    side: Side
    seed: int
    spacing_mm: float
    shape: Shape
    build: Build
    bone: BoneTissue
    pose: Pose
    placement: Placement
    appearance: Appearance
    scene: Scene


def hand_of(seed: int, number: int) -> tuple[int, Side]:
    """Return the patient's seed and the side of hand `number` of a set; hands 2 n and 2 n + 1 are one patient's.

    Sets of different seeds share no patient: the seed is mixed with the patient's number (NumPy's `SeedSequence`).
    """
    patient = np.random.SeedSequence([seed, number // 2]).generate_state(1, np.uint64)
    return int(patient[0]), list(Side)[number % 2]


def patient_name(number: int, seed: int) -> str:
    """Return the name of the patient of hand `number` of a set: sim7-0001 is the first of seed 7."""
    return f"sim{seed}-{number // 2 + 1:04d}"


def check_request(count: int, size: int | tuple[int, int], seed: int) -> None:
    """Refuse numbers of which no hands can be made.

    Raises:
        HandsegInputError: the count is below 1, a side in pixels out of range, or the seed negative.
    """
    if count < 1:
        raise HandsegInputError("count", f"{count} hands are none", "ask for at least 1")
    sides = size if isinstance(size, tuple) and len(size) == 2 else (size,)
    if not all(isinstance(side, Integral) and MIN_SIZE <= side <= MAX_SIZE for side in sides):
        raise HandsegInputError("size", f"{size} px is out of range", f"choose {MIN_SIZE} to {MAX_SIZE}")
    if seed < 0:
        raise HandsegInputError("seed", f"{seed} is negative", "choose 0 or more")


def simulate_hand(
    seed: int, size: int | tuple[int, int], side: Side, assets: HandModel, settings: Settings = DATASET
) -> SimulatedHand:
    """Simulate one posteroanterior radiograph.

    Both hands of a seed have the same bones and soft tissue; pose, placement and appearance are drawn for each.

    Args:
        seed: patient, a non-negative integer; the same seed, size, side and settings give the same bytes.
        size: height and width in pixels, or the longer side alone where the settings draw the shape.
        side: which hand.
        assets: bones from `load_assets`.
        settings: what is drawn from which ranges.
    """
    person, exposure = _generators(seed, Side(side))
    shape, build = draw_shape(person, settings.shape), draw_build(person, settings.tissue)
    bone = draw_bone_tissue(person, settings.bone)
    pose, hand = _pose(apply_shape(assets, shape), exposure, settings.pose)
    placement = draw_placement(exposure, settings.field)
    appearance, scene = draw_appearance(exposure, settings.detector), draw_scene(exposure, settings.field)
    height, width = _size(size, placement.aspect)
    hand, beam = place(hand, placement, height, width)
    bones = bone_image(hand, beam, bone, _parts(shape), exposure)
    flesh = soft_tissue(hand, beam, build, shape.size, exposure)
    water = flesh.water_mm - bones.thickness_mm
    np.maximum(water, 0, out=water)
    water += bones.water_mm
    packed = bones.packed_masks
    radiograph = develop(water, bones, beam.spacing_mm, appearance, exposure)
    if Side(side) is Side.LEFT:
        radiograph, packed = np.ascontiguousarray(radiograph[:, ::-1]), np.ascontiguousarray(packed[:, ::-1])
    return SimulatedHand(
        radiograph=furnish(radiograph, packed, Side(side), scene),
        packed_masks=packed,
        side=Side(side),
        seed=seed,
        spacing_mm=beam.spacing_mm,
        shape=shape,
        build=build,
        bone=bone,
        pose=pose,
        placement=placement,
        appearance=appearance,
        scene=scene,
    )


def _pose(hand: HandModel, exposure: np.random.Generator, settings: PoseSettings) -> tuple[Pose, HandModel]:
    """Draw poses until this hand can take one, or return the least impossible; the wrist's tilt is drawn only once."""
    deviation = draw_deviation(exposure, settings)
    least = np.inf
    for _ in range(_TRIES):
        pose = draw_pose(exposure, settings, deviation)
        posed = apply_pose(hand, pose)
        clash = worst_clash(posed)
        if clash < least:
            best, least = (pose, posed), clash
        if least <= 1:
            break
    return best


def _size(size: int | tuple[int, int], aspect: float) -> tuple[int, int]:
    """Return height and width; a single number is the longer side."""
    if isinstance(size, tuple):
        return size
    return (size, round(size * aspect)) if aspect <= 1 else (round(size / aspect), size)


def _parts(shape: Shape) -> dict[int, int | None]:
    """Return the mask of every part: sesamoids that the person has belong to the thumb's metacarpal, if labelled."""
    labelled = CHANNEL["finger-3"] if shape.sesamoids_labelled else None
    present = [part for part, there in zip(SESAMOIDS, shape.sesamoids, strict=True) if there]
    return {**{channel: channel for channel in range(NUM_BONES)}, **dict.fromkeys(present, labelled)}


def _generators(seed: int, side: Side) -> tuple[np.random.Generator, np.random.Generator]:
    """Return the generators of the person and of this exposure."""
    hand = 1 + list(Side).index(side)
    return np.random.default_rng(np.random.SeedSequence([seed, 0])), np.random.default_rng(
        np.random.SeedSequence([seed, hand])
    )
