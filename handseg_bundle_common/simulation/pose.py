"""Pose of the hand on the detector: spread, curl, thumb, wrist deviation and pronation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONES, CHANNEL, NUM_BONES
from handseg_bundle_common.simulation.hand_model import RAYS, HandModel, transform_bones
from handseg_bundle_common.simulation.settings import PoseSettings

# Share of the wrist's rotation that each bone of the proximal row follows; the distal row follows all of it.
_PROXIMAL_ROW = {"Scaphoid": 0.45, "Lunate": 0.5, "Triquetrum": 0.8, "Pisiform": 0.8}
# Azimuths of the bones in degrees against the third metacarpal, radial positive, as radiographs show them.
_AZIMUTHS = {
    **{"finger-3": 43.0, "finger-2": 37.0, "finger-1": 40.0},
    **{"finger-7": 9.5, "finger-6": 9.0, "finger-5": 7.0, "finger-4": 4.0},
    **{"finger-11": 0.0, "finger-10": -5.0, "finger-9": -6.5, "finger-8": -7.0},
    **{"finger-15": -9.5, "finger-14": -13.0, "finger-13": -15.0, "finger-12": -12.5},
    **{"finger-19": -17.5, "finger-18": -27.0, "finger-17": -26.0, "finger-16": -23.0},
}

# The palm lies on the detector, so the thumb is seen from its ulnar back.
_THUMB_ROLL = 35.0


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
        row_shares: share of the wrist's rotation that each bone follows (29,).
    """

    deviation: float
    forearm: float
    pronation: float
    flexion: float
    azimuths: NDArray[np.float64]
    curls: NDArray[np.float64]
    rolls: NDArray[np.float64]
    row_shares: NDArray[np.float64]


def draw_pose(generator: np.random.Generator, settings: PoseSettings) -> Pose:
    """Draw a pose; half of the wrists are straight, half deviated by 31 to 53 degrees.

    One spread and one curl move all fingers together, because independent joints would cross the fingers.
    """
    deviated = generator.random() < settings.deviated
    deviation = np.clip(generator.normal(42, 5), 31, 53) if deviated else np.clip(generator.normal(2, 4), -8, 14)
    spread, curl = generator.normal(1, 0.25), abs(generator.normal(0, 4))
    thumb, thumb_roll = generator.normal(0, 6), generator.normal(_THUMB_ROLL, 15)
    azimuths, curls, rolls = np.zeros(NUM_BONES), np.zeros(NUM_BONES), np.zeros(NUM_BONES)
    for ray, chain in enumerate(RAYS):
        residual = 0.0
        for level, channel in enumerate(chain):
            mean = _AZIMUTHS[BONES[channel].name]
            if ray == 0:
                residual += generator.normal(0, 3)
                azimuths[channel] = mean + thumb + residual
            elif level == 0:
                azimuths[channel] = mean + generator.normal(0, 0.7)
            else:
                residual += generator.normal(0, 1.6)
                azimuths[channel] = mean * spread + residual
            curls[channel] = 0.0 if ray and level == 0 else level * curl * generator.uniform(0.4, 1)
            rolls[channel] = (
                thumb_roll * (0.5 if level == 0 else 1) if ray == 0 else generator.normal(0, 4 if level else 1)
            )
    shares = np.ones(NUM_BONES)
    for name, share in _PROXIMAL_ROW.items():
        shares[CHANNEL[name]] = share + generator.normal(0, 0.04)
    shares[[CHANNEL["Radius"], CHANNEL["Ulna"]]] = 0.0
    return Pose(
        deviation=float(deviation),
        forearm=float(generator.normal(-1, 3)),
        pronation=float(generator.normal(0, 4)),
        flexion=float(generator.normal(0, 3)),
        azimuths=azimuths,
        curls=curls,
        rolls=rolls,
        row_shares=shares,
    )


def apply_pose(model: HandModel, pose: Pose) -> HandModel:
    """Return the hand in the drawn pose, with the forearm along y and the origin at the wrist's centre."""
    return transform_bones(model, *_transforms(model, pose))


def _transforms(model: HandModel, pose: Pose) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rotation matrices (29, 3, 3) and offsets (29, 3) of all bones."""
    centre = _wrist_centre(model)
    rest = model.axis_of(CHANNEL["finger-11"])
    upright = -_azimuth(rest)
    fingers = _finger_transforms(model, pose)
    forearm = _rotation_y(pose.pronation) @ _rotation_x(pose.flexion) @ _rotation_z(pose.forearm)
    straight = -_azimuth(model.axis_of(CHANNEL["Radius"]) + model.axis_of(CHANNEL["Ulna"]))
    matrices, offsets = np.empty((NUM_BONES, 3, 3)), np.empty((NUM_BONES, 3))
    for channel in range(NUM_BONES):
        share = pose.row_shares[channel]
        hand = _rotation_z(upright - pose.deviation) if share else np.eye(3)
        turn = _rotation_z(share * (upright - pose.deviation) + (1 - share) * straight)
        inner_matrix, inner_offset = fingers[channel] if share == 1 else (np.eye(3), np.zeros(3))
        outer = forearm @ (hand if share == 1 else turn)
        matrices[channel] = outer @ inner_matrix
        offsets[channel] = outer @ (inner_offset - centre)
    return matrices, offsets


def _finger_transforms(model: HandModel, pose: Pose) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return rotation and offset of every bone against the resting hand; bones of a ray stay joined."""
    reference = _azimuth(model.axis_of(CHANNEL["finger-11"]))
    transforms = [(np.eye(3), np.zeros(3)) for _ in range(NUM_BONES)]
    for chain in RAYS:
        pivot = moved = _carpal_joint(model, chain[0])
        for level, channel in enumerate(chain):
            axis = model.axis_of(channel)
            turn = reference + pose.azimuths[channel] - _azimuth(axis)
            matrix = _rotation_z(turn) @ _rotation_about(_flexion_axis(axis), pose.curls[channel])
            matrix = matrix @ _rotation_about(axis, pose.rolls[channel])
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


def _rotation_about(axis: NDArray[np.float64], degrees: float) -> NDArray[np.float64]:
    """Return the rotation matrix about a unit axis (Rodrigues)."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)


def _rotation_x(degrees: float) -> NDArray[np.float64]:
    return _rotation_about(np.array([1.0, 0, 0]), degrees)


def _rotation_y(degrees: float) -> NDArray[np.float64]:
    return _rotation_about(np.array([0, 1.0, 0]), degrees)


def _rotation_z(degrees: float) -> NDArray[np.float64]:
    return _rotation_about(np.array([0, 0, 1.0]), degrees)
