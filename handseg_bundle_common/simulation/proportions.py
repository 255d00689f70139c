"""Proportions of the hand: from those of the shipped surfaces to the means of posteroanterior radiographs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from handseg_bundle_common.anatomy import BONES, CHANNEL, Group
from handseg_bundle_common.simulation.hand_model import Growth, HandModel, grow_bones

# Factors across and along the axis, fitted so that mean widths, lengths and areas of projected bones agree with
# radiographs of adults.
_GROWTH: dict[str, tuple[float, float]] = {
    **{"finger-1": (1.39, 1.30), "finger-2": (1.27, 1.11), "finger-3": (1.12, 1.08), "finger-4": (1.22, 1.00)},
    **{"finger-5": (1.15, 0.90), "finger-6": (1.12, 0.97), "finger-7": (1.17, 1.00), "finger-8": (1.20, 1.00)},
    **{"finger-9": (1.21, 0.93), "finger-10": (1.07, 1.04), "finger-11": (1.17, 0.96), "finger-12": (1.33, 1.04)},
    **{"finger-13": (1.26, 1.05), "finger-14": (1.14, 1.10), "finger-15": (1.10, 0.91), "finger-16": (1.30, 1.17)},
    **{"finger-17": (1.28, 0.84), "finger-18": (1.21, 0.96), "finger-19": (1.14, 0.93), "Trapezium": (1.17, 1.04)},
    **{"Trapezoid": (1.09, 1.01), "Capitate": (1.25, 1.18), "Hamate": (1.07, 1.22), "Scaphoid": (1.20, 1.14)},
    **{"Lunate": (0.99, 1.17), "Triquetrum": (1.08, 0.89), "Pisiform": (1.38, 1.03), "Radius": (0.95, 1.00)},
    **{"Ulna": (0.93, 1.00)},
}
# Factors from palm to back by which bones are as bright as in radiographs; others grow as they do across.
_CARPAL_DEPTH = 1.1
_DEPTHS = {
    **{"finger-1": 1.20, "finger-6": 1.28, "finger-9": 1.32, "finger-10": 1.34, "finger-13": 1.30, "finger-14": 1.36},
    **{"finger-16": 1.10, "finger-17": 1.15, "finger-19": 1.0, "Trapezium": 1.30, "Trapezoid": 1.25, "Pisiform": 1.0},
}
# Turns of the carpal bones in degrees.
_TURNS: dict[str, float] = {
    "Trapezium": 18.3,
    "Capitate": -2.0,
    "Hamate": 6.0,
    "Scaphoid": 11.3,
    "Lunate": 7.3,
    "Triquetrum": -20.0,
    "Pisiform": 51.3,
}
# Distances of the carpal bones from the capitate grow by this factor.
_CARPUS_SPREAD = 1.16
# Displacements in millimetres (radial, proximal, dorsal) that remain; the last three close the finger joints.
_SHIFTS = {
    **{
        "finger-3": (3.6, 7.8, 0.0),
        "finger-7": (0.3, -0.4, 0.0),
        "finger-11": (-0.2, -3.5, 0.0),
        "finger-15": (-0.1, 0.5, 0.0),
    },
    **{
        "finger-19": (1.1, 2.0, 0.0),
        "Trapezium": (1.6, 4.9, 0.0),
        "Scaphoid": (0.2, -1.9, 0.0),
        "Trapezoid": (2.1, 0.0, 0.0),
    },
    **{
        "Triquetrum": (-0.1, 1.4, 0.0),
        "Pisiform": (-1.3, 5.9, 0.0),
        "Radius": (-7.8, -4.0, 0.0),
        "Ulna": (0.6, -4.0, 0.0),
    },
    **{
        "finger-6": (0.0, 1.2, 0.0),
        "finger-10": (0.0, 1.2, 0.0),
        "finger-14": (0.0, 1.2, 0.0),
        "finger-18": (0.0, 1.2, 0.0),
    },
    **{
        "finger-5": (0.0, 0.8, 0.0),
        "finger-9": (0.0, 0.8, 0.0),
        "finger-13": (0.0, 0.8, 0.0),
        "finger-4": (0.0, 0.4, 0.0),
    },
    **{
        "finger-8": (0.0, 0.4, 0.0),
        "finger-12": (0.0, 0.4, 0.0),
        "finger-16": (0.0, 0.4, 0.0),
        "Capitate": (0.3, -0.8, 0.0),
    },
    **{"Hamate": (0.8, -1.6, 0.0), "Lunate": (-0.3, 0.0, 0.0), "finger-1": (0.4, -0.7, -0.3)},
}


# Local corrections of outlines: bone, centre (radial, proximal), standard deviation and displacement (radial, proximal)
# in millimetres: the body and the tip of the radial styloid, the fovea and the styloid of the ulna, and the corner of
# the second metacarpal's base that meets the trapezium.
_BULGES = (
    ("Radius", (16.0, 19.0), 5.0, (2.5, 0.0)),
    ("Radius", (14.5, 14.0), 3.0, (1.0, -1.0)),
    ("Ulna", (-23.5, 24.5), 2.2, (0.0, 1.6)),
    ("Ulna", (-27.5, 23.0), 1.8, (0.5, -1.8)),
    ("finger-7", (20.5, 12.0), 4.5, (3.0, 2.2)),
)


def correct_proportions(model: HandModel) -> HandModel:
    """Return the hand at rest with the mean proportions of adults, grown about the capitate and the wrist."""
    widths, lengths = np.array([_GROWTH[bone.name] for bone in BONES]).T
    depths = np.where([bone.group is Group.CARPALS for bone in BONES], _CARPAL_DEPTH, widths)
    for name, depth in _DEPTHS.items():
        depths[CHANNEL[name]] = depth
    turns = np.array([_TURNS.get(bone.name, 0.0) for bone in BONES])
    shifts = np.array([_SHIFTS.get(bone.name, (0.0, 0.0, 0.0)) for bone in BONES])
    centre = model.vertices_of(CHANNEL["Capitate"]).mean(0).astype(np.float64)
    for channel, bone in enumerate(BONES):
        if bone.group in (Group.CARPALS, Group.FOREARM):
            place = model.vertices_of(channel).mean(0) if bone.group is Group.CARPALS else model.end_of(channel, True)
        elif bone.group is Group.METACARPALS:
            place = model.end_of(channel, distal=False)
        else:
            continue
        shifts[channel] += (_CARPUS_SPREAD - 1) * (place - centre)
    return _bulged(grow_bones(model, Growth(widths, lengths, depths, turns, shifts)))


def _bulged(model: HandModel) -> HandModel:
    vertices = model.vertices.copy()
    for name, centre, sd, displacement in _BULGES:
        points = vertices[model.slice_of(CHANNEL[name])]
        squares = ((points[:, :2] - np.array(centre, np.float32)) ** 2).sum(1)
        points[:, :2] += np.exp(-squares / (2 * sd * sd))[:, None] * np.array(displacement, np.float32)
    return replace(model, vertices=vertices)
