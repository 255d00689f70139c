"""Pose of the hand on the detector: spread, curl, thumb, wrist deviation and pronation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONES, CHANNEL, NUM_BONES
from handseg_bundle_common.simulation.hand_model import (
    RAYS,
    HandModel,
    rotation_about,
    rotation_z,
    transform_bones,
)
from handseg_bundle_common.simulation.settings import PoseSettings

# Azimuths of the bones in degrees against the third metacarpal, radial positive, in straight wrists and in wrists
# deviated by 40 degrees: from the axis angles of bones in radiographs of both kinds. The fingers follow the wrist
# beyond the metacarpals; the thumb stays behind.
_AZIMUTHS = {
    **{"finger-3": (42.0, 45.0), "finger-2": (27.0, 44.0), "finger-1": (38.0, 47.0)},
    **{"finger-7": (9.6, 11.0), "finger-6": (12.0, 0.5), "finger-5": (11.0, -1.5), "finger-4": (7.5, -5.5)},
    **{"finger-11": (0.0, 0.0), "finger-10": (2.0, -10.5), "finger-9": (1.0, -12.5), "finger-8": (-2.0, -17.5)},
    **{"finger-15": (-8.3, -8.5), "finger-14": (-7.0, -18.0), "finger-13": (-8.0, -21.0), "finger-12": (-3.5, -18.0)},
    **{
        "finger-19": (-17.3, -17.5),
        "finger-18": (-23.0, -34.5),
        "finger-17": (-22.5, -36.0),
        "finger-16": (-17.5, -33.5),
    },
}
_DEVIATED = 40.0


class _Follow(NamedTuple):
    """How a bone of the proximal row follows the wrist, per degree of ulnar deviation.

    Attributes:
        orbit: rotation about the wrist's centre; the distal row follows by 1.
        turn: rotation about its own centre in the plane.
        extension: rotation of its distal end towards the back of the hand.
    """

    orbit: float
    turn: float
    extension: float


# The proximal row turns and extends by about half of the wrist's deviation towards the ulna; fitted to the axis angles,
# lengths and overlaps of straight and of deviated wrists in radiographs.
_PROXIMAL_ROW = {
    "Scaphoid": _Follow(0.78, 0.12, 0.45),
    "Lunate": _Follow(0.55, 0.10, 0.40),
    "Triquetrum": _Follow(0.78, -0.20, 0.3),
    "Pisiform": _Follow(0.78, -0.05, 0.0),
}


@dataclass(frozen=True)
class Pose:
    """Drawn pose; angles in degrees.

    Attributes:
        deviation: tilt of the third metacarpal towards the ulna, against the forearm.
        forearm: tilt of the forearm in the image.
        pronation: rotation of everything about the forearm's axis.
        flexion: rotation of everything about the radial axis.
        azimuths: direction of each bone of the fingers against the third metacarpal, radial positive (29,).
        curls: flexion added to each bone of the fingers, absolute, palmar positive (29,).
        rolls: rotation of each bone about its own axis (29,).
        carpal_turns: rotation of each bone of the proximal row about its centre in the plane, against its mean (29,).
        carpal_extensions: the same out of the plane (29,).
    """

    deviation: float
    forearm: float
    pronation: float
    flexion: float
    azimuths: NDArray[np.float64]
    curls: NDArray[np.float64]
    rolls: NDArray[np.float64]
    carpal_turns: NDArray[np.float64]
    carpal_extensions: NDArray[np.float64]


def draw_deviation(generator: np.random.Generator, settings: PoseSettings) -> float:
    """Draw the tilt of the third metacarpal towards the ulna in degrees; wrists are straight or deviated."""
    deviated = generator.random() < settings.deviated
    return (settings.ulnar_deviation if deviated else settings.straight_deviation).draw(generator)


def draw_pose(generator: np.random.Generator, settings: PoseSettings, deviation: float) -> Pose:
    """Draw a pose at one tilt of the wrist; one spread and one curl move all fingers, or they would cross."""
    azimuths, curls, rolls = _draw_fingers(generator, settings, deviation)
    turns, extensions = np.zeros(NUM_BONES), np.zeros(NUM_BONES)
    for name in _PROXIMAL_ROW:
        turns[CHANNEL[name]], extensions[CHANNEL[name]] = (
            settings.carpal.draw(generator),
            settings.carpal.draw(generator),
        )
    return Pose(
        deviation=deviation,
        forearm=settings.forearm.draw(generator),
        pronation=settings.pronation.draw(generator),
        flexion=settings.flexion.draw(generator),
        azimuths=azimuths,
        curls=curls,
        rolls=rolls,
        carpal_turns=turns,
        carpal_extensions=extensions,
    )


def mean_pose(deviation: float) -> Pose:
    """Return the pose without any variety at one tilt of the third metacarpal towards the ulna in degrees."""
    azimuths = [_mean_azimuth(bone.name, deviation) if bone.name in _AZIMUTHS else 0.0 for bone in BONES]
    nothing = np.zeros(NUM_BONES)
    return Pose(deviation, 0.0, 0.0, 0.0, np.array(azimuths), nothing, nothing, nothing, nothing)


def _draw_fingers(
    generator: np.random.Generator, settings: PoseSettings, deviation: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Draw azimuths, curls and rolls (29,) of the bones of the fingers."""
    spread, curl = settings.spread.draw(generator), abs(settings.curl.draw(generator))
    thumb, thumb_roll = settings.thumb.draw(generator), settings.thumb_roll.draw(generator)
    azimuths, curls, rolls = np.zeros(NUM_BONES), np.zeros(NUM_BONES), np.zeros(NUM_BONES)
    middle = _mean_azimuth("finger-10", deviation)
    for ray, chain in enumerate(RAYS):
        residual = 0.0
        for level, channel in enumerate(chain):
            mean = _mean_azimuth(BONES[channel].name, deviation)
            if ray == 0:
                residual += settings.thumb_joint.draw(generator)
                azimuths[channel] = mean + thumb + residual
            elif level == 0:
                azimuths[channel] = mean + settings.metacarpal.draw(generator)
            else:
                residual += settings.finger_joint.draw(generator)
                azimuths[channel] = middle + (mean - middle) * spread + residual
            curls[channel] = 0.0 if ray and level == 0 else level * curl * generator.uniform(0.4, 1)
            if ray == 0:
                rolls[channel] = thumb_roll * (1.0 if level else 0.5)
            else:
                rolls[channel] = (settings.roll if level else settings.metacarpal_roll).draw(generator)
    return azimuths, curls, rolls


def _mean_azimuth(name: str, deviation: float) -> float:
    straight, deviated = _AZIMUTHS[name]
    return straight + (deviated - straight) * deviation / _DEVIATED


def apply_pose(model: HandModel, pose: Pose) -> HandModel:
    """Return the hand in the drawn pose, with the forearm along y and the origin at the wrist's centre."""
    return transform_bones(model, *_transforms(model, pose))


def _transforms(model: HandModel, pose: Pose) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rotation matrices (29, 3, 3) and offsets (29, 3) of all bones."""
    centre = _wrist_centre(model)
    fingers = _finger_transforms(model, pose)
    upright = -_azimuth(model.axis_of(CHANNEL["finger-11"]))
    straight = -_azimuth(model.axis_of(CHANNEL["Radius"]) + model.axis_of(CHANNEL["Ulna"]))
    forearm = _rotation_y(pose.pronation) @ _rotation_x(pose.flexion) @ rotation_z(pose.forearm)
    matrices, offsets = np.empty((NUM_BONES, 3, 3)), np.empty((NUM_BONES, 3))
    for channel, bone in enumerate(BONES):
        inner, offset = fingers[channel]
        if bone.name in _PROXIMAL_ROW:
            follow = _PROXIMAL_ROW[bone.name]
            turn = follow.orbit * (upright - pose.deviation) + (1 - follow.orbit) * straight
            inner, offset = _carpal_transform(model, channel, pose)
        else:
            turn = straight if bone.name in {"Radius", "Ulna"} else upright - pose.deviation
        outer = forearm @ rotation_z(turn)
        matrices[channel], offsets[channel] = outer @ inner, outer @ (offset - centre)
    return matrices, offsets


def _carpal_transform(model: HandModel, channel: int, pose: Pose) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rotation and offset of a bone of the proximal row about its own centre."""
    follow = _PROXIMAL_ROW[BONES[channel].name]
    # The resting hand stands for the mean of straight and deviated wrists.
    away = pose.deviation - _DEVIATED / 2
    turn = pose.carpal_turns[channel] - follow.turn * away
    extension = pose.carpal_extensions[channel] + follow.extension * away
    matrix = rotation_z(turn) @ _rotation_x(extension)
    centre = model.vertices_of(channel).mean(0).astype(np.float64)
    return matrix, centre - matrix @ centre


def _finger_transforms(model: HandModel, pose: Pose) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return rotation and offset of every bone against the resting hand; bones of a ray stay joined."""
    reference = _azimuth(model.axis_of(CHANNEL["finger-11"]))
    transforms = [(np.eye(3), np.zeros(3)) for _ in range(NUM_BONES)]
    for chain in RAYS:
        pivot = moved = _carpal_joint(model, chain[0])
        for level, channel in enumerate(chain):
            axis = model.axis_of(channel)
            turn = reference + pose.azimuths[channel] - _azimuth(axis)
            matrix = rotation_z(turn) @ rotation_about(_flexion_axis(axis), pose.curls[channel])
            matrix = matrix @ rotation_about(axis, pose.rolls[channel])
            transforms[channel] = matrix, moved - matrix @ pivot
            if level + 1 < len(chain):
                pivot = model.joint_centres[chain[level + 1]]
                moved = matrix @ pivot + transforms[channel][1]
    return transforms


def _carpal_joint(model: HandModel, channel: int) -> NDArray[np.float64]:
    """Return the joint of a metacarpal with the carpus: the recorded one of the thumb, the end of the others."""
    thumb = channel == CHANNEL["finger-3"]
    return np.asarray(model.joint_centres[channel]) if thumb else model.end_of(channel, distal=False)


def _wrist_centre(model: HandModel) -> NDArray[np.float64]:
    """Return the centre of the capitate's head, which both rows of the carpus turn about."""
    points = model.vertices_of(CHANNEL["Capitate"])
    return np.asarray(points[points[:, 1] > points[:, 1].max() - 8].mean(0), np.float64)


def _azimuth(direction: NDArray[np.float64]) -> float:
    """Return the angle of a direction against distal in degrees, radial positive."""
    return float(np.degrees(np.arctan2(direction[0], -direction[1])))


def _flexion_axis(direction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the horizontal axis about which a positive turn lowers the tip towards the palm."""
    axis = np.array([-direction[1], direction[0], 0.0])
    return np.asarray(axis / np.linalg.norm(axis))


def _rotation_x(degrees: float) -> NDArray[np.float64]:
    return rotation_about(np.array([1.0, 0, 0]), degrees)


def _rotation_y(degrees: float) -> NDArray[np.float64]:
    return rotation_about(np.array([0, 1.0, 0]), degrees)
