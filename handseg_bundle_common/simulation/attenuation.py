"""What the bones add to the attenuation of the hand, from the thickness of cortex and core."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONES, NUM_BONES, Group
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.simulation.hand_model import HandModel
from handseg_bundle_common.simulation.projection import Beam, Projection, project

Image = NDArray[np.float32]

# Linear attenuation per millimetre at an effective energy of about 38 keV, as 50 to 60 kVp give: water, compact bone
# of 1.9 g/cm3, spongy bone of about 450 HU and fat (NIST XCOM).
SOFT_TISSUE, CORTEX, SPONGIOSA, MARROW = 0.028, 0.110, 0.060, 0.044
# Over this length in millimetres spongy bone gives way to fat marrow from the wrist along the forearm.
_FOREARM_SPONGIOSA_MM = 42.0
_TEXTURE_PITCH_MM = 0.15
# Soft rays are used up first: what bones add to the line integral approaches this limit.
_HARDENING = np.float32(0.8)


@dataclass(frozen=True)
class BoneImage:
    """Bones on the detector.

    Attributes:
        excess: line integral (H, W) that bones add over the soft tissue whose place they take.
        packed_masks: packed exact masks (H, W).
        thickness_mm: summed thickness of the bones (H, W).
    """

    excess: Image
    packed_masks: Packed
    thickness_mm: Image


def bone_image(
    hand: HandModel, beam: Beam, oversampling: int, texture: tuple[Image, float], texture_strength: float
) -> BoneImage:
    """Project all bones on a detector that is `oversampling` times finer and average them on the pixels.

    The masks are the coverage of the pixel centres.

    Args:
        hand: posed hand in the beam's frame.
        beam: detector in final pixels.
        oversampling: odd factor by which thickness is sampled finer than the pixels.
        texture: noise tile and its pitch from `texture_tile`.
        texture_strength: standard deviation of the texture against the bone's own attenuation.
    """
    fine = beam.refined(oversampling)
    excess = np.zeros((beam.height, beam.width), np.float32)
    thickness = np.zeros_like(excess)
    packed = np.zeros((beam.height, beam.width), np.uint32)
    for channel in range(NUM_BONES):
        part, triangles = hand.slice_of(channel), hand.triangles_of(channel)
        outer = project(hand.vertices_of(channel), triangles, fine, oversampling)
        if not outer.coverage.size:
            continue
        core = _core_thickness(project(hand.inner_vertices[part], triangles, fine), outer)
        box = tuple(slice(side.start // oversampling, side.stop // oversampling) for side in outer.box)
        middle = slice(oversampling // 2, None, oversampling)
        packed[box] |= outer.coverage[middle, middle].astype(np.uint32) << np.uint32(channel)
        total, core = _average(outer.thickness_mm, oversampling), _average(core, oversampling)
        points, _ = beam.onto_detector(hand.vertices_of(channel)[::4])
        pattern = _bone_pattern(channel, points - [box[1].start, box[0].start], total.shape, beam.spacing_mm, texture)
        excess[box] += _excess(total, core, pattern[0]) * (1 + texture_strength * pattern[1])
        thickness[box] += total
    return BoneImage(_HARDENING * -np.expm1(-excess / _HARDENING), packed, thickness)


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


def _excess(total: Image, core: Image, spongy: Image) -> Image:
    inside = MARROW + (SPONGIOSA - MARROW) * spongy
    return np.asarray((total - core) * (CORTEX - SOFT_TISSUE) + core * (inside - SOFT_TISSUE), np.float32)


def _bone_pattern(
    channel: int, points: NDArray[np.float64], shape: tuple[int, ...], spacing_mm: float, texture: tuple[Image, float]
) -> tuple[Image, Image]:
    """Return the share of spongy bone in the core and the texture, both along the bone's axis, for its box."""
    centre = points.mean(0)
    axis = np.linalg.eigh(np.cov((points - centre).T))[1][:, -1]
    axis *= np.sign(axis[1]) or 1.0
    along = (points - centre) @ axis
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    place = ((columns - centre[0]) * axis[0] + (rows - centre[1]) * axis[1]).astype(np.float32)
    group = BONES[channel].group
    if group is Group.CARPALS:
        spongy = np.ones(shape, np.float32)
    elif group is Group.FOREARM:
        spongy = np.clip(1 - (place - along.min()) * spacing_mm / _FOREARM_SPONGIOSA_MM, 0, 1)
    else:
        middle, half = (along.min() + along.max()) / 2, np.ptp(along) / 2
        spongy = np.clip(np.abs(place - middle) / half * 1.6 - 0.4, 0, 1)
    return spongy.astype(np.float32), _oriented(channel, texture, axis, shape, spacing_mm)


def _oriented(
    channel: int, texture: tuple[Image, float], axis: NDArray[np.float64], shape: tuple[int, ...], spacing_mm: float
) -> Image:
    """Sample the texture tile with its long structures along the bone, each bone at a place of its own."""
    tile, pitch = texture
    scale = spacing_mm / pitch
    shift = len(tile) * np.modf([channel * 0.618, channel * 0.755])[0]
    matrix = np.array([[axis[1] * scale, -axis[0] * scale, shift[0]], [axis[0] * scale, axis[1] * scale, shift[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    sampled = cv2.warpAffine(tile, matrix, (shape[1], shape[0]), flags=flags, borderMode=cv2.BORDER_WRAP)
    return np.asarray(sampled, np.float32)
