"""The bones of one hand as surfaces, and how they grow without opening joints."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONES, NUM_BONES, Group

# Channels of each ray from the metacarpal to the distal phalanx, thumb first.
RAYS = ((2, 1, 0), (6, 5, 4, 3), (10, 9, 8, 7), (14, 13, 12, 11), (18, 17, 16, 15))


@dataclass(frozen=True)
class HandModel:
    """Surfaces of the 29 bones of a right hand, in millimetres; at rest x is radial, y proximal and z dorsal.

    Attributes:
        vertices: outer surface (V, 3) of all bones, one after the other.
        inner_vertices: inner wall of the cortex (V, 3), vertex by vertex below the outer surface.
        triangles: outward triangles (T, 3), indices into one bone's own vertices.
        vertex_starts: first vertex of each bone and the total (30,).
        triangle_starts: first triangle of each bone and the total (30,).
        joint_centres: centre of the joint at the proximal end of each bone (29, 3).
    """

    vertices: NDArray[np.float32]
    inner_vertices: NDArray[np.float32]
    triangles: NDArray[np.int32]
    vertex_starts: NDArray[np.int64]
    triangle_starts: NDArray[np.int64]
    joint_centres: NDArray[np.float64]

    def slice_of(self, channel: int) -> slice:
        """Return where the vertices of one bone stand."""
        return slice(int(self.vertex_starts[channel]), int(self.vertex_starts[channel + 1]))

    def vertices_of(self, channel: int) -> NDArray[np.float32]:
        """Return the outer surface (v, 3) of one bone."""
        return self.vertices[self.slice_of(channel)]

    def triangles_of(self, channel: int) -> NDArray[np.int32]:
        """Return the triangles (t, 3) of one bone."""
        return self.triangles[self.triangle_starts[channel] : self.triangle_starts[channel + 1]]

    def axis_of(self, channel: int) -> NDArray[np.float64]:
        """Return the long axis of one bone as a unit vector that points distally at rest."""
        axis = np.linalg.eigh(np.cov(self.vertices_of(channel)[::4].T))[1][:, -1]
        return np.asarray(axis * -np.sign(axis[1]), np.float64)

    def end_of(self, channel: int, distal: bool) -> NDArray[np.float64]:
        """Return the middle of the last 4 mm of one bone at rest."""
        points = self.vertices_of(channel)
        limit = points[:, 1].min() if distal else points[:, 1].max()
        return np.asarray(points[np.abs(points[:, 1] - limit) < 4].mean(0), np.float64)


def transform_bones(model: HandModel, matrices: NDArray[np.float64], offsets: NDArray[np.float64]) -> HandModel:
    """Map every bone with its joint by its own matrix (29, 3, 3) and offset (29, 3) in millimetres."""
    vertices, inner = np.empty_like(model.vertices), np.empty_like(model.vertices)
    for channel in range(NUM_BONES):
        part = model.slice_of(channel)
        matrix, offset = matrices[channel].T.astype(np.float32), offsets[channel].astype(np.float32)
        vertices[part] = model.vertices[part] @ matrix + offset
        inner[part] = model.inner_vertices[part] @ matrix + offset
    joints = np.einsum("bij,bj->bi", matrices, model.joint_centres) + offsets
    return replace(model, vertices=vertices, inner_vertices=inner, joint_centres=joints)


def grow_bones(
    model: HandModel, widths: NDArray[np.float64], lengths: NDArray[np.float64], shifts: NDArray[np.float64]
) -> HandModel:
    """Scale bones across and along their axes; rays grow from the wrist outwards, so that joints stay closed.

    Args:
        model: hand at rest.
        widths: factors across the axes (29,).
        lengths: factors along the axes (29,).
        shifts: displacements in millimetres (29, 3); the bones of a ray also follow those of its metacarpal.
    """
    matrices = np.empty((NUM_BONES, 3, 3))
    for channel in range(NUM_BONES):
        axis = model.axis_of(channel)
        matrices[channel] = widths[channel] * np.eye(3) + (lengths[channel] - widths[channel]) * np.outer(axis, axis)
    moves = shifts.copy()
    for ray in RAYS:
        for parent, child in pairwise(ray):
            arm = model.joint_centres[child] - _fixed_point(model, parent)
            moves[child] += moves[parent] + (matrices[parent] - np.eye(3)) @ arm
    fixed = np.array([_fixed_point(model, channel) for channel in range(NUM_BONES)])
    return transform_bones(model, matrices, fixed - np.einsum("bij,bj->bi", matrices, fixed) + moves)


def _fixed_point(model: HandModel, channel: int) -> NDArray[np.float64]:
    """Return the point that growth leaves in place: the joint towards the wrist, or the centre of a carpal bone."""
    group = BONES[channel].group
    if group is Group.CARPALS:
        return np.asarray(model.vertices_of(channel).mean(0), np.float64)
    if group is Group.PHALANGES:
        return np.asarray(model.joint_centres[channel])
    return model.end_of(channel, distal=group is Group.FOREARM)
