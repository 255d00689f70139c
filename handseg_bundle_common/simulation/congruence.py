"""The hollow of the radius in which the lunate lies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from handseg_bundle_common.anatomy import CHANNEL
from handseg_bundle_common.simulation.collisions import PITCH_MM, columns_of
from handseg_bundle_common.simulation.hand_model import HandModel
from handseg_bundle_common.simulation.pose import apply_pose, mean_pose

_DEVIATIONS = (0.0, 14.0, 28.0, 42.0)
# Cartilage between the bones, and how far below its highest point the radius may be hollowed, in millimetres.
_CARTILAGE_MM, _DEPTH_MM = 1.0, 14.0
_SMOOTHINGS = 6


def hollow_radius(model: HandModel) -> HandModel:
    """Push the end of the radius back from the lunate in all mean poses of the wrist.

    Args:
        model: hand at rest.
    """
    channel = CHANNEL["Radius"]
    push = np.zeros(len(model.vertices_of(channel)), np.float32)
    for deviation in _DEVIATIONS:
        posed = apply_pose(model, mean_pose(deviation))
        push = np.maximum(push, _needed(posed.vertices_of(channel), posed, CHANNEL["Lunate"]))
    vertices = model.vertices.copy()
    vertices[model.slice_of(channel), 1] += _smooth(push, model.triangles_of(channel))
    return replace(model, vertices=vertices)


def _needed(points: NDArray[np.float32], posed: HandModel, channel: int) -> NDArray[np.float32]:
    """Return how far each point (N, 3) must go back along the forearm to leave a bone."""
    # Columns along the forearm: x, z and y take the places of x, y and z.
    low, _, top = columns_of(posed.vertices_of(channel)[:, [0, 2, 1]], posed.triangles_of(channel))
    cells = (points[:, [2, 0]] - low[::-1]) / PITCH_MM
    edge = ndimage.map_coordinates(np.where(np.isfinite(top), top, -1e3), cells.T, order=0, cval=-1e3)
    needed = np.maximum(edge + _CARTILAGE_MM - points[:, 1], 0)
    return np.where(points[:, 1] < points[:, 1].min() + _DEPTH_MM, needed, 0).astype(np.float32)


def _smooth(values: NDArray[np.float32], triangles: NDArray[np.int32]) -> NDArray[np.float32]:
    """Average values over neighbouring vertices a few times."""
    ends = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    near = sparse.coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(values),) * 2).tocsr()
    degree = np.maximum(near.sum(1), 1)
    for _ in range(_SMOOTHINGS):
        values = np.asarray(0.5 * values + 0.5 * (near @ values) / degree, np.float32)
    return values
