"""Categories of COCO files: the 29 bones with their groups as supercategories, or those of the benchmark RAM-H1200.

RAM-H1200 has triquetrum and pisiform as one, `Pisifrom_Triquetrum`, and sesamoids and soft tissue beside the bones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from handseg_bundle_common.anatomy import BONES, CHANNEL, Group
from handseg_bundle_common.formats.mask_image import MERGED, bone_bits
from handseg_bundle_common.masks import Packed

_RAM_MERGED, _RAM_OTHERS = "Pisifrom_Triquetrum", ("Sesamoid", "SoftTissue")


@dataclass(frozen=True)
class Categories:
    """What the annotations of a file can be.

    Attributes:
        names: names by identifiers 1, 2, 3, ...
        numbers: identifiers by channels.
        document: the list `categories` of the file.
    """

    names: tuple[str, ...]
    numbers: tuple[int, ...]
    document: tuple[Mapping[str, Any], ...]


def bone_categories() -> Categories:
    """Return the 29 bones."""
    entries = [_category(number, bone.name, bone.group.value) for number, bone in enumerate(BONES, start=1)]
    return Categories(tuple(bone.name for bone in BONES), tuple(range(1, len(BONES) + 1)), tuple(entries))


def ram_categories() -> Categories:
    """Return the 30 categories of RAM-H1200, 1 to 30 in their order there (`evaluations/metrics.py` of its repository).

    There, channels are the categories of a file in the order of their numbers, so those of this file are the same.
    """
    own = [_ram_name(channel) for channel in range(len(BONES))]
    names = sorted({*own, *_RAM_OTHERS})
    groups = {name: bone.group.value for name, bone in zip(own, BONES, strict=True)}
    entries = [_category(number, name, groups.get(name, "other")) for number, name in enumerate(names, start=1)]
    return Categories(tuple(names), tuple(names.index(name) + 1 for name in own), tuple(entries))


def merged_loss(masks: Packed) -> tuple[str, ...]:
    """Return what is lost where triquetrum and pisiform become one; nothing without a pisiform."""
    has_merged = bone_bits(masks, CHANNEL[MERGED[1]]).any()
    return (f"{' and '.join(MERGED)} became one",) if has_merged else ()


def _category(number: int, name: str, group: str) -> dict[str, Any]:
    return {"id": number, "name": name, "supercategory": group}


def _ram_name(channel: int) -> str:
    bone = BONES[channel]
    if bone.name in MERGED:
        return _RAM_MERGED
    return bone.abbreviation if bone.group in (Group.PHALANGES, Group.METACARPALS) else bone.name
