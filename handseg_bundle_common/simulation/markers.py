"""Lead letters, burned-in text and rings: what is drawn over a radiograph without hiding a bone's outline."""

from __future__ import annotations

import string
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import CHANNEL, Side
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.simulation.field_settings import FieldSettings

Image = NDArray[np.float32]

_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX)
# Fingers that wear rings: proximal phalanges of index to little finger.
_RING_BONES = tuple(CHANNEL[name] for name in ("finger-6", "finger-10", "finger-14", "finger-18"))
# Flesh of a finger over the width of its proximal phalanx, as in radiographs.
_FINGER_WIDTH = 1.75
# Letters are drawn at this height and then turned and scaled into the picture.
_TILE = 64
# Places that are tried until one is free of bones.
_TRIES = 8


@dataclass(frozen=True)
class Marker:
    """A side marker of lead or a line of burned-in text.

    Attributes:
        text: what it says; a side marker's first letter is the hand's side instead.
        is_side: whether it tells the side.
        places: centres (x, y) as shares of the picture; the first that is free of bones is taken.
        height: height of capital letters as a share of the picture's longer side.
        font: number of the typeface.
        weight: width of the strokes as a share of the letters' height.
        angle: rotation in degrees.
        mirrored: whether it was laid down the wrong way round.
        grey: grey of the letters.
        plate: what carries the letters: "" for nothing, "round" or "square".
        plate_grey: what the plate adds to the picture.
    """

    text: str
    is_side: bool
    places: tuple[tuple[float, float], ...]
    height: float
    font: int
    weight: float
    angle: float
    mirrored: bool
    grey: float
    plate: str
    plate_grey: float


@dataclass(frozen=True)
class Ring:
    """A metal ring on a finger.

    Attributes:
        channel: proximal phalanx that it surrounds.
        place: place along the bone, from 0 at one end to 1.
        height: height of the band over the width of the bone.
        tilt: short over long axis of its outline.
        grey: its grey.
    """

    channel: int
    place: float
    height: float
    tilt: float
    grey: float


def draw_side_marker(generator: np.random.Generator, settings: FieldSettings) -> Marker:
    """Draw a marker of the side, with or without the initials of the radiographer."""
    initials = "".join(generator.choice(list(string.ascii_uppercase), 2)) if generator.random() < 0.4 else ""
    return Marker(
        text=f"?{initials}",
        is_side=True,
        places=_places(generator, 0.06, 0.3),
        height=settings.marker_height.draw(generator),
        font=int(generator.integers(len(_FONTS))),
        weight=settings.marker_weight.draw(generator),
        angle=settings.marker_angle.draw(generator),
        mirrored=bool(generator.random() < settings.marker_mirrored),
        grey=settings.marker_grey.draw(generator),
        plate=str(generator.choice(["", "round", "square"])),
        plate_grey=settings.plate_grey.draw(generator),
    )


def draw_text(generator: np.random.Generator, settings: FieldSettings) -> Marker:
    """Draw a line of text as software burns it in: a date, a number or a name."""
    letters = list(generator.choice([string.digits + "-/:. ", string.ascii_uppercase + " ", string.ascii_lowercase]))
    return Marker(
        text="".join(generator.choice(letters, int(generator.integers(4, 15)))),
        is_side=False,
        places=_places(generator, 0.03, 0.12),
        height=settings.text_height.draw(generator),
        font=int(generator.integers(2)),
        weight=float(generator.uniform(0.08, 0.14)),
        angle=0.0,
        mirrored=False,
        grey=settings.text_grey.draw(generator),
        plate=str(generator.choice(["", "square"])),
        plate_grey=-1.0,
    )


def draw_ring(generator: np.random.Generator, settings: FieldSettings) -> Ring:
    """Draw a ring, on the ring finger more often than on others."""
    return Ring(
        channel=_RING_BONES[int(generator.choice(4, p=[0.12, 0.2, 0.56, 0.12]))],
        place=float(generator.uniform(0.25, 0.6)),
        height=settings.ring_height.draw(generator),
        tilt=float(generator.uniform(0.0, 0.25)),
        grey=settings.ring_grey.draw(generator),
    )


def add_marker(grey: Image, occupied: NDArray[np.bool_], side: Side, marker: Marker) -> None:
    """Lay a marker on the picture (H, W) in place, unless every place it could have covers bones.

    Args:
        grey: the picture.
        occupied: whether a cell of a coarse grid over the picture shows bone (h, w).
        side: the hand's side.
        marker: the marker.
    """
    text = side.value + marker.text[1:] if marker.is_side else marker.text
    letters, plate, capital = _tile(text, marker)
    scale = marker.height * max(grey.shape) / capital
    turn = cv2.getRotationMatrix2D((letters.shape[1] / 2, letters.shape[0] / 2), marker.angle, scale)
    corners = np.array([[0, 0, 1], [letters.shape[1], 0, 1], [letters.shape[1], letters.shape[0], 1]])
    corners = np.concatenate([corners, [[0, letters.shape[0], 1]]]) @ turn.T
    low, size = corners.min(0), np.ceil(np.ptp(corners, axis=0)).astype(int)
    turn[:, 2] -= low
    if (size >= grey.shape[::-1]).any() or (size < 2).any():
        return
    corner = _free_place(marker, size, grey.shape, occupied)
    if corner is None:
        return
    # Strokes finer than a pixel must fade, not break.
    sigma = max(0.45 / scale, 0.8)
    tiles = (cv2.GaussianBlur(tile, (0, 0), sigma) for tile in (letters, plate))
    inked, carried = (cv2.warpAffine(tile, turn, tuple(map(int, size)), flags=cv2.INTER_LINEAR) for tile in tiles)
    where = grey[corner[1] : corner[1] + size[1], corner[0] : corner[0] + size[0]]
    where += marker.plate_grey * carried
    np.clip(where, 0, 1, out=where)
    where += (marker.grey - where) * inked


def add_ring(grey: Image, packed: Packed, ring: Ring) -> None:
    """Put a ring around its finger in the picture (H, W) in place."""
    rows, columns = np.nonzero((packed >> np.uint32(ring.channel)) & np.uint32(1))
    if len(rows) < 12:
        return
    points = np.column_stack([columns, rows]).astype(np.float64)
    middle = points.mean(0)
    variances, axes = np.linalg.eigh(np.cov((points - middle).T))
    width = float(np.sqrt(12 * variances[0]))
    along = axes[:, 1] * (np.sign(axes[1, 1]) or 1.0)
    centre = middle + along * (ring.place - 0.5) * np.sqrt(12 * variances[1])
    band = np.zeros(grey.shape, np.uint8)
    half = width * _FINGER_WIDTH / 2
    angle = float(np.degrees(np.arctan2(axes[1, 0], axes[0, 0])))
    shift = 4
    place, radii = (
        tuple(int(value * 2**shift) for value in pair) for pair in (centre, (half, max(half * ring.tilt, 0.5)))
    )
    thickness = max(round(ring.height * width), 1)
    cv2.ellipse(band, place, radii, angle, 0, 360, 255, thickness, cv2.LINE_AA, shift)
    top, bottom = (int(np.clip(centre[1] + sign * 3 * width, 0, len(grey))) for sign in (-1, 1))
    part = grey[top:bottom]
    part += (np.float32(ring.grey) - part) * (band[top:bottom] * np.float32(0.96 / 255))


def _places(generator: np.random.Generator, nearest: float, farthest: float) -> tuple[tuple[float, float], ...]:
    """Draw places near the edges of the picture, as shares of its width and height."""
    depth, along = generator.uniform(nearest, farthest, _TRIES), generator.uniform(0.05, 0.95, _TRIES)
    edges = generator.integers(0, 4, _TRIES)
    places = [((d, a), (1 - d, a), (a, d), (a, 1 - d))[edge] for d, a, edge in zip(depth, along, edges, strict=True)]
    return tuple((float(x), float(y)) for x, y in places)


def _free_place(
    marker: Marker, size: NDArray[np.int_], shape: tuple[int, ...], occupied: NDArray[np.bool_]
) -> tuple[int, int] | None:
    """Return the column and row of the corner at the first place that covers no bone."""
    space = np.array(shape[::-1]) - size
    cells = np.array(occupied.shape[::-1]) / shape[::-1]
    for place in marker.places:
        corner = np.clip(np.array(place) * shape[::-1] - size / 2, 0, space).astype(int)
        first, last = np.floor(corner * cells).astype(int), np.ceil((corner + size) * cells).astype(int)
        if not occupied[first[1] : last[1], first[0] : last[0]].any():
            return int(corner[0]), int(corner[1])
    return None


def _tile(text: str, marker: Marker) -> tuple[Image, Image, int]:
    """Return how much of letters and of their plate each pixel of an upright tile shows, and a capital's height."""
    ink = _written(text, marker)
    margin = len(ink) // 2
    rows, columns = (side + 2 * margin for side in ink.shape)
    if marker.plate == "round":
        rows = columns = round(float(np.hypot(*ink.shape))) + margin
    letters, plate = np.zeros((rows, columns), np.uint8), np.zeros((rows, columns), np.uint8)
    top, left = (rows - ink.shape[0]) // 2, (columns - ink.shape[1]) // 2
    letters[top : top + ink.shape[0], left : left + ink.shape[1]] = ink[:, ::-1] if marker.mirrored else ink
    if marker.plate == "round":
        cv2.circle(plate, (columns // 2, rows // 2), columns // 2 - 2, 255, -1, cv2.LINE_AA)
    elif marker.plate == "square":
        plate[2:-2, 2:-2] = 255
    full = np.float32(255)
    inked, carried = np.asarray(letters, np.float32) / full, np.asarray(plate, np.float32) / full
    return inked, carried, len(_written("E", marker))


def _written(text: str, marker: Marker) -> NDArray[np.uint8]:
    """Write text and cut it out."""
    font, thickness = _FONTS[marker.font], max(round(marker.weight * _TILE), 1)
    scale = cv2.getFontScaleFromHeight(font, _TILE, thickness)
    (width, height), baseline = cv2.getTextSize(text, font, scale, thickness)
    page = np.zeros((2 * (height + baseline) + 4 * thickness, width + _TILE + 4 * thickness), np.uint8)
    cv2.putText(page, text, (2 * thickness, height + 2 * thickness), font, scale, 255, thickness, cv2.LINE_AA)
    left, top, wide, high = cv2.boundingRect(page)
    return page[top : top + high, left : left + wide]
