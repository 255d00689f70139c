"""What the bones add to the attenuation of the hand, from the thickness of cortex and core."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from handseg_bundle_common.anatomy import BONES, CHANNEL, NUM_BONES, Group
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.simulation.cortex import Cortex, draw_cortex, inner_surface, outwards, smoothstep
from handseg_bundle_common.simulation.hand_model import CHANNEL_OF_PART, HandModel, principal_axis
from handseg_bundle_common.simulation.interior import STEP_MM, Pattern, add_bone
from handseg_bundle_common.simulation.projection import Beam, Projection, project
from handseg_bundle_common.simulation.settings import BoneSettings
from handseg_bundle_common.simulation.texture import trabecular_tile

Image = NDArray[np.float32]

# Coarser pixels than this sample the thickness three times finer than their centres.
_OVERSAMPLED_MM = 0.4
# Slices of a bone's outline, the length over which it is smoothed for the flow of the trabeculae, and how far from an
# end a slice belongs to it as long as it is narrower than this share of the widest there.
_SLICE_MM, _FLOW_MM, _END_MM, _END_WIDTH = 2.0, 3.0, 20.0, 0.65
# Density of spongy bone at joint ends against that of the carpus, strength of its texture, and how porous the cortex is
# there: fitted to greys, rims and texture of reference/intensity.csv, as is what is left of it in the middle of shafts.
_SPONGY = {Group.PHALANGES: 1.6, Group.METACARPALS: 1.3, Group.CARPALS: 1.0, Group.FOREARM: 1.15}
_TEXTURE = {Group.PHALANGES: 0.7, Group.METACARPALS: 0.6, Group.CARPALS: 1.05, Group.FOREARM: 1.35}
_POROUS = {Group.PHALANGES: 0.7, Group.METACARPALS: 0.5, Group.CARPALS: 1.0, Group.FOREARM: 1.0}
# Spongy bone in the middle of shafts as a share of that at their ends.
_LEAST_SPONGY = {Group.PHALANGES: 0.45, Group.METACARPALS: 0.25, Group.FOREARM: 0.25}
# Structures of carpal bones are hardly longer than wide.
_CARPAL_STRETCH = 1.5
# Distance of the physeal scar in millimetres from the distal end of forearm and metacarpals, and from the base of
# phalanges and the thumb's metacarpal, as seen in radiographs of adults.
_SCAR_MM = {Group.METACARPALS: 11.0, Group.PHALANGES: 5.0}
_OTHER_SCARS_MM = {CHANNEL["finger-3"]: 7.0, CHANNEL["Radius"]: 15.0, CHANNEL["Ulna"]: 9.0}


@dataclass(frozen=True)
class BoneImage:
    """Bones on the detector.

    Attributes:
        mineral_mm: compact bone along the rays (H, W); spongy bone counts by its share of it.
        water_mm: water that attenuates like the rest of the bones, their marrow (H, W).
        thickness_mm: summed thickness of the bones (H, W).
        packed_masks: packed exact masks (H, W).
    """

    mineral_mm: Image
    water_mm: Image
    thickness_mm: Image
    packed_masks: Packed


@dataclass(frozen=True)
class BoneTissue:
    """Drawn bone of one person.

    Attributes:
        spongy: share of compact bone in the spongy bone at the joint ends of each bone (29,).
        cortex: the cortex.
        end_density: share of compact bone in the cortex at joint ends and of carpal bones.
        forearm_spongiosa_mm: length over which spongy bone gives way to fat marrow along the forearm.
        scars: spongy bone that the physeal scar of each bone adds, as a share of what is around it (29,).
        scar_places: factor on the distance of each scar from its end (29,).
        trabeculae: generator of the texture, "noise" or "network".
        texture: standard deviation of 10 mm of spongy bone from ray to ray, as a share of its compact bone.
        slope: exponent of the power spectrum of the noise.
        grain: factor on the size of the trabecular structures.
        stretch: length over width of the structures along the axes of long bones.
    """

    spongy: NDArray[np.float64]
    cortex: Cortex
    end_density: float
    forearm_spongiosa_mm: float
    scars: NDArray[np.float64]
    scar_places: NDArray[np.float64]
    trabeculae: str
    texture: float
    slope: float
    grain: float
    stretch: float


def draw_bone_tissue(generator: np.random.Generator, settings: BoneSettings) -> BoneTissue:
    """Draw the bone of one person."""
    loss = settings.loss.draw(generator) * bool(generator.random() < settings.osteopenia)
    scarred = bool(generator.random() < settings.scar)
    return BoneTissue(
        spongy=settings.spongy.draw(generator) * (1 - loss) * np.exp(generator.uniform(-0.1, 0.1, NUM_BONES)),
        cortex=draw_cortex(generator, settings, loss / 2),
        end_density=settings.end_density.draw(generator),
        forearm_spongiosa_mm=settings.forearm_spongiosa_mm.draw(generator),
        scars=settings.scar_strength.draw(generator) * scarred * generator.uniform(0.2, 1.2, NUM_BONES),
        scar_places=np.exp(generator.uniform(-0.15, 0.15, NUM_BONES)),
        trabeculae=settings.trabeculae,
        texture=settings.texture.draw(generator),
        slope=settings.slope.draw(generator),
        grain=settings.grain.draw(generator),
        stretch=settings.stretch.draw(generator),
    )


def bone_image(
    hand: HandModel, beam: Beam, tissue: BoneTissue, parts: dict[int, int | None], generator: np.random.Generator
) -> BoneImage:
    """Project all bones on the detector; coarse pixels average finer rays.

    The masks are the coverage of the pixel centres.

    Args:
        hand: posed hand in the beam's frame.
        beam: detector in final pixels.
        tissue: drawn bone of the person.
        parts: channel of the mask that each part of the hand belongs to, None where it has none; parts that are not
            named are absent.
        generator: source of the texture.
    """
    oversampling = 3 if beam.spacing_mm > _OVERSAMPLED_MM else 1
    tile = trabecular_tile(generator, tissue.trabeculae, tissue.slope, tissue.grain, beam.spacing_mm)
    shifts = generator.random((len(CHANNEL_OF_PART), 2)) * len(tile.values)
    inner = inner_surface(hand, tissue.cortex)
    fine = beam.refined(oversampling)
    sums = np.zeros((3, beam.height, beam.width), np.float32)
    packed = np.zeros((beam.height, beam.width), np.uint32)
    for part, channel in parts.items():
        outer = project(hand.vertices_of(part), hand.triangles_of(part), fine, oversampling)
        if not outer.coverage.size:
            continue
        core = _core_thickness(project(inner[hand.slice_of(part)], hand.triangles_of(part), fine), outer)
        box = tuple(slice(side.start // oversampling, side.stop // oversampling) for side in outer.box)
        if channel is not None:
            middle = slice(oversampling // 2, None, oversampling)
            packed[box] |= outer.coverage[middle, middle].astype(np.uint32) << np.uint32(channel)
        total, core = _average(outer.thickness_mm, oversampling), _average(core, oversampling)
        points, frame = _bone_frame(hand, beam, part, (box[0].start, box[1].start))
        pattern = _pattern(part, tissue, float(np.ptp(points[:, 0])), tile.pitch_mm, shifts[part])
        profile = _profile(part, points, tissue)
        add_bone(total, core, frame, profile, tile.values, pattern, sums[:, box[0], box[1]])
    return BoneImage(sums[0], sums[1], sums[2], packed)


def _pattern(part: int, tissue: BoneTissue, length: float, pitch_mm: float, shift: NDArray[np.float64]) -> Pattern:
    channel = CHANNEL_OF_PART[part]
    group = BONES[channel].group
    round_bone = group is Group.CARPALS or part >= NUM_BONES
    place = _OTHER_SCARS_MM.get(channel, _SCAR_MM.get(group, 0.0)) * float(tissue.scar_places[channel])
    from_base = group is Group.PHALANGES or channel == CHANNEL["finger-3"]
    return Pattern(
        pitch=pitch_mm,
        shift_x=float(shift[0]),
        shift_y=float(shift[1]),
        stretch=_CARPAL_STRETCH if round_bone else tissue.stretch,
        texture=tissue.texture * _TEXTURE[group],
        scar=0.0 if round_bone else float(tissue.scars[channel]),
        scar_place=length - place if from_base else place,
    )


def _bone_frame(
    hand: HandModel, beam: Beam, part: int, corner: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return points of a bone (n, 2) in millimetres along its axis from its distal end and across it.

    The second array (2, 3) takes (column, row, 1) of the box whose first row and column are `corner` there.
    """
    pixels, _ = beam.onto_detector(hand.vertices_of(part)[::4])
    centre = pixels.mean(0)
    axis = principal_axis(pixels - centre)
    axis *= -np.sign(axis @ outwards(hand, part)[:2]) or 1.0
    turn = np.array([axis, [-axis[1], axis[0]]]) * beam.spacing_mm
    points = (pixels - centre) @ turn.T
    start = points[:, 0].min()
    offset = turn @ (np.array([corner[1], corner[0]]) - centre) - [start, 0]
    return points - [start, 0], np.column_stack([turn, offset])


def _profile(part: int, points: NDArray[np.float64], tissue: BoneTissue) -> Image:
    """Return the table of a bone's inside that `interior.add_bone` reads."""
    length = float(np.ptp(points[:, 0]))
    along = np.arange(0, length + STEP_MM, STEP_MM)
    low, high = _outline(points, along)
    middle, half = (low + high) / 2, (high - low) / 2
    squeeze = (half.max() / np.maximum(half, 1)) ** 0.6
    spongiosa = _spongiosa(part, along, length, tissue.forearm_spongiosa_mm)
    channel = CHANNEL_OF_PART[part]
    group = Group.CARPALS if part >= NUM_BONES else BONES[channel].group
    density = 1 - (1 - tissue.end_density) * spongiosa * _POROUS[group]
    share = tissue.spongy[channel] * spongiosa * _SPONGY[group]
    return np.column_stack([share, middle, squeeze, density]).astype(np.float32)


def _outline(
    points: NDArray[np.float64], along: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the smoothed edges of a bone across its axis; styloids and rounded ends continue the edges beside them."""
    slices = (points[:, 0] / _SLICE_MM).astype(int)
    high, low = np.full(slices.max() + 1, -np.inf), np.full(slices.max() + 1, np.inf)
    np.maximum.at(high, slices, points[:, 1])
    np.minimum.at(low, slices, points[:, 1])
    width = np.maximum(high - low, 0)
    end = round(_END_MM / _SLICE_MM)
    first = int(np.argmax(width[:end] > _END_WIDTH * width[:end].max()))
    last = len(width) - int(np.argmax(width[::-1][:end] > _END_WIDTH * width[-end:].max()))
    kept = np.arange(first, last)[width[first:last] > 0]
    low, high = (
        gaussian_filter1d(np.interp(along, (kept + 0.5) * _SLICE_MM, edge[kept]), _FLOW_MM / STEP_MM, mode="nearest")
        for edge in (low, high)
    )
    return low, high


def _spongiosa(part: int, along: NDArray[np.float64], length: float, forearm_mm: float) -> NDArray[np.float64]:
    """Return how much of the core is spongy bone rather than fat marrow, from the distal end on."""
    group = BONES[CHANNEL_OF_PART[part]].group
    if group is Group.CARPALS or part >= NUM_BONES:
        return np.ones_like(along)
    if group is Group.FOREARM:
        share = 1 - smoothstep(along / forearm_mm)
    elif group is Group.METACARPALS:
        share = smoothstep((np.abs(2 * along / length - 1) - 0.15) / 0.6)
    else:
        # The base of a phalanx is spongy up to the middle, its head is short.
        share = np.maximum(1 - smoothstep(along / (0.35 * length)), 1 - smoothstep((length - along) / (0.55 * length)))
    return np.asarray(_LEAST_SPONGY[group] + (1 - _LEAST_SPONGY[group]) * share)


def _core_thickness(inner: Projection, outer: Projection) -> Image:
    """Place the thickness inside the inner wall of the cortex in the box of the outer surface."""
    core = np.zeros_like(outer.thickness_mm)
    top, left = inner.row - outer.row, inner.column - outer.column
    rows = slice(max(top, 0), min(top + inner.coverage.shape[0], core.shape[0]))
    columns = slice(max(left, 0), min(left + inner.coverage.shape[1], core.shape[1]))
    if rows.start < rows.stop and columns.start < columns.stop:
        core[rows, columns] = inner.thickness_mm[
            rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ]
    return np.minimum(core, outer.thickness_mm)


def _average(image: Image, factor: int) -> Image:
    if factor == 1:
        return image
    size = image.shape[1] // factor, image.shape[0] // factor
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)
