"""What is wrong with masks, as a picture: missed, false and mistaken pixels in colour over the radiograph."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.drawing import Picture
from handseg_bundle_common.formats.radiograph import read_radiograph
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.transforms import ScaleRadiographd

Grey = NDArray[np.float32]
Colour = tuple[int, int, int]
Size = tuple[int, int]

# Colours that stay apart with every kind of colour blindness. Source: M. Okabe, K. Ito, Color universal design (2008).
FALSE_POSITIVE: Colour = (230, 159, 0)
FALSE_NEGATIVE: Colour = (86, 180, 233)
MISTAKEN: Colour = (204, 121, 167)
FOUND: Colour = (0, 158, 115)
OUTLINE: Colour = (236, 238, 241)

ALL_BONES = (1 << NUM_BONES) - 1

_OPACITY, _FOUND_OPACITY, _OUTLINE_OPACITY, _FAINT_OPACITY = 0.8, 0.5, 0.6, 0.25
# What a picture without a radiograph is drawn on, and how much a radiograph is darkened under colours.
_BLANK, _DARKENED = 0.22, 0.85
# Margin around what is magnified, as a share of it, least sides of such a square around bones and around zones where
# two overlap, which may be a few px small, as shares of the picture, and margin around the whole hand.
_MARGIN, _LEAST_SIDE, ZONE_SIDE, _HAND_MARGIN = 0.3, 1 / 12, 1 / 26, 0.03

# The longer side of a picture over the thickness of its outlines.
_LINES, _MAGNIFIED_LINES = 900, 180

_stretch = ScaleRadiographd("image")


@dataclass(frozen=True)
class Box:
    """A part of a picture: rows `top` to `bottom` and columns `left` to `right`, the ends left out."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def size(self) -> Size:
        """Rows and columns."""
        return self.bottom - self.top, self.right - self.left

    def crop(self, picture: NDArray[Any]) -> NDArray[Any]:
        """Return this part of (H, W) or (H, W, C)."""
        return picture[self.top : self.bottom, self.left : self.right]


@dataclass(frozen=True, eq=False)
class Scene:
    """A radiograph with the masks of prediction and reference, or a part of them.

    Attributes:
        grey: float32 (H, W), 0..1.
        prediction: packed masks (H, W).
        reference: packed masks (H, W).
    """

    grey: Grey
    prediction: Packed
    reference: Packed

    @property
    def size(self) -> Size:
        """Rows and columns."""
        height, width = self.reference.shape
        return height, width

    def crop(self, box: Box) -> Scene:
        """Return a part of it."""
        return Scene(*(box.crop(layer) for layer in (self.grey, self.prediction, self.reference)))

    def only(self, bones: int) -> Scene:
        """Return it with the masks of some bones only, given as bits."""
        kept = np.uint32(bones)
        return replace(self, prediction=self.prediction & kept, reference=self.reference & kept)


def read_scene(radiograph: Path | None, prediction: Packed, reference: Packed) -> Scene:
    """Return a scene with the contrast of its radiograph stretched; without a radiograph it is plain grey.

    Raises:
        HandsegInputError: the radiograph cannot be read.
    """
    if radiograph is None:
        return Scene(np.full(reference.shape, _BLANK, np.float32), prediction, reference)
    image = _stretch({"image": read_radiograph(radiograph)})["image"]
    return Scene(np.asarray(image, np.float32).reshape(reference.shape), prediction, reference)


def fit_size(size: Size, longest: int) -> Size:
    """Return a size of the same aspect whose longer side is `longest`, but no larger than it was."""
    factor = min(1.0, longest / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def square_around(where: NDArray[np.bool_], least_side: float = _LEAST_SIDE) -> Box:
    """Return a square with a margin around the pixels, moved and cut so that it lies in the picture.

    Args:
        where: (H, W).
        least_side: of the square, as a share of the picture's longer side.
    """
    height, width = where.shape
    rows, columns = _extents(where)
    extent = int(max(np.ptp(rows), np.ptp(columns))) + 1
    side = round(max(extent * (1 + 2 * _MARGIN), least_side * max(where.shape)))
    top, bottom = _span(int(rows[0] + rows[-1] + 1) // 2, side, height)
    left, right = _span(int(columns[0] + columns[-1] + 1) // 2, side, width)
    return Box(top, left, bottom, right)


def hand_box(scene: Scene) -> Box:
    """Return the rectangle of all bones with a margin, cut where the picture ends."""
    where = (scene.reference | scene.prediction) > 0
    margin = round(_HAND_MARGIN * max(where.shape))
    (top, bottom), (left, right) = ((ends[0] - margin, ends[-1] + margin + 1) for ends in _extents(where))
    return Box(max(top, 0), max(left, 0), min(bottom, where.shape[0]), min(right, where.shape[1]))


def error_layer(scene: Scene, size: Size, bones: int = ALL_BONES) -> Picture:
    """Draw the errors of some bones and the outlines of the reference, transparent elsewhere.

    A pixel is a false positive if it has bones too many, a false negative if it lacks some, and mistaken if both: it
    was taken for another bone.

    Args:
        scene: the masks.
        size: rows and columns of the layer.
        bones: those whose errors are drawn, as bits; the outlines of the others are faint.

    Returns:
        RGBA (*size, 4).
    """
    shown = scene.only(bones)
    surplus = shown.prediction & ~shown.reference != 0
    missed = shown.reference & ~shown.prediction != 0
    layer = _coloured(
        (surplus & ~missed, FALSE_POSITIVE), (missed & ~surplus, FALSE_NEGATIVE), (missed & surplus, MISTAKEN)
    )
    # Where the picture shrinks, outlines would hide thin errors.
    on_top = size[0] > scene.size[0]
    return _outlined(_resized(layer, size), _sampled(scene.reference, size), bones, on_top=on_top)


def zone_layer(scene: Scene, size: Size, bones: int) -> Picture:
    """Draw the zone where two bones, given as bits, overlap: found, missed, and seen where there is none.

    Returns:
        RGBA (*size, 4).
    """
    pair = np.uint32(bones)
    predicted, expected = (masks & pair == pair for masks in (scene.prediction, scene.reference))
    layer = _coloured((predicted & ~expected, FALSE_POSITIVE), (expected & ~predicted, FALSE_NEGATIVE))
    found = predicted & expected
    layer[found] = *FOUND, round(255 * _FOUND_OPACITY)
    return _outlined(_resized(layer, size), _sampled(scene.reference, size), bones, on_top=True)


def backdrop(scene: Scene, size: Size) -> NDArray[np.uint8]:
    """Return the radiograph alone, grey uint8 of the size, a little darkened so that colours stand out."""
    method = cv2.INTER_AREA if size[0] <= scene.size[0] else cv2.INTER_CUBIC
    grey = np.clip(cv2.resize(scene.grey, size[::-1], interpolation=method), 0, 1)
    shown: NDArray[np.uint8] = np.rint(grey * (255 * _DARKENED)).astype(np.uint8)
    return shown


def compose(grey: NDArray[np.uint8], layer: Picture) -> Picture:
    """Lay an RGBA layer over a grey picture; RGB (H, W, 3)."""
    opacity = layer[..., 3:] / np.float32(255)
    picture: Picture = np.rint(grey[..., None] * (1 - opacity) + layer[..., :3] * opacity).astype(np.uint8)
    return picture


def _extents(where: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows and columns that have such pixels; all of them if there are none."""
    lines = (where.any(axis=axis) if where.any() else np.ones(where.shape[1 - axis], bool) for axis in (1, 0))
    rows, columns = (np.flatnonzero(line) for line in lines)
    return rows, columns


def _span(middle: int, length: int, available: int) -> tuple[int, int]:
    """Return where a stretch of pixels starts and ends, moved into the picture."""
    length = min(length, available)
    start = min(max(middle - length // 2, 0), available - length)
    return start, start + length


def _coloured(*kinds: tuple[NDArray[np.bool_], Colour]) -> Picture:
    layer = np.zeros((*kinds[0][0].shape, 4), np.uint8)
    for where, colour in kinds:
        layer[where] = *colour, round(255 * _OPACITY)
    return layer


def _resized(layer: Picture, size: Size) -> Picture:
    """Resize RGBA; colours are averaged by their opacity, so that thin errors fade but keep their colour."""
    if size[0] > layer.shape[0]:
        return np.asarray(cv2.resize(layer, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
    weighted = layer.astype(np.float32)
    weighted[..., :3] *= weighted[..., 3:]
    small = np.asarray(cv2.resize(weighted, size[::-1], interpolation=cv2.INTER_AREA), np.float32)
    small[..., :3] /= np.maximum(small[..., 3:], 1e-6)
    return np.rint(np.clip(small, 0, 255)).astype(np.uint8)


def _sampled(packed: Packed, size: Size) -> Packed:
    """Return packed masks at another size, by the nearest pixel."""
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(int) for new, old in zip(size, packed.shape, strict=True)
    )
    sampled: Packed = packed[rows][:, columns]
    return sampled


def _outlined(layer: Picture, reference: Packed, bones: int, *, on_top: bool) -> Picture:
    """Draw the outlines of the reference into a layer, those of other bones faintly and below what is drawn there."""
    thickness = max(1, round(max(reference.shape) / (_MAGNIFIED_LINES if on_top else _LINES)))
    faint, strong = (np.zeros(reference.shape, np.uint8) for _ in range(2))
    for channel in range(NUM_BONES):
        mask = (reference >> np.uint32(channel) & np.uint32(1)).astype(np.uint8)
        rings, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(strong if bones >> channel & 1 else faint, rings, -1, 255, thickness)
    empty = layer[..., 3] == 0
    layer[(faint > 0) & empty] = *OUTLINE, round(255 * _FAINT_OPACITY)
    layer[(strong > 0) & (empty | on_top)] = *OUTLINE, round(255 * _OUTLINE_OPACITY)
    return layer
