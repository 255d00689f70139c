"""Proportions of the hand: from those of the shipped surfaces to the means of posteroanterior radiographs."""

from __future__ import annotations

import numpy as np

from handseg_bundle_common.anatomy import BONES, CHANNEL, Group
from handseg_bundle_common.simulation.hand_model import HandModel, grow_bones

# Factors across and along the axis, fitted so that mean widths, lengths and areas of projected bones agree with
# radiographs of adults.
_GROWTH: dict[str, tuple[float, float]] = {
    **{"finger-1": (1.32, 1.28), "finger-2": (1.25, 1.08), "finger-3": (1.26, 1.08)},
    **{"finger-4": (1.19, 1.04), "finger-5": (1.16, 0.94), "finger-6": (1.12, 1.00), "finger-7": (1.15, 1.02)},
    **{"finger-8": (1.14, 1.03), "finger-9": (1.16, 0.96), "finger-10": (1.09, 1.06), "finger-11": (1.16, 0.98)},
    **{"finger-12": (1.28, 1.08), "finger-13": (1.22, 1.07), "finger-14": (1.14, 1.11), "finger-15": (1.09, 0.93)},
    **{"finger-16": (1.32, 1.18), "finger-17": (1.22, 0.87), "finger-18": (1.18, 0.97), "finger-19": (1.11, 0.96)},
    **{"Trapezium": (1.11, 1.11), "Trapezoid": (1.09, 1.09), "Capitate": (1.24, 1.18), "Hamate": (1.14, 1.20)},
    **{"Scaphoid": (1.19, 1.19), "Lunate": (1.08, 1.16), "Triquetrum": (1.01, 1.01), "Pisiform": (1.27, 1.10)},
    **{"Radius": (1.00, 1.0), "Ulna": (0.96, 1.0)},
}
# Distances of the carpal bones from the capitate grow by this factor.
_CARPUS_SPREAD = 1.16
# Displacements in millimetres (radial, proximal, dorsal) that remain; the last three close the finger joints.
_SHIFTS = {
    **{"finger-3": (4.5, 6.0, 0.0), "finger-7": (0.0, 1.2, 0.0), "finger-11": (0.0, -0.2, 0.0)},
    **{"finger-15": (2.0, 2.3, 0.0), "finger-19": (2.8, 3.6, 0.0)},
    **{"Trapezium": (2.0, 5.2, 0.0), "Scaphoid": (0.0, -0.9, 0.0), "Trapezoid": (1.8, 1.0, 0.0)},
    **{
        "Triquetrum": (-0.3, 1.0, 0.0),
        "Pisiform": (-1.5, 5.5, 0.0),
        "Radius": (-5.5, -3.8, 0.0),
        "Ulna": (2.5, -3.8, 0.0),
    },
    **{f"finger-{number}": (0.0, 1.2, 0.0) for number in (6, 10, 14, 18)},
    **{f"finger-{number}": (0.0, 0.8, 0.0) for number in (5, 9, 13)},
    **{f"finger-{number}": (0.0, 0.4, 0.0) for number in (4, 8, 12, 16)},
}


def correct_proportions(model: HandModel) -> HandModel:
    """Return the hand at rest with the mean proportions of adults, grown about the capitate and the wrist."""
    widths, lengths = np.array([_GROWTH[bone.name] for bone in BONES]).T
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
    return grow_bones(model, widths, lengths, shifts)
