"""The twenty-nine bones in channel order: the only place that defines a bone name, a count or a colour."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Group(StrEnum):
    """Anatomical group of a bone."""

    PHALANGES = "phalanges"
    METACARPALS = "metacarpals"
    CARPALS = "carpals"
    FOREARM = "forearm"


class Side(StrEnum):
    """Side of the body; the value is the suffix used in file names."""

    LEFT = "L"
    RIGHT = "R"


@dataclass(frozen=True)
class Bone:
    """One bone: its class name in the data set, anatomical name, group and overlay colour (8-bit RGB)."""

    name: str
    anatomical_name: str
    group: Group
    colour: tuple[int, int, int]


_P, _M, _C, _F = Group.PHALANGES, Group.METACARPALS, Group.CARPALS, Group.FOREARM

BONES: tuple[Bone, ...] = (
    Bone("finger-1", "distal phalanx of the thumb", _P, (255, 153, 153)),
    Bone("finger-2", "proximal phalanx of the thumb", _P, (240, 80, 80)),
    Bone("finger-3", "first metacarpal", _M, (190, 30, 45)),
    Bone("finger-4", "distal phalanx of the index finger", _P, (255, 214, 153)),
    Bone("finger-5", "middle phalanx of the index finger", _P, (255, 183, 77)),
    Bone("finger-6", "proximal phalanx of the index finger", _P, (245, 140, 20)),
    Bone("finger-7", "second metacarpal", _M, (196, 98, 0)),
    Bone("finger-8", "distal phalanx of the middle finger", _P, (214, 240, 150)),
    Bone("finger-9", "middle phalanx of the middle finger", _P, (174, 213, 80)),
    Bone("finger-10", "proximal phalanx of the middle finger", _P, (124, 179, 40)),
    Bone("finger-11", "third metacarpal", _M, (70, 130, 30)),
    Bone("finger-12", "distal phalanx of the ring finger", _P, (160, 225, 250)),
    Bone("finger-13", "middle phalanx of the ring finger", _P, (80, 190, 240)),
    Bone("finger-14", "proximal phalanx of the ring finger", _P, (30, 145, 225)),
    Bone("finger-15", "fourth metacarpal", _M, (20, 95, 175)),
    Bone("finger-16", "distal phalanx of the little finger", _P, (225, 190, 250)),
    Bone("finger-17", "middle phalanx of the little finger", _P, (190, 130, 240)),
    Bone("finger-18", "proximal phalanx of the little finger", _P, (150, 80, 215)),
    Bone("finger-19", "fifth metacarpal", _M, (105, 45, 165)),
    Bone("Trapezium", "trapezium", _C, (255, 235, 59)),
    Bone("Trapezoid", "trapezoid", _C, (0, 200, 170)),
    Bone("Capitate", "capitate", _C, (255, 64, 180)),
    Bone("Hamate", "hamate", _C, (0, 230, 90)),
    Bone("Scaphoid", "scaphoid", _C, (0, 120, 255)),
    Bone("Lunate", "lunate", _C, (255, 120, 0)),
    Bone("Triquetrum", "triquetrum", _C, (170, 90, 255)),
    Bone("Pisiform", "pisiform", _C, (255, 20, 60)),
    Bone("Radius", "radius", _F, (0, 190, 210)),
    Bone("Ulna", "ulna", _F, (200, 160, 120)),
)

NUM_BONES = len(BONES)
BONE_NAMES: tuple[str, ...] = tuple(bone.name for bone in BONES)
CHANNEL: dict[str, int] = {name: channel for channel, name in enumerate(BONE_NAMES)}

# Pairs of which at least 2 % of one bone lies over the other on average in posteroanterior
# radiographs, most covered first.
OVERLAPPING_PAIRS: tuple[tuple[str, str], ...] = (
    ("Pisiform", "Triquetrum"),
    ("Trapezoid", "Trapezium"),
    ("Lunate", "Radius"),
    ("Lunate", "Capitate"),
    ("Hamate", "finger-19"),
    ("Scaphoid", "Capitate"),
    ("Hamate", "Capitate"),
    ("Trapezoid", "Capitate"),
    ("Trapezium", "Scaphoid"),
    ("Lunate", "Scaphoid"),
    ("Triquetrum", "Hamate"),
    ("Scaphoid", "Radius"),
    ("Trapezoid", "finger-7"),
    ("Trapezium", "finger-7"),
    ("finger-15", "finger-19"),
    ("Trapezium", "finger-3"),
    ("Hamate", "finger-15"),
    ("Capitate", "finger-11"),
    ("finger-1", "finger-2"),
)


def bones_of(group: Group) -> tuple[Bone, ...]:
    """Return the bones of one anatomical group in channel order."""
    return tuple(bone for bone in BONES if bone.group is group)
