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
    """One bone.

    Attributes:
        name: class name in the data set.
        anatomical_name: what it is called in a sentence.
        abbreviation: radiologists' short form; DP, MP, PP and MC with the ray, 1 for the thumb.
        group: anatomical group.
        colour: overlay colour, 8-bit RGB.
    """

    name: str
    anatomical_name: str
    abbreviation: str
    group: Group
    colour: tuple[int, int, int]


_P, _M, _C, _F = Group.PHALANGES, Group.METACARPALS, Group.CARPALS, Group.FOREARM

BONES: tuple[Bone, ...] = (
    Bone("finger-1", "distal phalanx of the thumb", "DP1", _P, (255, 153, 153)),
    Bone("finger-2", "proximal phalanx of the thumb", "PP1", _P, (240, 80, 80)),
    Bone("finger-3", "first metacarpal", "MC1", _M, (190, 30, 45)),
    Bone("finger-4", "distal phalanx of the index finger", "DP2", _P, (255, 214, 153)),
    Bone("finger-5", "middle phalanx of the index finger", "MP2", _P, (255, 183, 77)),
    Bone("finger-6", "proximal phalanx of the index finger", "PP2", _P, (245, 140, 20)),
    Bone("finger-7", "second metacarpal", "MC2", _M, (196, 98, 0)),
    Bone("finger-8", "distal phalanx of the middle finger", "DP3", _P, (214, 240, 150)),
    Bone("finger-9", "middle phalanx of the middle finger", "MP3", _P, (174, 213, 80)),
    Bone("finger-10", "proximal phalanx of the middle finger", "PP3", _P, (124, 179, 40)),
    Bone("finger-11", "third metacarpal", "MC3", _M, (70, 130, 30)),
    Bone("finger-12", "distal phalanx of the ring finger", "DP4", _P, (160, 225, 250)),
    Bone("finger-13", "middle phalanx of the ring finger", "MP4", _P, (80, 190, 240)),
    Bone("finger-14", "proximal phalanx of the ring finger", "PP4", _P, (30, 145, 225)),
    Bone("finger-15", "fourth metacarpal", "MC4", _M, (20, 95, 175)),
    Bone("finger-16", "distal phalanx of the little finger", "DP5", _P, (225, 190, 250)),
    Bone("finger-17", "middle phalanx of the little finger", "MP5", _P, (190, 130, 240)),
    Bone("finger-18", "proximal phalanx of the little finger", "PP5", _P, (150, 80, 215)),
    Bone("finger-19", "fifth metacarpal", "MC5", _M, (105, 45, 165)),
    Bone("Trapezium", "trapezium", "Tm", _C, (255, 235, 59)),
    Bone("Trapezoid", "trapezoid", "Td", _C, (0, 200, 170)),
    Bone("Capitate", "capitate", "C", _C, (255, 64, 180)),
    Bone("Hamate", "hamate", "H", _C, (0, 230, 90)),
    Bone("Scaphoid", "scaphoid", "S", _C, (0, 120, 255)),
    Bone("Lunate", "lunate", "L", _C, (255, 120, 0)),
    Bone("Triquetrum", "triquetrum", "Tq", _C, (170, 90, 255)),
    Bone("Pisiform", "pisiform", "P", _C, (255, 20, 60)),
    Bone("Radius", "radius", "R", _F, (0, 190, 210)),
    Bone("Ulna", "ulna", "U", _F, (200, 160, 120)),
)

NUM_BONES = len(BONES)
BONE_NAMES: tuple[str, ...] = tuple(bone.name for bone in BONES)
CHANNEL: dict[str, int] = {name: channel for channel, name in enumerate(BONE_NAMES)}

# Where the bones of a posteroanterior right hand lie, (x, y) in channel order in hundredths of their root mean square
# distance from their common centre, y pointing to the forearm: mean centroids of 240 simulated hands.
MEAN_CENTROIDS: tuple[tuple[int, int], ...] = (
    *((-103, -68), (-95, -34), (-79, 18)),
    *((2, -147), (-6, -119), (-16, -73), (-33, 4)),
    *((64, -136), (48, -107), (24, -59), (-8, 12)),
    *((95, -102), (77, -76), (47, -36), (9, 24)),
    *((107, -43), (90, -26), (63, -1), (22, 42)),
    *((-57, 55), (-46, 56), (-31, 69), (-11, 72)),
    *((-51, 81), (-33, 94), (-11, 90), (-8, 93)),
    *((-50, 151), (-10, 166)),
)

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

# Bones that cover less than 0.25 % of a posteroanterior radiograph of the whole hand on average.
SMALL_BONES: tuple[str, ...] = (
    "finger-1",
    "finger-4",
    "finger-5",
    "finger-8",
    "finger-12",
    "finger-16",
    "finger-17",
    "Trapezium",
    "Trapezoid",
    "Lunate",
    "Triquetrum",
    "Pisiform",
)


def bones_of(group: Group) -> tuple[Bone, ...]:
    """Return the bones of one anatomical group in channel order."""
    return tuple(bone for bone in BONES if bone.group is group)
