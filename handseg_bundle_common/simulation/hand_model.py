"""The bones of one hand as surfaces, and how they grow without opening joints."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONES, CHANNEL, NUM_BONES, Group

# Channels of each ray from the metacarpal to the distal phalanx, thumb first.
RAYS = ((2, 1, 0), (6, 5, 4, 3), (10, 9, 8, 7), (14, 13, 12, 11), (18, 17, 16, 15))
# The bone that each surface belongs to: the 29 bones, then the radial and the ulnar sesamoid at the thumb's metacarpal.
SESAMOIDS = (NUM_BONES, NUM_BONES + 1)
CHANNEL_OF_PART = (*range(NUM_BONES), CHANNEL["finger-3"], CHANNEL["finger-3"])
NUM_PARTS = len(CHANNEL_OF_PART)


@dataclass(frozen=True)
class HandModel:
    """Surfaces of the bones of a right hand, in millimetres; at rest x is radial, y proximal and z dorsal.

    The 31 parts are the 29 bones in channel order and the two sesamoids of the thumb.

    Attributes:
        vertices: outer surface (V, 3) of all parts, one after the other.
        inner_vertices: inner wall of the cortex (V, 3), vertex by vertex below the outer surface.
        triangles: outward triangles (T, 3), indices into one part's own vertices.
        vertex_starts: first vertex of each part and the total (32,).
        triangle_starts: first triangle of each part and the total (32,).
        joint_centres: centre of the joint at the proximal end of each bone (29, 3).
    """

    vertices: NDArray[np.float32]
    inner_vertices: NDArray[np.float32]
    triangles: NDArray[np.int32]
    vertex_starts: NDArray[np.int64]
    triangle_starts: NDArray[np.int64]
    joint_centres: NDArray[np.float64]

    def slice_of(self, part: int) -> slice:
        """Return where the vertices of one part stand."""
        return slice(int(self.vertex_starts[part]), int(self.vertex_starts[part + 1]))

    def vertices_of(self, part: int) -> NDArray[np.float32]:
        """Return the outer surface (v, 3) of one part."""
        return self.vertices[self.slice_of(part)]

    def triangles_of(self, part: int) -> NDArray[np.int32]:
        """Return the triangles (t, 3) of one part."""
        return self.triangles[self.triangle_starts[part] : self.triangle_starts[part + 1]]

    def axis_of(self, channel: int) -> NDArray[np.float64]:
        """Return the long axis of one bone as a unit vector that points distally at rest."""
        axis = principal_axis(self.vertices_of(channel)[::4])
        return np.asarray(axis * -np.sign(axis[1]), np.float64)

    def end_of(self, channel: int, distal: bool) -> NDArray[np.float64]:
        """Return the middle of the last 4 mm of one bone at rest."""
        points = self.vertices_of(channel)
        limit = points[:, 1].min() if distal else points[:, 1].max()
        return np.asarray(points[np.abs(points[:, 1] - limit) < 4].mean(0), np.float64)


def transform_bones(model: HandModel, matrices: NDArray[np.float64], offsets: NDArray[np.float64]) -> HandModel:
    """Map every bone with its joint by its own matrix (29, 3, 3) and offset (29, 3) in millimetres."""
    vertices, inner = np.empty_like(model.vertices), np.empty_like(model.vertices)
    for part, channel in enumerate(CHANNEL_OF_PART):
        where = model.slice_of(part)
        matrix, offset = matrices[channel].T.astype(np.float32), offsets[channel].astype(np.float32)
        vertices[where] = model.vertices[where] @ matrix + offset
        inner[where] = model.inner_vertices[where] @ matrix + offset
    joints = np.einsum("bij,bj->bi", matrices, model.joint_centres) + offsets
    return replace(model, vertices=vertices, inner_vertices=inner, joint_centres=joints)


@dataclass(frozen=True)
class Growth:
    """How every bone differs from a given one.

    Attributes:
        widths: factors across the axis in the plane of the hand (29,).
        lengths: factors along the axis (29,).
        depths: factors across the axis from palm to back (29,).
        turns: rotation in the plane of the hand in degrees, from radial to proximal (29,); for carpal bones.
        shifts: displacements in millimetres (29, 3); the bones of a ray also follow those of its metacarpal.
    """

    widths: NDArray[np.float64]
    lengths: NDArray[np.float64]
    depths: NDArray[np.float64]
    turns: NDArray[np.float64]
    shifts: NDArray[np.float64]


def grow_bones(model: HandModel, growth: Growth) -> HandModel:
    """Scale, turn and displace bones; rays grow from the wrist outwards, so that joints stay closed."""
    matrices = np.array([_growth_matrix(model.vertices_of(channel), growth, channel) for channel in range(NUM_BONES)])
    moves = growth.shifts.copy()
    for ray in RAYS:
        for parent, child in pairwise(ray):
            arm = model.joint_centres[child] - _fixed_point(model, parent)
            moves[child] += moves[parent] + (matrices[parent] - np.eye(3)) @ arm
    fixed = np.array([_fixed_point(model, channel) for channel in range(NUM_BONES)])
    return transform_bones(model, matrices, fixed - np.einsum("bij,bj->bi", matrices, fixed) + moves)


def _growth_matrix(points: NDArray[np.float32], growth: Growth, channel: int) -> NDArray[np.float64]:
    """Return the scaling along the outline's long axis, across it and from palm to back, followed by the turn."""
    axis = principal_axis(points[::4, :2])
    along = np.array([axis[0], axis[1], 0.0])
    across = np.array([-axis[1], axis[0], 0.0])
    scale = growth.widths[channel] * np.outer(across, across) + growth.lengths[channel] * np.outer(along, along)
    scale[2, 2] = growth.depths[channel]
    return np.asarray(rotation_z(growth.turns[channel]) @ scale, np.float64)


def principal_axis(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the direction (d,) in which points (n, d) vary most, of either sign."""
    return np.asarray(np.linalg.eigh(np.cov(points.T))[1][:, -1], np.float64)


def rotation_about(axis: NDArray[np.float64], degrees: float) -> NDArray[np.float64]:
    """Return the rotation matrix (3, 3) about a unit axis (Rodrigues)."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)


def rotation_z(degrees: float) -> NDArray[np.float64]:
    """Return the rotation matrix (3, 3) in the plane of the hand, from radial to proximal at rest."""
    return rotation_about(np.array([0.0, 0.0, 1.0]), degrees)


def mirrored(model: HandModel) -> HandModel:
    """Return the mirror image in the radial axis: the thumb of a right hand comes to lie at low columns."""
    mirror = np.array([-1, 1, 1], np.float32)
    return replace(
        model,
        vertices=model.vertices * mirror,
        inner_vertices=model.inner_vertices * mirror,
        triangles=np.ascontiguousarray(model.triangles[:, ::-1]),
        joint_centres=model.joint_centres * mirror,
    )


def turned(model: HandModel, degrees: float) -> HandModel:
    """Turn everything about the axis from the detector to the source, from x towards y."""
    return transform_bones(model, np.repeat(rotation_z(degrees)[None], NUM_BONES, 0), np.zeros((NUM_BONES, 3)))


def moved(model: HandModel, offset: NDArray[np.float64]) -> HandModel:
    """Displace everything by `offset` (3,) millimetres."""
    step = offset.astype(np.float32)
    return replace(
        model,
        vertices=model.vertices + step,
        inner_vertices=model.inner_vertices + step,
        joint_centres=model.joint_centres + offset,
    )


def _fixed_point(model: HandModel, channel: int) -> NDArray[np.float64]:
    """Return the point that growth leaves in place: the joint towards the wrist, or the centre of a carpal bone."""
    group = BONES[channel].group
    if group is Group.CARPALS:
        return np.asarray(model.vertices_of(channel).mean(0), np.float64)
    if group is Group.PHALANGES:
        return np.asarray(model.joint_centres[channel])
    return model.end_of(channel, distal=group is Group.FOREARM)
