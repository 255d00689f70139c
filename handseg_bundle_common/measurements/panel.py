"""The column of numbers beside an overlay of measures."""

from __future__ import annotations

import math
from functools import cache
from typing import cast

from PIL import Image, ImageDraw, ImageFont

from handseg_bundle_common.anatomy import BONES, Bone, Group, bones_of
from handseg_bundle_common.datasets.wrist import TILTED_FROM
from handseg_bundle_common.drawing import Font
from handseg_bundle_common.measurements.bones import BoneMeasures
from handseg_bundle_common.measurements.hand import HandMeasures
from handseg_bundle_common.measurements.scale import Scale

Colour = tuple[int, int, int]

TEXT: Colour = (236, 238, 241)
MISSING = "-"
INDEX_NAMES = {
    "carpal_height": "carpal height",
    "carpal_height_ratio": "carpal height / third metacarpal",
    "revised_carpal_height_ratio": "carpal height / capitate",
    "metacarpal_index": "metacarpal index",
    "ulnar_variance": "ulnar variance",
    "wrist_angle": "angle of the wrist",
}
# The indices that are drawn, and their colours.
INDEX_COLOURS: dict[str, Colour] = {
    "carpal_height": (255, 200, 60),
    "metacarpal_index": (130, 255, 190),
    "ulnar_variance": (110, 215, 255),
}

_BACKGROUND, _MUTED = (16, 17, 20), (176, 180, 188)
_FONT, _ROW, _MARGIN = 21, 34, 34
_FORMATS = {"carpal_height_ratio": ".3f", "revised_carpal_height_ratio": ".3f", "metacarpal_index": ".2f"}
# Right edges of the columns of numbers.
_WIDTH, _LENGTH_END, _WIDTH_END = 480, 350, 446


@cache
def label_font(size: int) -> Font:
    """Return Pillow's own font, so that the picture is the same on every machine."""
    return cast(Font, ImageFont.load_default(size))


def index_text(measures: HandMeasures, index: str, scale: Scale) -> str:
    """Return an index with its unit, the signs of a variance and an angle included, or a dash where it is missing.

    A tilted wrist is told, because carpal height and ulnar variance are meant for a neutral one.

    Args:
        measures: what was measured, in px.
        index: name in `Indices`.
        scale: turns px into the unit of the text.
    """
    value = getattr(measures.indices, index).value
    if math.isnan(value):
        return MISSING
    if index == "wrist_angle":
        return f"{'tilted ' if abs(value) >= TILTED_FROM else ''}{value:+.0f}°"
    if index in _FORMATS:
        return f"{value:{_FORMATS[index]}}"
    return f"{scale.length(value):{'+.1f' if index == 'ulnar_variance' else '.1f'}} {scale.unit}"


def with_panel(canvas: Image.Image, measures: HandMeasures, scale: Scale) -> Image.Image:
    """Append the column at the right, and rows below a picture that is lower than the column."""
    rows = [1.5 if _ends_group(bone) else 1.0 for bone in BONES]
    needed = 2 * _MARGIN + round((len(INDEX_NAMES) + 4 + sum(rows)) * _ROW)
    result = Image.new("RGB", (canvas.width + _WIDTH, max(canvas.height, needed)), _BACKGROUND)
    result.paste(canvas)
    draw, x, y = ImageDraw.Draw(result), canvas.width, _MARGIN
    for index, name in INDEX_NAMES.items():
        _write_index(draw, (x, y), index, name, index_text(measures, index, scale))
        y += _ROW
    y += _ROW
    for text, end in (("length", _LENGTH_END), ("width", _WIDTH_END)):
        draw.text((x + end, y), text, _MUTED, label_font(_FONT), anchor="rm")
    draw.text((x + 30, y), f"bones, {scale.unit}", _MUTED, label_font(_FONT), anchor="lm")
    for bone, row in zip(BONES, [1.2, *rows[:-1]], strict=True):
        y += round(row * _ROW)
        _write_bone(draw, (x, y), bone, measures.bones.get(bone.name), scale)
    return result


def _ends_group(bone: Bone) -> bool:
    return bone.group is Group.METACARPALS or bone is bones_of(Group.CARPALS)[-1]


def _write_index(draw: ImageDraw.ImageDraw, place: tuple[int, int], index: str, name: str, text: str) -> None:
    """Write an index with the colour of its lines."""
    x, y = place
    if index in INDEX_COLOURS:
        draw.line([x + 26, y, x + 46, y], INDEX_COLOURS[index], 4)
    draw.text((x + 58, y), name, _MUTED, label_font(_FONT), anchor="lm")
    draw.text((x + _WIDTH_END, y), text, TEXT if text != MISSING else _MUTED, label_font(_FONT), anchor="rm")


def _write_bone(
    draw: ImageDraw.ImageDraw, place: tuple[int, int], bone: Bone, measured: BoneMeasures | None, scale: Scale
) -> None:
    """Write a bone's length and width, or why it has none."""
    x, y = place
    box = (x + 30, y - 8, x + 46, y + 8)
    draw.rounded_rectangle(box, 4, None if measured is None else bone.colour, _MUTED if measured is None else None)
    draw.text((x + 58, y), bone.abbreviation, _MUTED if measured is None else TEXT, label_font(_FONT), anchor="lm")
    if measured is None or measured.is_cut:
        text = "missing" if measured is None else "cut by the border"
        draw.text((x + _WIDTH_END, y), text, _MUTED, label_font(_FONT), anchor="rm")
        return
    for value, end in ((measured.length, _LENGTH_END), (measured.width, _WIDTH_END)):
        draw.text((x + end, y), f"{scale.length(value):.1f}", TEXT, label_font(_FONT), anchor="rm")
