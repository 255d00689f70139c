"""What stands beside the hand in a radiograph, and how the picture was stored before it came here."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import Side
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.simulation.field_settings import FieldSettings
from handseg_bundle_common.simulation.markers import (
    Marker,
    Ring,
    add_marker,
    add_ring,
    draw_ring,
    draw_side_marker,
    draw_text,
)

Image = NDArray[np.float32]

# Cells of the coarse grid that tells where bones are, along the picture's longer side.
_CELLS = 128


@dataclass(frozen=True)
class Border:
    """Collimator and shutter, or padding: what lies outside a turned rectangle; lengths in shares of the longer side.

    Attributes:
        insets: distance of the rectangle's sides from the picture's: left, right, top, bottom; 0 where it has none.
            No side comes nearer to a bone than it stands.
        angle: rotation of the rectangle in degrees.
        grey: grey outside it.
        leak: share of the picture that is left outside.
        softness: width of the edge.
        shutter: distance from the edge to a shutter that covers the rest; None without one.
        shutter_grey: grey of the shutter.
    """

    insets: tuple[float, float, float, float]
    angle: float
    grey: float
    leak: float
    softness: float
    shutter: float | None
    shutter_grey: float


@dataclass(frozen=True)
class Scene:
    """Drawn surroundings of the hand and the storage of the picture; greys are shares of the full scale.

    Attributes:
        borders: collimation, strip and padding, from the inside out.
        markers: side markers and burned-in text.
        patches: painted-over rectangles: centre (x, y), width, height as shares, and grey.
        rings: rings on fingers.
        resolution: share of the pixels along a side that the picture once had.
        jpeg: quality of a lossy compression that it went through, None without.
        inverted: whether the picture is stored with dark bones.
        bits: depth of the stored picture, 8 or 16.
    """

    borders: tuple[Border, ...]
    markers: tuple[Marker, ...]
    patches: tuple[tuple[float, float, float, float, float], ...]
    rings: tuple[Ring, ...]
    resolution: float
    jpeg: int | None
    inverted: bool
    bits: int


def draw_scene(generator: np.random.Generator, settings: FieldSettings) -> Scene:
    """Draw the surroundings of the hand and the storage of the picture."""
    borders = [
        draw(generator, settings)
        for draw, share in (
            (_draw_strip, settings.strip),
            (_draw_collimation, settings.collimated),
            (_draw_padding, settings.padded),
        )
        if generator.random() < share
    ]
    markers = [draw_side_marker(generator, settings)] if generator.random() < settings.marker else []
    texts = [draw_text(generator, settings) for _ in range(generator.binomial(4, settings.text / 4))]
    patches = [_draw_patch(generator, settings) for _ in range(generator.binomial(3, settings.patch / 3))]
    rings = [draw_ring(generator, settings)] if generator.random() < settings.ring else []
    lossy, coarse = generator.random(2) < (settings.jpeg, settings.low_resolution)
    return Scene(
        borders=tuple(borders),
        markers=(*markers, *texts),
        patches=tuple(patches),
        rings=tuple(rings),
        resolution=settings.resolution.draw(generator) if coarse else 1.0,
        jpeg=round(settings.jpeg_quality.draw(generator)) if lossy else None,
        inverted=bool(generator.random() < settings.inverted),
        bits=16 if generator.random() < settings.sixteen_bits else 8,
    )


def furnish(radiograph: Image, packed: Packed, side: Side, scene: Scene) -> Image:
    """Return the radiograph (H, W) in its surroundings; no bone is hidden but by a ring.

    Args:
        radiograph: the hand alone, bone bright, already mirrored for a left hand.
        packed: packed masks (H, W).
        side: which hand: side markers tell it.
        scene: drawn surroundings.
    """
    grey = radiograph.copy()
    for ring in scene.rings:
        add_ring(grey, packed, ring)
    if scene.borders or scene.markers or scene.patches:
        occupied = _occupied(packed)
        for border in scene.borders:
            _add_border(grey, occupied, border)
        for patch in scene.patches:
            _add_patch(grey, occupied, patch)
        for marker in scene.markers:
            add_marker(grey, occupied, side, marker)
    return _stored(grey, scene)


def _draw_strip(generator: np.random.Generator, settings: FieldSettings) -> Border:
    """Draw a bright strip along the top."""
    insets = 0.0, 0.0, settings.strip_height.draw(generator), 0.0
    softness = settings.strip_softness.draw(generator)
    return Border(insets, 0.0, settings.strip_grey.draw(generator), 0.6, softness, None, 0.0)


def _draw_collimation(generator: np.random.Generator, settings: FieldSettings) -> Border:
    """Draw the edges of the beam: behind the collimator the picture is bright, and often a dark shutter covers that."""
    grey = settings.border_grey.draw(generator)
    shut = generator.random() < settings.shutter
    return Border(
        insets=_insets(generator, settings),
        angle=settings.border_angle.draw(generator),
        grey=grey,
        leak=float(generator.uniform(0, 0.4)),
        softness=settings.border_softness.draw(generator),
        shutter=settings.shutter_distance.draw(generator) if shut else None,
        shutter_grey=settings.shutter_grey.draw(generator),
    )


def _draw_padding(generator: np.random.Generator, settings: FieldSettings) -> Border:
    """Draw a plain border that fills the picture up."""
    grey = float(generator.choice([0.0, 0.5, 1.0], p=[0.6, 0.15, 0.25]))
    return Border(_insets(generator, settings), 0.0, grey, 0.0, 0.0, None, 0.0)


def _insets(generator: np.random.Generator, settings: FieldSettings) -> tuple[float, float, float, float]:
    left, right, top, bottom = (
        settings.border_inset.draw(generator) * bool(generator.random() < settings.border_side) for _ in range(4)
    )
    return left, right, top, bottom


def _draw_patch(generator: np.random.Generator, settings: FieldSettings) -> tuple[float, float, float, float, float]:
    """Draw a rectangle that was painted over, to hide a name for instance."""
    x, y = generator.uniform(0, 1, 2)
    wide, high = settings.patch_side.draw(generator), settings.patch_side.draw(generator)
    return float(x), float(y), wide, high, settings.patch_grey.draw(generator)


def _occupied(packed: Packed) -> NDArray[np.bool_]:
    """Return which cells of a coarse grid show bone, or are neighbours of such."""
    step = max(max(packed.shape) // (4 * _CELLS), 1)
    scale = min(_CELLS / max(packed.shape), 1.0)
    size = tuple(max(round(side * scale), 1) for side in packed.shape)
    bones = cv2.resize((packed[::step, ::step] > 0).astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.dilate((bones > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)


def _add_border(grey: Image, occupied: NDArray[np.bool_], border: Border) -> None:
    longer = max(grey.shape)
    angle = np.radians(border.angle)
    across, down = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    normals = np.array([-across, across, -down, down])
    half = np.array(grey.shape[::-1]) / 2
    reach = np.array([half[0], half[0], half[1], half[1]]) - np.array(border.insets) * longer
    rows, columns = np.nonzero(occupied)
    if len(rows):
        cell = np.array(grey.shape[::-1]) / occupied.shape[::-1]
        bones = (np.column_stack([columns, rows]) + 0.5) * cell - half
        reach = np.maximum(reach, (bones @ normals.T).max(0) + cell.max())
    reach[np.array(border.insets) <= 0] = np.inf
    limits = np.column_stack([normals, reach + normals @ half]).astype(np.float32)
    softness = np.float32(max(border.softness * longer, 0.7))
    shutter = np.float32(np.inf if border.shutter is None else border.shutter * longer)
    _cover(grey, limits, softness, np.array([border.grey, border.leak, shutter, border.shutter_grey], np.float32))


def _add_patch(grey: Image, occupied: NDArray[np.bool_], patch: tuple[float, float, float, float, float]) -> None:
    """Paint a rectangle over, unless it would hide a bone."""
    x, y, wide, high, level = patch
    spans = []
    for centre, extent, side, cells in ((y, high, 0, 0), (x, wide, 1, 1)):
        ends = np.clip([centre - extent / 2, centre + extent / 2], 0, 1)
        spans.append((ends * grey.shape[side], ends * occupied.shape[cells]))
    covered = tuple(slice(int(np.floor(low)), int(np.ceil(high))) for _, (low, high) in spans)
    if not occupied[covered].any():
        grey[tuple(slice(round(low), round(high)) for (low, high), _ in spans)] = level


def _stored(grey: Image, scene: Scene) -> Image:
    """Return the picture after it was stored coarsely or with losses."""
    if scene.resolution < 1:
        size = tuple(max(round(side * scene.resolution), 1) for side in grey.shape)
        small = cv2.resize(grey, size[::-1], interpolation=cv2.INTER_AREA)
        grey = np.asarray(cv2.resize(small, grey.shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)
        np.clip(grey, 0, 1, out=grey)
    if scene.jpeg is not None:
        pixels = cv2.convertScaleAbs(grey, alpha=255)
        _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, scene.jpeg])
        grey = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), np.float32) / np.float32(255)
    return grey


@numba.njit(cache=True, nogil=True)
def _beyond(limits, row, column):  # type: ignore[no-untyped-def]
    """Return how far a pixel lies beyond the half-planes nx * x + ny * y <= limit."""
    farthest = np.float32(-np.inf)
    for side in range(4):
        distance = limits[side, 0] * np.float32(column) + limits[side, 1] * np.float32(row) - limits[side, 2]
        farthest = max(farthest, distance)
    return farthest


@numba.njit(cache=True, nogil=True)
def _cover(grey, limits, softness, drawn):  # type: ignore[no-untyped-def]
    """Cover what lies beyond the half-planes."""
    level, leak, shutter, shutter_grey = drawn
    last = grey.shape[1] - 1
    for row in range(grey.shape[0]):
        # The farthest pixels of a row are its ends.
        if max(_beyond(limits, row, 0), _beyond(limits, row, last)) <= 0:
            continue
        for column in range(grey.shape[1]):
            beyond = _beyond(limits, row, column)
            if beyond > 0:
                share = min(beyond / softness, np.float32(1))
                share = share * share * (np.float32(3) - np.float32(2) * share)
                value = grey[row, column]
                value += share * (min(level + leak * value, np.float32(1)) - value)
                covered = min(max(beyond - shutter, np.float32(0)), np.float32(1))
                grey[row, column] = value + covered * (shutter_grey - value)
