"""Sheets of small pictures: the worst images, and the zones where bones overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from handseg_bundle_common.analysis.case import Case
from handseg_bundle_common.analysis.overlays import (
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    FOUND,
    MISTAKEN,
    OUTLINE,
    ZONE_SIDE,
    Colour,
    Scene,
    backdrop,
    compose,
    error_layer,
    hand_box,
    square_around,
    zone_layer,
)
from handseg_bundle_common.anatomy import BONES, CHANNEL, OVERLAPPING_PAIRS
from handseg_bundle_common.drawing import Font, Picture
from handseg_bundle_common.files import printable

ERROR_LEGEND = (
    (FALSE_NEGATIVE, "missed"),
    (FALSE_POSITIVE, "false"),
    (MISTAKEN, "taken for another bone"),
    (OUTLINE, "outline of the reference"),
)
ZONE_LEGEND = (
    (FOUND, "overlap found"),
    (FALSE_NEGATIVE, "overlap missed"),
    (FALSE_POSITIVE, "overlap where there is none"),
    (OUTLINE, "outlines of the two bones in the reference"),
)

_TILE_PX, _GAP_PX, _SWATCH_PX, _FONT_PX, _LINE_PX = 400, 18, 16, 17, 23
_BACKGROUND, _TEXT, _MUTED = (16, 17, 20), (236, 238, 241), (176, 180, 188)


@dataclass(frozen=True, eq=False)
class Tile:
    """A small picture with a few lines below it, the first of which is its title."""

    picture: Picture
    lines: tuple[str, ...]


@dataclass(frozen=True)
class ZoneChoice:
    """A pair of bones and the image in which the zone where they overlap is worst.

    Attributes:
        pair: number in `anatomy.OVERLAPPING_PAIRS`.
        case: number of the image.
        dice: Dice of the zone there.
        mean: mean of it over all images.
    """

    pair: int
    case: int
    dice: float
    mean: float

    @property
    def bits(self) -> int:
        """The two bones as bits of packed masks."""
        return sum(1 << CHANNEL[name] for name in OVERLAPPING_PAIRS[self.pair])

    @property
    def bones(self) -> str:
        """The two bones for a reader of anatomy."""
        return " and ".join(BONES[CHANNEL[name]].anatomical_name for name in OVERLAPPING_PAIRS[self.pair])


def worst_zones(cases: Sequence[Case], count: int) -> list[ZoneChoice]:
    """Return the pairs whose zones have the lowest mean Dice below 1, lowest first, each where it is worst."""
    dice = np.stack([case.pair_dice for case in cases])
    chosen = [
        ZoneChoice(pair, int(np.nanargmin(column)), float(np.nanmin(column)), float(np.nanmean(column)))
        for pair, column in enumerate(dice.T)
        if (column < 1).any()
    ]
    return sorted(chosen, key=lambda zone: zone.mean)[:count]


def zone_tile(scene: Scene, zone: ZoneChoice, image_name: str) -> Tile:
    """Draw the overlap of two bones, magnified."""
    pair = np.uint32(zone.bits)
    overlap = (scene.reference & pair == pair) | (scene.prediction & pair == pair)
    cut = scene.crop(square_around(overlap, ZONE_SIDE))
    size = _filling(cut.size)
    picture = compose(backdrop(cut, size), zone_layer(cut, size, zone.bits))
    return Tile(picture, (zone.bones, f"zone Dice {zone.dice:.3f}, mean {zone.mean:.3f}", printable(image_name)))


def case_tile(scene: Scene, case: Case) -> Tile:
    """Draw all errors of an image."""
    hand = scene.crop(hand_box(scene))
    size = _filling(hand.size)
    picture = compose(backdrop(hand, size), error_layer(hand, size))
    lines = (printable(case.image_name), f"mean Dice {case.mean_dice:.3f}", *([case.reason] if case.reason else ()))
    return Tile(picture, lines)


def draw_sheet(tiles: Sequence[Tile], legend: Sequence[tuple[Colour, str]], columns: int) -> Picture:
    """Lay tiles in rows below a legend of the colours.

    Returns:
        RGB (H, W, 3).
    """
    font = cast(Font, ImageFont.load_default(_FONT_PX))
    columns = min(columns, max(len(tiles), 1))
    width = columns * (_TILE_PX + _GAP_PX) + _GAP_PX
    places = _legend_places(legend, font, width)
    texts = [_wrapped_lines(tile.lines, font) for tile in tiles]
    top = places[-1][1] + _LINE_PX + _GAP_PX
    step = _TILE_PX + _LINE_PX * max(map(len, texts), default=0) + 2 * _GAP_PX
    canvas = Image.new("RGB", (width, top + math.ceil(len(tiles) / columns) * step), _BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    for (colour, text), (x, y) in zip(legend, places, strict=True):
        draw.rounded_rectangle((x, y + 3, x + _SWATCH_PX, y + 3 + _SWATCH_PX), 4, colour)
        draw.text((x + _SWATCH_PX + 8, y), text, _TEXT, font)
    for number, (tile, lines) in enumerate(zip(tiles, texts, strict=True)):
        x, y = _GAP_PX + number % columns * (_TILE_PX + _GAP_PX), top + number // columns * step
        height, width = tile.picture.shape[:2]
        canvas.paste(Image.fromarray(tile.picture), (x + (_TILE_PX - width) // 2, y + _TILE_PX - height))
        for line, (text, colour) in enumerate(lines):
            draw.text((x, y + _TILE_PX + _GAP_PX // 2 + line * _LINE_PX), text, colour, font)
    return np.array(canvas)


def _filling(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size of a part of a picture that fills a tile."""
    factor = _TILE_PX / max(size)
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _legend_places(legend: Sequence[tuple[Colour, str]], font: Font, width: int) -> list[tuple[int, int]]:
    """Return where the items of a legend stand, in as many lines as the width asks for."""
    places: list[tuple[int, int]] = []
    x, y = _GAP_PX, _GAP_PX
    for _, text in legend:
        length = _SWATCH_PX + 8 + math.ceil(font.getlength(text))
        if x > _GAP_PX and x + length > width - _GAP_PX:
            x, y = _GAP_PX, y + _LINE_PX
        places.append((x, y))
        x += length + 2 * _GAP_PX
    return places


def _wrapped_lines(lines: Sequence[str], font: Font) -> list[tuple[str, Colour]]:
    """Return lines with their colours, long ones on several."""
    return [(part, _MUTED if number else _TEXT) for number, line in enumerate(lines) for part in _wrap(line, font)]


def _wrap(line: str, font: Font) -> list[str]:
    """Break a line where a tile ends, between words if it has any."""
    parts: list[str] = []
    rest = line
    while rest:
        end = next((n for n in range(len(rest), 1, -1) if font.getlength(rest[:n]) <= _TILE_PX), 1)
        space = rest.rfind(" ", 0, end)
        if end < len(rest) and space > 0:
            end = space
        parts.append(rest[:end])
        rest = rest[end:].lstrip()
    return parts
