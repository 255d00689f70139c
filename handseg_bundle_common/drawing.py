"""Masks over a radiograph, as a picture: translucent colours, crisp outlines and the names of the bones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from os import PathLike
from pathlib import PurePosixPath
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from handseg_bundle_common.anatomy import BONES, NUM_BONES, Group, bones_of
from handseg_bundle_common.files import write_atomically
from handseg_bundle_common.masks import Packed, pack_masks

Picture = NDArray[np.uint8]
Font = ImageFont.FreeTypeFont

_OPACITY = 0.38
_SMALLEST_FONT = 10
_BACKGROUND = (16, 17, 20)
_TEXT, _MUTED, _FAINT, _HALO = (236, 238, 241), (176, 180, 188), (84, 88, 96), (10, 10, 12)
_MARK = (240, 178, 80)
# Height of a legend row in font sizes.
_ROW = 1.62
# A label stands on the uncovered part of a bone if that is more than this fraction of it,
_UNCOVERED = 0.2
# and there, where the bone is at least this wide as a fraction of its widest part.
_WIDE = 0.6


def overlay(
    radiograph: NDArray[np.floating[Any]],
    masks: NDArray[np.bool_] | Packed,
    *,
    names: bool = True,
    notes: Sequence[str] = (),
) -> Picture:
    """Draw masks over a radiograph; where bones overlap, their colours are averaged and all outlines are seen.

    Args:
        radiograph: (H, W) or (1, H, W), 0..1.
        masks: masks (29, H, W) or packed masks (H, W) of the same size.
        names: write abbreviations on the bones and add a legend at the right, which makes the picture wider, and
            higher if it has fewer rows than the legend needs.
        notes: sentences to write in a band below, such as what to look at twice; without any there is no band.

    Returns:
        RGB picture (H, W, 3); the radiograph's pixel (0, 0) is the picture's.

    Raises:
        ValueError: radiograph and masks differ in size.
    """
    grey = radiograph[0] if radiograph.ndim == 3 else radiograph
    packed = masks.astype(np.uint32, copy=False) if masks.ndim == 2 else pack_masks(masks.astype(bool, copy=False))
    if grey.shape != packed.shape:
        raise ValueError(f"radiograph {grey.shape} and masks {packed.shape} differ in size")
    picture = _fill(grey, packed)
    _outline(picture, packed)
    canvas, font = Image.fromarray(picture), _font(grey.shape)
    if names:
        _write_abbreviations(canvas, packed, font)
        canvas = _with_legend(canvas, packed, font)
    return np.array(_with_notes(canvas, notes, font))


def heat_overlay(radiograph: NDArray[np.floating[Any]], share: NDArray[np.floating[Any]]) -> Picture:
    """Tint a radiograph by a share a pixel, such as that of the members of an ensemble that disagree.

    Args:
        radiograph: (H, W) or (1, H, W), 0..1.
        share: 0..1, (h, w) of any size; it is enlarged or shrunk to the radiograph's.

    Returns:
        RGB picture (H, W, 3), grey where the share is 0, glowing where it is 1.
    """
    grey = np.clip(radiograph[0] if radiograph.ndim == 3 else radiograph, 0, 1).astype(np.float32)
    height, width = grey.shape
    shown = cv2.resize(np.asarray(share, np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    levels = np.rint(np.clip(shown, 0, 1) * 255).astype(np.uint8)
    heat = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    # Square roots let a single dissenter among many be seen.
    opacity = np.sqrt(np.clip(shown, 0, 1))[..., None]
    picture: Picture = np.rint((1 - opacity) * (0.6 * 255 * grey[..., None]) + opacity * heat).astype(np.uint8)
    return picture


def overlay_name(image_name: str) -> str:
    """Return the relative path of an image's overlay: the name itself for a PNG, with `.png` added for others.

    A name that is an absolute path, or leads upwards, loses those parts: an overlay must not be written over its
    radiograph, or anywhere but below its folder.
    """
    name = "/".join(part for part in PurePosixPath(image_name).parts if part not in {"/", "//", ".."})
    return name if PurePosixPath(name).suffix.lower() == ".png" else f"{name}.png"


def label_point(packed: Packed, channel: int) -> tuple[int, int] | None:
    """Return (x, y) near the middle of a bone where it is wide, uncovered if possible; None without the bone.

    Args:
        packed: packed masks (H, W) of a picture or of a part of it.
        channel: the bone.
    """
    alone = (packed == np.uint32(1 << channel)).astype(np.uint8)
    mask = _mask(packed, channel)
    if not mask.any():
        return None
    if alone.sum() > _UNCOVERED * mask.sum():
        mask = alone
    x, y, width, height = cv2.boundingRect(mask)
    crop = np.pad(mask[y : y + height, x : x + width], 1)
    distance = cv2.distanceTransform(crop, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    wide = np.argwhere(distance >= _WIDE * distance.max())
    middle = np.argwhere(crop).mean(axis=0)
    row, column = wide[np.square(wide - middle).sum(axis=1).argmin()]
    return x + int(column) - 1, y + int(row) - 1


def save_png(path: str | PathLike[str], picture: Picture) -> None:
    """Write a picture as PNG; the file is either complete or absent.

    Raises:
        HandsegInputError: the file cannot be written.
    """
    with write_atomically(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG", compress_level=4)


def _mask(packed: Packed, channel: int) -> Picture:
    return ((packed >> np.uint32(channel)) & np.uint32(1)).astype(np.uint8)


def _fill(grey: NDArray[np.floating[Any]], packed: Packed) -> Picture:
    """Tint every pixel with the mean colour of its bones."""
    picture = np.repeat(np.rint(np.clip(grey, 0, 1) * 255).astype(np.uint8)[..., None], 3, axis=2)
    inside = packed > 0
    combinations, index = np.unique(packed[inside], return_inverse=True)
    members = (combinations[:, None] >> np.arange(NUM_BONES, dtype=np.uint32)) & 1
    colours = members @ np.array([bone.colour for bone in BONES], np.float32) / members.sum(axis=1, keepdims=True)
    tint = (_OPACITY * colours).astype(np.float32)
    picture[inside] = np.rint(np.float32(1 - _OPACITY) * picture[inside] + tint[index]).astype(np.uint8)
    return picture


def _outline(picture: Picture, packed: Packed) -> None:
    """Draw every bone's outline, holes included, in its colour."""
    thickness = max(1, round(max(packed.shape) / 750))
    for channel, bone in enumerate(BONES):
        rings, _ = cv2.findContours(_mask(packed, channel), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, rings, -1, bone.colour, thickness, cv2.LINE_AA)


def _font(size: tuple[int, ...]) -> Font:
    """Return Pillow's own font, so that the picture is the same on every machine."""
    return cast(Font, ImageFont.load_default(max(_SMALLEST_FONT, round(max(size) / 85))))


def _write_abbreviations(canvas: Image.Image, packed: Packed, font: Font) -> None:
    """Write every bone's abbreviation on it."""
    draw = ImageDraw.Draw(canvas)
    halo = max(1, round(font.size / 9))
    for channel, bone in enumerate(BONES):
        position = label_point(packed, channel)
        if position:
            draw.text(position, bone.abbreviation, _TEXT, font, anchor="mm", stroke_width=halo, stroke_fill=_HALO)


def _with_legend(canvas: Image.Image, packed: Packed, font: Font) -> Image.Image:
    """Append a column with colour, abbreviation and name of every bone; bones that are not there are faint."""
    row, margin = round(_ROW * font.size), round(1.4 * font.size)
    rows = _legend_rows()
    swatch, abbreviation = margin, margin + round(1.5 * font.size)
    name = abbreviation + round(2.9 * font.size)
    width = name + round(max(font.getlength(bone.anatomical_name) for bone in BONES)) + margin
    height = max(canvas.height, round(rows[-1] * row) + 2 * margin)
    result = Image.new("RGB", (canvas.width + width, height), _BACKGROUND)
    result.paste(canvas)
    draw = ImageDraw.Draw(result)
    present = int(np.bitwise_or.reduce(packed, axis=None))
    for channel, (bone, position) in enumerate(zip(BONES, rows, strict=True)):
        x, y = canvas.width, margin + round(position * row)
        is_there = present >> channel & 1
        fill, edge, strong, plain = (bone.colour, bone.colour, _TEXT, _MUTED) if is_there else (None, *[_FAINT] * 3)
        box = (x + swatch, y - font.size * 0.36, x + swatch + font.size * 0.9, y + font.size * 0.36)
        draw.rounded_rectangle(box, font.size * 0.2, fill, edge)
        draw.text((x + abbreviation, y), BONES[channel].abbreviation, strong, font, anchor="lm")
        draw.text((x + name, y), bone.anatomical_name, plain, font, anchor="lm")
    return result


def _legend_rows() -> list[float]:
    """Return the vertical positions of the bones in rows, with gaps between the rays, the carpals and the forearm."""
    ends = [bone.group is Group.METACARPALS or bone is bones_of(Group.CARPALS)[-1] for bone in BONES[:-1]]
    return list(accumulate((1.5 if end else 1.0 for end in ends), initial=0.0))


def _with_notes(canvas: Image.Image, notes: Sequence[str], font: Font) -> Image.Image:
    """Append a band with a marked line for each note, in as many columns as fit; a long note takes several lines."""
    row, margin, indent = round(_ROW * font.size), round(1.4 * font.size), font.size
    room = canvas.width - 2 * margin
    lines = [(line, is_first) for note in notes for line, is_first in _wrapped(note, font, room - indent)]
    if not lines:
        return canvas
    column = indent + max(math.ceil(font.getlength(line)) for line, _ in lines) + 2 * margin
    in_column = math.ceil(len(lines) / max(1, (room + 2 * margin) // column))
    result = Image.new("RGB", (canvas.width, canvas.height + 2 * margin + (in_column - 1) * row), _BACKGROUND)
    result.paste(canvas)
    draw = ImageDraw.Draw(result)
    for number, (line, is_first) in enumerate(lines):
        x = margin + number // in_column * column
        y = canvas.height + margin + number % in_column * row
        if is_first:
            draw.circle((x + font.size * 0.25, y), font.size * 0.22, _MARK)
        draw.text((x + indent, y), line, _TEXT, font, anchor="lm")
    return result


def _wrapped(note: str, font: Font, room: float) -> list[tuple[str, bool]]:
    """Return the lines of a note, none wider than the room if its words allow, and whether each is the first."""
    lines: list[str] = []
    for word in note.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return [(line, number == 0) for number, line in enumerate(lines)]
