"""What the bones add to the attenuation of the hand, from the thickness of cortex and core."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONES, NUM_BONES, Group
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.simulation.hand_model import CHANNEL_OF_PART, HandModel
from handseg_bundle_common.simulation.projection import Beam, Projection, project
from handseg_bundle_common.simulation.settings import BoneSettings

Image = NDArray[np.float32]

# Compact bone in spongy bone of about 450 HU, and water that attenuates like marrow, as shares of the volume.
_SPONGY_MINERAL, _MARROW_WATER = 0.2, 0.95
# Over this length in millimetres spongy bone gives way to fat marrow from the wrist along the forearm.
_FOREARM_SPONGIOSA_MM = 42.0
_TEXTURE_PITCH_MM = 0.15
# Coarser pixels than this sample the thickness three times finer than their centres.
_OVERSAMPLED_MM = 0.4


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
        texture: standard deviation of the trabecular texture against the bone's own attenuation.
    """

    texture: float


def draw_bone_tissue(generator: np.random.Generator, settings: BoneSettings) -> BoneTissue:
    """Draw the bone of one person."""
    return BoneTissue(texture=settings.texture.draw(generator))


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
    texture = texture_tile(generator, beam.spacing_mm)
    fine = beam.refined(oversampling)
    mineral = np.zeros((beam.height, beam.width), np.float32)
    water, thickness = np.zeros_like(mineral), np.zeros_like(mineral)
    packed = np.zeros((beam.height, beam.width), np.uint32)
    for part, channel in parts.items():
        where, triangles = hand.slice_of(part), hand.triangles_of(part)
        outer = project(hand.vertices_of(part), triangles, fine, oversampling)
        if not outer.coverage.size:
            continue
        core = _core_thickness(project(hand.inner_vertices[where], triangles, fine), outer)
        box = tuple(slice(side.start // oversampling, side.stop // oversampling) for side in outer.box)
        middle = slice(oversampling // 2, None, oversampling)
        if channel is not None:
            packed[box] |= outer.coverage[middle, middle].astype(np.uint32) << np.uint32(channel)
        total, core = _average(outer.thickness_mm, oversampling), _average(core, oversampling)
        points, _ = beam.onto_detector(hand.vertices_of(part)[::4])
        pattern = _bone_pattern(part, points - [box[1].start, box[0].start], total.shape, beam.spacing_mm, texture)
        spongy = core * pattern[0] * np.float32(_SPONGY_MINERAL)
        mineral[box] += (total - core + spongy) * (1 + tissue.texture * pattern[1])
        water[box] += core * np.float32(_MARROW_WATER)
        thickness[box] += total
    return BoneImage(mineral, water, thickness, packed)


def texture_tile(generator: np.random.Generator, spacing_mm: float) -> tuple[Image, float]:
    """Return a periodic tile of trabecular noise with unit variance, and the pitch of its pixels in millimetres.

    Its power falls as f^-1.4 between 0.2 and 0.9 cycles/mm; structures are drawn out along the rows' axis.
    """
    pitch = max(_TEXTURE_PITCH_MM, spacing_mm / 2)
    size = int(2 ** np.clip(np.round(np.log2(100 / pitch)), 7, 9))
    across = np.fft.rfftfreq(size, pitch)[None, :]
    along = np.fft.fftfreq(size, pitch)[:, None] * 2.2
    frequency = np.hypot(across, along)
    amplitude = np.maximum(frequency, 0.1) ** -0.7 * np.exp(-((frequency / 1.6) ** 2)) * (frequency > 0)
    spectrum = np.fft.rfft2(generator.standard_normal((size, size), dtype=np.float32)) * amplitude
    # What the detector's pixels cannot resolve must not come back as aliasing.
    resolved = np.exp(-((np.hypot(across, along / 2.2) * spacing_mm / 0.7) ** 2))
    full = np.fft.irfft2(spectrum, (size, size))
    tile = np.fft.irfft2(spectrum * resolved, (size, size)) / full.std()
    return tile.astype(np.float32), pitch


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


def _bone_pattern(
    part: int, points: NDArray[np.float64], shape: tuple[int, ...], spacing_mm: float, texture: tuple[Image, float]
) -> tuple[Image, Image]:
    """Return the share of spongy bone in the core and the texture, both along the bone's axis, for its box."""
    centre = points.mean(0)
    axis = np.linalg.eigh(np.cov((points - centre).T))[1][:, -1]
    axis *= np.sign(axis[1]) or 1.0
    along = (points - centre) @ axis
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    place = ((columns - centre[0]) * axis[0] + (rows - centre[1]) * axis[1]).astype(np.float32)
    group = BONES[CHANNEL_OF_PART[part]].group
    if group is Group.CARPALS or part >= NUM_BONES:
        spongy = np.ones(shape, np.float32)
    elif group is Group.FOREARM:
        spongy = np.clip(1 - (place - along.min()) * spacing_mm / _FOREARM_SPONGIOSA_MM, 0, 1)
    else:
        middle, half = (along.min() + along.max()) / 2, np.ptp(along) / 2
        spongy = np.clip(np.abs(place - middle) / half * 1.6 - 0.4, 0, 1)
    return spongy.astype(np.float32), _oriented(part, texture, axis, shape, spacing_mm)


def _oriented(
    part: int, texture: tuple[Image, float], axis: NDArray[np.float64], shape: tuple[int, ...], spacing_mm: float
) -> Image:
    """Sample the texture tile with its long structures along the bone, each bone at a place of its own."""
    tile, pitch = texture
    scale = spacing_mm / pitch
    shift = len(tile) * np.modf([part * 0.618, part * 0.755])[0]
    matrix = np.array([[axis[1] * scale, -axis[0] * scale, shift[0]], [axis[0] * scale, axis[1] * scale, shift[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    sampled = cv2.warpAffine(tile, matrix, (shape[1], shape[0]), flags=flags, borderMode=cv2.BORDER_WRAP)
    return np.asarray(sampled, np.float32)
