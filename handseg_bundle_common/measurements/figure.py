"""Measures as a picture: outlines of the bones, the lines that were measured, and a column of numbers beside them."""

from __future__ import annotations

import cmath
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from handseg_bundle_common.anatomy import BONES, CHANNEL, Group
from handseg_bundle_common.drawing import Picture, label_point, overlay
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.measurements.hand import HandMeasures
from handseg_bundle_common.measurements.indices import METACARPALS
from handseg_bundle_common.measurements.marks import Line
from handseg_bundle_common.measurements.panel import (
    INDEX_COLOURS,
    INDEX_NAMES,
    TEXT,
    Colour,
    index_text,
    label_font,
    with_panel,
)
from handseg_bundle_common.measurements.regions import BoneRegion
from handseg_bundle_common.measurements.scale import Scale
from handseg_bundle_common.transforms import ScaleRadiographd

# Longer side of the radiograph in the picture: small ones are enlarged until the numbers on their bones can be read.
SIDE_PX = 1600

_HALO: Colour = (10, 10, 12)
_CALIPER: Colour = (225, 228, 233)
_CALIPER_OPACITY = 0.7
_BONE_FONT, _NUMBER_FONT, _INDEX_FONT = 20, 19, 26
_THIN, _THICK, _END_PX = 2, 3, 11
# Bones with a length worth a number on them.
_LONG = frozenset({Group.PHALANGES, Group.METACARPALS})
# Of the way from the middle of a metacarpal to its head.
_FROM_MIDDLE = 0.35
# Labels are tried at these steps and turns away from their line, and keep clear of bones.
_STEP_PX, _CLEAR = 10, 8 + 8j
_TURNS = tuple(cmath.rect(1, sign * angle) for angle in (0.0, 0.35, 0.7, 1.05, 1.4) for sign in (1, -1))
# OpenCV draws to this fraction of a pixel, as a power of two.
_SHIFT = 4

_stretch = ScaleRadiographd("image")


@dataclass(frozen=True)
class _View:
    """Places of the radiograph in a picture that is `factor` times as large."""

    factor: float

    def place(self, point: complex) -> complex:
        corner = 0.5 + 0.5j
        return (point + corner) * self.factor - corner

    def line(self, line: Line) -> Line:
        return self.place(line[0]), self.place(line[1])


def measures_overlay(radiograph: NDArray[np.floating[Any]], measures: HandMeasures, scale: Scale) -> Picture:
    """Draw what was measured over a radiograph, legible for pictures of any size.

    Every whole bone has a line for its length, with the width at both ends; carpal height, the middles of the
    metacarpals and the ulnar variance have colours of their own. All numbers stand in a column at the right.

    Args:
        radiograph: (H, W) or (1, H, W), 0..1, bone bright.
        measures: what was measured, in px.
        scale: turns px into the unit of the numbers.

    Returns:
        RGB picture; the longer side of the radiograph in it is `SIDE_PX`.
    """
    height, width = radiograph.shape[-2:]
    grey = _stretch({"image": radiograph.reshape(1, height, width)})["image"][0]
    view = _View(SIDE_PX / max(height, width))
    size = max(1, round(height * view.factor)), max(1, round(width * view.factor))
    large = cv2.resize(grey, size[::-1], interpolation=cv2.INTER_AREA if view.factor < 1 else cv2.INTER_CUBIC)
    masks = _resized_masks(measures, view, size)
    picture = overlay(large, masks, names=False)
    _draw_calipers(picture, measures, view)
    _draw_indices(picture, measures, view)
    canvas = Image.fromarray(picture)
    _write_bones(canvas, measures, masks, view, scale)
    _write_indices(canvas, measures, masks, view, scale)
    return np.array(with_panel(canvas, measures, scale))


def _resized_masks(measures: HandMeasures, view: _View, size: tuple[int, int]) -> Packed:
    """Return what was measured of the bones as packed masks of the picture's size, with smooth outlines."""
    packed = np.zeros(size, np.uint32)
    for bone, region in measures.regions.items():
        part = packed[window := _window(region, view, size)]
        if part.size:
            rows, columns = window
            corner = view.place(region.corner) - complex(columns.start, rows.start)
            matrix = np.array([[view.factor, 0, corner.real], [0, view.factor, corner.imag]])
            levels = cv2.warpAffine(region.mask * np.uint8(255), matrix, part.shape[::-1], flags=cv2.INTER_LINEAR)
            part |= (levels >= 128).astype(np.uint32) << np.uint32(CHANNEL[bone])
    return packed


def _window(region: BoneRegion, view: _View, size: tuple[int, ...]) -> tuple[slice, slice]:
    """Return the rows and columns of a bone in the picture."""
    height, width = region.mask.shape
    corner, end = view.place(region.corner), view.place(region.corner + complex(width, height))
    rows, columns = (
        slice(max(0, int(first)), min(length, int(last) + 1))
        for first, last, length in zip((corner.imag, corner.real), (end.imag, end.real), size, strict=True)
    )
    return rows, columns


def _draw_calipers(picture: Picture, measures: HandMeasures, view: _View) -> None:
    """Draw the length of every bone, and its width at both ends of long bones and in the middle of others."""
    drawn = picture.copy()
    for name, bone in measures.bones.items():
        if bone.is_cut:
            continue
        length, width = (view.line(line) for line in bone.calipers)
        middle = (length[0] + length[1]) / 2
        is_long = BONES[CHANNEL[name]].group in _LONG
        for line in (length, *(_moved(width, end - middle) for end in (length if is_long else (middle,)))):
            _draw(drawn, line, _CALIPER, _THIN)
    cv2.addWeighted(drawn, _CALIPER_OPACITY, picture, 1 - _CALIPER_OPACITY, 0, picture)


def _moved(line: Line, shift: complex) -> Line:
    return line[0] + shift, line[1] + shift


def _draw_indices(picture: Picture, measures: HandMeasures, view: _View) -> None:
    """Draw the lines of the indices: distances thick with ends, what helps to see them thin."""
    for name, colour in INDEX_COLOURS.items():
        measure = getattr(measures.indices, name)
        distances = measure.lines if name == "metacarpal_index" else measure.lines[:1]
        for line in measure.lines[len(distances) :]:
            _draw(picture, view.line(line), colour, _THIN)
        for line in distances:
            _draw_distance(picture, view.line(line), colour)


def _draw_distance(picture: Picture, line: Line, colour: Colour) -> None:
    """Draw a thick line with a bar at either end and a dark halo, so that it is seen on bright and on dark bones."""
    along = line[1] - line[0]
    bar = 1j * along / abs(along) * _END_PX if along else 0j
    lines = (line, (line[0] - bar, line[0] + bar), (line[1] - bar, line[1] + bar))
    for paint, thickness in ((_HALO, _THICK + 3), (colour, _THICK)):
        for part in lines:
            _draw(picture, part, paint, thickness)


def _draw(picture: Picture, line: Line, colour: Colour, thickness: int) -> None:
    start, end = ((round(point.real * 2**_SHIFT), round(point.imag * 2**_SHIFT)) for point in line)
    cv2.line(picture, start, end, colour, thickness, cv2.LINE_AA, _SHIFT)


def _write_bones(canvas: Image.Image, measures: HandMeasures, masks: Packed, view: _View, scale: Scale) -> None:
    """Write every bone's abbreviation on it, and below that the length of a long bone."""
    draw = ImageDraw.Draw(canvas)
    for name, measured in measures.bones.items():
        bone, place = BONES[CHANNEL[name]], _label_place(measures, name, masks, view)
        if measured.is_cut or bone.group not in _LONG:
            _write(draw, place, bone.abbreviation, _BONE_FONT, TEXT)
        else:
            half = 0.55j * _BONE_FONT
            _write(draw, place - half, bone.abbreviation, _BONE_FONT, TEXT)
            _write(draw, place + half, f"{scale.length(measured.length):.1f}", _NUMBER_FONT, TEXT)


def _label_place(measures: HandMeasures, name: str, masks: Packed, view: _View) -> complex:
    """Return a wide, uncovered place of a bone; the label of a metacarpal stands clear of the line of its width."""
    region = measures.regions[name]
    if name in METACARPALS and not region.is_cut:
        (start, end), _ = measures.bones[name].calipers
        far = max((start, end), key=lambda place: _to_fingers(place, measures))
        return view.place(region.middle + _FROM_MIDDLE * (far - region.middle))
    rows, columns = window = _window(region, view, masks.shape)
    place = label_point(masks[window], CHANNEL[name])
    return view.place(region.middle) if place is None else complex(columns.start + place[0], rows.start + place[1])


def _to_fingers(place: complex, measures: HandMeasures) -> float:
    return 0.0 if measures.frame is None else (place * measures.frame.distal.conjugate()).real


def _write_indices(canvas: Image.Image, measures: HandMeasures, masks: Packed, view: _View, scale: Scale) -> None:
    """Write the distances beside their lines: carpal height on the thumb's side, ulnar variance on the ulna's."""
    beside: dict[str, tuple[Line, complex]] = {}
    height, variance = measures.indices.carpal_height.lines, measures.indices.ulnar_variance.lines
    if height and measures.frame is not None:
        beside["carpal_height"] = height[0], -measures.frame.ulnar
    if variance:
        inner, outer = variance[1]
        beside["ulnar_variance"] = variance[0], (outer - inner) / abs(outer - inner)
    draw, taken = ImageDraw.Draw(canvas), masks != 0
    for index, (line, away) in beside.items():
        start, end = view.line(line)
        text, colour = f"{INDEX_NAMES[index]} {index_text(measures, index, scale)}", INDEX_COLOURS[index]
        half = label_font(_INDEX_FONT).getlength(text) / 2 + 8 + 0.8j * _INDEX_FONT
        middle, place = (start + end) / 2, _free_place(taken, (start + end) / 2, away, half)
        box = place - half, place + half
        edge = (min(max(middle.real, box[0].real), box[1].real), min(max(middle.imag, box[0].imag), box[1].imag))
        draw.line([middle.real, middle.imag, *edge], colour, _THIN)
        _write(draw, place, text, _INDEX_FONT, colour)
        taken[_inside(*box)] = True


def _free_place(taken: NDArray[np.bool_], start: complex, away: complex, half: complex) -> complex:
    """Return the nearest middle of a free box of a size in about a direction, or the start where all is taken."""
    height, width = taken.shape
    for distance in range(_STEP_PX, max(taken.shape), _STEP_PX):
        for turn in _TURNS:
            place = start + distance * away * turn
            first, last = place - half, place + half
            fits = first.real >= 0 and first.imag >= 0 and last.real < width and last.imag < height
            if fits and not taken[_inside(first - _CLEAR, last + _CLEAR)].any():
                return place
    return start


def _inside(first: complex, last: complex) -> tuple[slice, slice]:
    """Return the rows and columns of a box as far as they are in the picture."""
    rows, columns = (slice(max(0, round(a)), max(0, round(b))) for a, b in zip(_yx(first), _yx(last), strict=True))
    return rows, columns


def _yx(point: complex) -> tuple[float, float]:
    return point.imag, point.real


def _write(draw: ImageDraw.ImageDraw, place: complex, text: str, size: int, colour: Colour) -> None:
    """Write a text with a dark halo around a place."""
    at = place.real, place.imag
    draw.text(at, text, colour, label_font(size), anchor="mm", stroke_width=max(2, size // 8), stroke_fill=_HALO)
