"""The masks of one image on their way from one format to another."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONES, CHANNEL, NUM_BONES, Group
from handseg_bundle_common.masks import Packed

Size = tuple[int, int]
Spacing = tuple[float, float]

# Programs write 1 for a spacing that they do not know.
PLACEHOLDER = 1.0

# What RAM-H1200 annotates as one, and how its names are spelt there.
MERGED = ("Triquetrum", "Pisiform")
_SPELLINGS = {"pisifrom": "pisiform", "trapzium": "trapezium", "trapzoid": "trapezoid"}


@dataclass(frozen=True, eq=False)
class MaskImage:
    """The masks of one image.

    Attributes:
        name: the image's name, its file's or a path with `/` between folders; empty where the file tells none.
        masks: packed masks (H, W).
        spacing_mm: distances of the centres of rows and of columns in mm; None where they are not known.
        notes: what the file could not tell or what was left out of it, as sentences without a full stop.
    """

    name: str
    masks: Packed
    spacing_mm: Spacing | None = None
    notes: tuple[str, ...] = ()


def known_spacing(rows: float, columns: float) -> Spacing | None:
    """Return distances of rows and columns in mm; None where they are impossible or 1, which stands for unknown."""
    if not all(math.isfinite(side) and side > 0 for side in (rows, columns)):
        return None
    return None if rows == columns == PLACEHOLDER else (float(rows), float(columns))


def spacing_of(value: object) -> Spacing | None:
    """Return the spacing that a list of two numbers in a JSON document tells, or None."""
    if not isinstance(value, list) or [type(side) in (int, float) for side in value] != [True, True]:
        return None
    try:
        return known_spacing(float(value[0]), float(value[1]))
    except OverflowError:
        return None


def origin_text(image: MaskImage, **more: object) -> str:
    """Return name and spacing of an image as JSON of ASCII characters, for the comment fields of a format."""
    spacing = None if image.spacing_mm is None else list(image.spacing_mm)
    return json.dumps({"image": image.name, "spacing_mm": spacing, **more})


def origin_of(text: str | bytes) -> dict[str, Any]:
    """Return what `origin_text` wrote: {"image": str, "spacing_mm": Spacing or None, ...}; empty for any other text."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict) or not isinstance(found.get("image"), str):
        return {}
    return found | {"spacing_mm": spacing_of(found.get("spacing_mm"))}


def channel_of(label: str) -> int | None:
    """Return the channel of a bone by its name, anatomical name or abbreviation, or None.

    Case, spaces, hyphens and underscores do not count. What stands for triquetrum and pisiform together belongs to the
    triquetrum, over which the pisiform lies.
    """
    return _CHANNELS.get(_plain(label))


def is_merged(label: str) -> bool:
    """Tell whether a label stands for triquetrum and pisiform together, which nobody can separate."""
    return _plain(label) in _MERGED_NAMES


def missing_note(kind: str, found: Sequence[int]) -> tuple[str, ...]:
    """Return a note that names the bones a file has no `kind` of, such as "segment"; none if it has all."""
    missing = [bone.name for channel, bone in enumerate(BONES) if channel not in set(found)]
    return (f"no {kind} of {', '.join(missing)}: taken for empty",) if missing else ()


def unknown_note(kind: str, labels: Sequence[str]) -> tuple[str, ...]:
    """Return a note that names what was left out because it is no bone; none without labels."""
    shown = ", ".join(sorted(set(labels))[:5])
    return (f"left out, being none of the {NUM_BONES} bones: {kind} {shown}",) if labels else ()


def united_note(kind: str, found: Sequence[int]) -> tuple[str, ...]:
    """Return a note that names the bones of which a file has several of a `kind`, such as "segments"; else none."""
    several = [bone.name for channel, bone in enumerate(BONES) if list(found).count(channel) > 1]
    return (f"several {kind} became one: {', '.join(several)}",) if several else ()


def merged_note(labels: Sequence[str]) -> tuple[str, ...]:
    """Return a note about triquetrum and pisiform if one of the labels stands for both."""
    if not any(map(is_merged, labels)):
        return ()
    return (f"{' and '.join(MERGED)} are one there and cannot be separated: all is {MERGED[0]}, {MERGED[1]} is empty",)


def bone_bits(masks: Packed, channel: int) -> NDArray[np.bool_]:
    """Return the mask of one bone, of the shape of the packed masks."""
    mask: NDArray[np.bool_] = (masks & np.uint32(1 << channel)) != 0
    return mask


def _plain(label: str) -> str:
    plain = "".join(character for character in label.casefold() if character.isalnum())
    for wrong, right in _SPELLINGS.items():
        plain = plain.replace(wrong, right)
    return plain


def _channels() -> dict[str, int]:
    """Return channels by plain names; abbreviations of one letter would take `L` of a side for the lunate."""
    channels: dict[str, int] = {}
    for channel, bone in enumerate(BONES):
        short = bone.abbreviation if len(bone.abbreviation) > 1 else bone.name
        extra = [f"distal {bone.name}"] if bone.group is Group.FOREARM else []
        channels |= {_plain(label): channel for label in (bone.name, bone.anatomical_name, short, *extra)}
    return channels | dict.fromkeys(_MERGED_NAMES, CHANNEL[MERGED[0]])


_MERGED_NAMES = frozenset(_plain(first + second) for first, second in (MERGED, MERGED[::-1]))
_CHANNELS = _channels()
