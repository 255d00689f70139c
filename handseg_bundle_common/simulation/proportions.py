"""Proportions of the hand: from those of the shipped surfaces to the means of posteroanterior radiographs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from handseg_bundle_common.anatomy import BONES, CHANNEL, Group
from handseg_bundle_common.simulation.hand_model import Growth, HandModel, grow_bones

# Factors across the axis, along it and from palm to back, a turn in degrees, and displacements in millimetres: fitted
# so that areas, lengths, widths, places, axes, overlaps and greys of projected bones agree with the means of real
# radiographs in simulation/reference.
# fmt: off
_PROPORTIONS = {
    # bone         across along depth  turn radial proximal dorsal
    "finger-1":   (1.53, 1.28, 1.20,   0.0,  0.4, -0.7, -0.3),
    "finger-2":   (1.28, 1.11, 1.28,   0.0,  0.0,  0.0,  0.0),
    "finger-3":   (1.12, 1.08, 1.12,   0.0,  3.6,  7.9,  0.0),
    "finger-4":   (1.22, 1.00, 1.22,   0.0,  0.0,  0.4,  0.0),
    "finger-5":   (1.16, 0.90, 1.16,   0.0,  0.0,  0.8,  0.0),
    "finger-6":   (1.12, 0.97, 1.28,   0.0,  0.0,  1.2,  0.0),
    "finger-7":   (1.10, 1.00, 1.10,   0.0, -0.2, -1.1,  0.0),
    "finger-8":   (1.20, 1.00, 1.20,   0.0,  0.0,  0.4,  0.0),
    "finger-9":   (1.21, 0.92, 1.32,   0.0,  0.0,  0.8,  0.0),
    "finger-10":  (1.07, 1.03, 1.34,   0.0,  0.0,  1.2,  0.0),
    "finger-11":  (1.17, 0.95, 1.17,   0.0, -0.3, -3.7,  0.0),
    "finger-12":  (1.33, 1.04, 1.33,   0.0,  0.0,  0.4,  0.0),
    "finger-13":  (1.26, 1.05, 1.30,   0.0,  0.0,  0.8,  0.0),
    "finger-14":  (1.14, 1.10, 1.36,   0.0,  0.0,  1.2,  0.0),
    "finger-15":  (1.10, 0.91, 1.10,   0.0, -0.1,  0.7,  0.0),
    "finger-16":  (1.29, 1.18, 1.10,   0.0,  0.0,  0.4,  0.0),
    "finger-17":  (1.28, 0.85, 1.15,   0.0,  0.1, -0.7,  0.0),
    "finger-18":  (1.22, 0.97, 1.22,   0.0,  0.0,  1.2,  0.0),
    "finger-19":  (1.14, 0.93, 1.00,   0.0,  1.1,  2.2,  0.0),
    "Trapezium":  (1.16, 1.04, 1.30,  17.4,  1.4,  5.2,  0.0),
    "Trapezoid":  (1.10, 1.01, 1.25,   0.0,  2.2, -0.5,  0.0),
    "Capitate":   (1.25, 1.19, 1.10,  -2.0,  0.2, -0.9,  0.0),
    "Hamate":     (1.07, 1.23, 1.10,   6.0,  0.5, -1.0,  0.0),
    "Scaphoid":   (1.20, 1.14, 1.10,  14.8,  0.1, -1.3,  0.0),
    "Lunate":     (0.99, 1.18, 1.10,   9.0, -0.4, -0.4,  0.0),
    "Triquetrum": (1.08, 0.90, 1.10, -15.4, -0.4, -0.3,  0.0),
    "Pisiform":   (1.38, 1.03, 1.00,  54.8, -1.6,  5.0,  0.0),
    "Radius":     (0.95, 1.00, 0.95,   0.0, -7.8, -4.0,  0.0),
    "Ulna":       (0.93, 1.00, 0.93,   0.0,  0.6, -4.0,  0.0),
}
# fmt: on
# Distances of the carpal bones from the capitate grow by this factor.
_CARPUS_SPREAD = 1.16
# Local corrections of outlines: bone, centre (radial, proximal), standard deviation and displacement (radial, proximal)
# in millimetres: the body and the tip of the radial styloid, the fovea and the styloid of the ulna, and the bases of
# the second metacarpal, which meets the trapezium, and of the third one.
_BULGES = (
    ("Radius", (16.0, 19.0), 5.0, (2.5, 0.0)),
    ("Radius", (14.5, 14.0), 3.0, (1.0, -1.0)),
    ("Ulna", (-23.5, 24.5), 2.2, (0.0, 1.6)),
    ("Ulna", (-27.5, 23.0), 1.8, (0.5, -1.8)),
    ("finger-7", (19.5, -11.5), 4.0, (2.4, 2.6)),
    ("finger-11", (0.0, -12.5), 5.0, (0.0, 0.8)),
)


def correct_proportions(model: HandModel) -> HandModel:
    """Return the hand at rest with the mean proportions of adults, grown about the capitate and the wrist."""
    widths, lengths, depths, turns, *shifts = np.array([_PROPORTIONS[bone.name] for bone in BONES]).T
    moves = np.column_stack(shifts)
    centre = model.vertices_of(CHANNEL["Capitate"]).mean(0).astype(np.float64)
    for channel, bone in enumerate(BONES):
        if bone.group is Group.CARPALS:
            place = model.vertices_of(channel).mean(0)
        elif bone.group is Group.PHALANGES:
            continue
        else:
            place = model.end_of(channel, distal=bone.group is Group.FOREARM)
        moves[channel] += (_CARPUS_SPREAD - 1) * (place - centre)
    return _bulged(grow_bones(model, Growth(widths, lengths, depths, turns, moves)))


def _bulged(model: HandModel) -> HandModel:
    vertices = model.vertices.copy()
    for name, centre, sd, displacement in _BULGES:
        points = vertices[model.slice_of(CHANNEL[name])]
        squares = ((points[:, :2] - np.array(centre, np.float32)) ** 2).sum(1)
        points[:, :2] += np.exp(-squares / (2 * sd * sd))[:, None] * np.array(displacement, np.float32)
    return replace(model, vertices=vertices)
