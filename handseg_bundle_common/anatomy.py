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
        fma: its number in the Foundational Model of Anatomy, of either side.
    """

    name: str
    anatomical_name: str
    abbreviation: str
    group: Group
    colour: tuple[int, int, int]
    fma: int


@dataclass(frozen=True)
class Concept:
    """A concept of SNOMED CT.

    Attributes:
        code: concept identifier.
        meaning: what it means, in SNOMED's or DICOM's words.
    """

    code: str
    meaning: str


@dataclass(frozen=True)
class Coding:
    """A bone in the words of SNOMED CT: what it is, where on a finger, and in which part of the body.

    Attributes:
        type: the bone, or what it is one of.
        position: which of a finger's phalanges; None for other bones.
        region: part of the body.
    """

    type: Concept
    position: Concept | None
    region: Concept


_P, _M, _C, _F = Group.PHALANGES, Group.METACARPALS, Group.CARPALS, Group.FOREARM

BONES: tuple[Bone, ...] = (
    Bone("finger-1", "distal phalanx of the thumb", "DP1", _P, (255, 153, 153), 23945),
    Bone("finger-2", "proximal phalanx of the thumb", "PP1", _P, (240, 80, 80), 23918),
    Bone("finger-3", "first metacarpal", "MC1", _M, (190, 30, 45), 23899),
    Bone("finger-4", "distal phalanx of the index finger", "DP2", _P, (255, 214, 153), 23946),
    Bone("finger-5", "middle phalanx of the index finger", "MP2", _P, (255, 183, 77), 23933),
    Bone("finger-6", "proximal phalanx of the index finger", "PP2", _P, (245, 140, 20), 23919),
    Bone("finger-7", "second metacarpal", "MC2", _M, (196, 98, 0), 23900),
    Bone("finger-8", "distal phalanx of the middle finger", "DP3", _P, (214, 240, 150), 23947),
    Bone("finger-9", "middle phalanx of the middle finger", "MP3", _P, (174, 213, 80), 23934),
    Bone("finger-10", "proximal phalanx of the middle finger", "PP3", _P, (124, 179, 40), 23920),
    Bone("finger-11", "third metacarpal", "MC3", _M, (70, 130, 30), 23901),
    Bone("finger-12", "distal phalanx of the ring finger", "DP4", _P, (160, 225, 250), 23948),
    Bone("finger-13", "middle phalanx of the ring finger", "MP4", _P, (80, 190, 240), 23935),
    Bone("finger-14", "proximal phalanx of the ring finger", "PP4", _P, (30, 145, 225), 23921),
    Bone("finger-15", "fourth metacarpal", "MC4", _M, (20, 95, 175), 23902),
    Bone("finger-16", "distal phalanx of the little finger", "DP5", _P, (225, 190, 250), 23949),
    Bone("finger-17", "middle phalanx of the little finger", "MP5", _P, (190, 130, 240), 23936),
    Bone("finger-18", "proximal phalanx of the little finger", "PP5", _P, (150, 80, 215), 23922),
    Bone("finger-19", "fifth metacarpal", "MC5", _M, (105, 45, 165), 23903),
    Bone("Trapezium", "trapezium", "Tm", _C, (255, 235, 59), 23721),
    Bone("Trapezoid", "trapezoid", "Td", _C, (0, 200, 170), 23724),
    Bone("Capitate", "capitate", "C", _C, (255, 64, 180), 23727),
    Bone("Hamate", "hamate", "H", _C, (0, 230, 90), 23730),
    Bone("Scaphoid", "scaphoid", "S", _C, (0, 120, 255), 23709),
    Bone("Lunate", "lunate", "L", _C, (255, 120, 0), 23712),
    Bone("Triquetrum", "triquetrum", "Tq", _C, (170, 90, 255), 23715),
    Bone("Pisiform", "pisiform", "P", _C, (255, 20, 60), 23718),
    Bone("Radius", "radius", "R", _F, (0, 190, 210), 23463),
    Bone("Ulna", "ulna", "U", _F, (200, 160, 120), 23466),
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


# SNOMED CT as DICOM PS3.16 lists it: CID 7304 for radius and ulna, 1006 for scaphoid and metacarpal, 2 for
# positions, 4031 for thumb, hand, wrist and forearm, 244 for sides. PS3.16 lists no phalanx, no single carpal bone but
# the scaphoid and no finger by name. Phalanx and carpus are the codes of TotalSegmentator's DICOM SEG
# (totalsegmentator_snomed_mapping.csv), the fingers those of Belgium's value set be-vs-body-site. The number in the
# Foundational Model of Anatomy, another coding scheme of PS3.16 (table 8-1), tells bones of one type apart; the numbers
# are those of the parts of BodyParts3D 4.1.
SIDE_CONCEPTS = {Side.LEFT: Concept("7771000", "Left"), Side.RIGHT: Concept("24028007", "Right")}
_PHALANX, _METACARPAL = Concept("28641004", "Phalanx structure"), Concept("36455000", "Metacarpal")
_CARPUS = Concept("83936004", "Bone structure of carpus")
_SINGLE_BONES = {
    "Scaphoid": Concept("30518006", "Scaphoid"),
    "Radius": Concept("62413002", "Radius"),
    "Ulna": Concept("23416004", "Ulna"),
}
_POSITIONS = {
    "D": Concept("46053002", "Distal"),
    "M": Concept("11896004", "Intermediate"),
    "P": Concept("40415009", "Proximal"),
}
_FINGERS = {
    "1": Concept("76505004", "Thumb"),
    "2": Concept("83738005", "Index finger"),
    "3": Concept("65531009", "Middle finger"),
    "4": Concept("82002001", "Ring finger"),
    "5": Concept("12406000", "Little finger"),
}
_HAND, _WRIST = Concept("85562004", "Hand"), Concept("74670003", "Wrist joint")
_FOREARM = Concept("14975008", "Forearm")


def snomed_coding(bone: Bone) -> Coding:
    """Return a bone in the words of SNOMED CT; `Bone.fma` tells those apart that share them."""
    if bone.group is Group.PHALANGES:
        position, finger = bone.abbreviation[0], bone.abbreviation[-1]
        return Coding(_PHALANX, _POSITIONS[position], _FINGERS[finger])
    if bone.group is Group.METACARPALS:
        return Coding(_METACARPAL, None, _HAND)
    if bone.group is Group.CARPALS:
        return Coding(_SINGLE_BONES.get(bone.name, _CARPUS), None, _WRIST)
    return Coding(_SINGLE_BONES[bone.name], None, _FOREARM)


def bones_of(group: Group) -> tuple[Bone, ...]:
    """Return the bones of one anatomical group in channel order."""
    return tuple(bone for bone in BONES if bone.group is group)
