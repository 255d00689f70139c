"""Repair of bone surfaces: signed distance fields, surface nets and the inner wall of the cortex."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.spatial import cKDTree

Points = NDArray[np.float64]
Triangles = NDArray[np.int64]

_MARGIN_VOXELS = 6
_TINY = 1e-6


@dataclass(frozen=True)
class Surface:
    """A triangle mesh: vertices (V, 3) in millimetres and outward triangles (T, 3)."""

    vertices: Points
    triangles: Triangles


def is_watertight(triangles: Triangles) -> bool:
    """Return whether every directed edge is met by exactly one opposite edge: closed and consistently oriented."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    count = int(edges.max()) + 1
    forward = np.sort(edges[:, 0] * count + edges[:, 1])
    backward = np.sort(edges[:, 1] * count + edges[:, 0])
    return bool((np.diff(forward) > 0).all() and (forward == backward).all())


def volume(surface: Surface) -> float:
    """Return the enclosed volume in cubic millimetres by the divergence theorem."""
    a, b, c = (surface.vertices[surface.triangles[:, k]] for k in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def remesh(samples: Points, normals: Points, pitch: float, smoothing: float) -> Surface:
    """Close and smooth an open surface through a signed distance field on a voxel grid.

    Args:
        samples: points (N, 3) on the surface in millimetres, denser than `pitch`.
        normals: outward unit normals (N, 3) there.
        pitch: edge of a voxel in millimetres; the new edges are about as long.
        smoothing: standard deviation in millimetres of the Gaussian that smooths the field.

    Returns:
        The closed surface; gaps of up to about four voxels are bridged.
    """
    low = samples.min(0) - _MARGIN_VOXELS * pitch
    shape = np.ceil(np.ptp(samples, axis=0) / pitch).astype(int) + 2 * _MARGIN_VOXELS
    field = _signed_distance(samples, normals, low, shape, pitch)
    while True:
        net = surface_net(_smooth(field, smoothing / pitch))
        if is_watertight(net.triangles):
            return Surface(net.vertices * pitch + low, net.triangles)
        smoothing *= 1.2


def _signed_distance(
    samples: Points, normals: Points, low: Points, shape: NDArray[np.int64], pitch: float
) -> NDArray[np.float64]:
    """Return the distance of every voxel to the surface in millimetres, negative inside, capped at five voxels."""
    voxels = np.round((samples - low) / pitch).astype(int)
    shell = np.zeros(shape, bool)
    shell[tuple(voxels.T)] = True
    inside = _fill(shell)
    outermost = ndimage.distance_transform_edt(inside)[tuple(voxels.T)] < 4
    samples, normals = samples[outermost], normals[outermost]
    band = ndimage.distance_transform_edt(~shell) < _MARGIN_VOXELS - 1
    points = np.argwhere(band) * pitch + low
    distance, nearest = cKDTree(samples).query(points)
    # Sections decide away from the surface, normals next to it, where a voxel is too coarse.
    facing = np.einsum("ij,ij->i", points - samples[nearest], normals[nearest]) > 0
    outside = np.where(distance < 2 * pitch, facing, ~inside[band])
    field = np.where(inside, -1.0, 1.0) * (_MARGIN_VOXELS - 1) * pitch
    field[band] = np.where(outside, distance, -distance)
    return field


def _smooth(field: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Smooth a field at constant volume and keep one solid: no islands and no cavities."""
    smooth = ndimage.gaussian_filter(field, sigma)
    count = int((field < 0).sum())
    smooth -= np.partition(smooth.ravel(), count)[count]
    labels, _ = ndimage.label(smooth < 0)
    solid = ndimage.binary_fill_holes(labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:])))
    return np.where(solid, -np.abs(smooth) - _TINY, np.abs(smooth) + _TINY)


def _fill(shell: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Bridge small gaps and fill every cross-section of the long axis, so that a cut-off end counts as closed."""
    closed = ndimage.binary_closing(shell, ndimage.generate_binary_structure(3, 1), iterations=2)
    return np.stack([ndimage.binary_fill_holes(section) for section in np.moveaxis(closed, 1, 0)], axis=1)


def surface_net(field: NDArray[np.float64]) -> Surface:
    """Extract the zero level of a scalar field, negative inside, as a closed mesh in voxel units.

    Each cell that the level crosses gets one vertex, the mean of its edge crossings; each crossed grid edge gets one
    quadrilateral (Gibson, "Constrained elastic surface nets", MICCAI 1998).
    """
    negative = field < 0
    cells = np.full(np.array(field.shape) - 1, -1)
    sums, counts = np.zeros((*cells.shape, 3)), np.zeros(cells.shape)
    crossings = []
    for axis in range(3):
        lower, upper = _shifted(field, axis, 0), _shifted(field, axis, 1)
        where = np.argwhere(_shifted(negative, axis, 0) != _shifted(negative, axis, 1))
        start, stop = lower[tuple(where.T)], upper[tuple(where.T)]
        points = where.astype(float)
        points[:, axis] += start / (start - stop)
        crossings.append((axis, where, start < 0))
        for neighbour in _ring(where, axis):
            np.add.at(sums, tuple(neighbour.T), points)
            np.add.at(counts, tuple(neighbour.T), 1)
    used = counts > 0
    cells[used] = np.arange(used.sum())
    triangles = [_quads(cells, where, axis, enters) for axis, where, enters in crossings]
    return Surface(sums[used] / counts[used, None], np.concatenate(triangles))


def _shifted(array: NDArray[Any], axis: int, offset: int) -> NDArray[Any]:
    """Return the grid nodes at one end of every edge along `axis`."""
    return np.take(array, np.arange(offset, array.shape[axis] - 1 + offset), axis)


def _ring(where: NDArray[np.int64], axis: int) -> list[NDArray[np.int64]]:
    """Return the four cells around grid edges, counter-clockwise seen from the positive end of the axis."""
    first, second = np.eye(3, dtype=int)[(axis + 1) % 3], np.eye(3, dtype=int)[(axis + 2) % 3]
    return [where - first - second, where - second, where, where - first]


def _quads(cells: NDArray[np.int64], where: NDArray[np.int64], axis: int, enters: NDArray[np.bool_]) -> Triangles:
    corners = np.stack([cells[tuple(cell.T)] for cell in _ring(where, axis)], -1)
    corners[~enters] = corners[~enters][:, ::-1]
    return np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]])


def inner_wall(surface: Surface, depth: NDArray[np.float64]) -> Points:
    """Return the vertices moved inwards along smoothed vertex normals by `depth` (V,) millimetres."""
    a, b, c = (surface.vertices[surface.triangles[:, k]] for k in range(3))
    face_normals = np.cross(b - a, c - a)
    corners = surface.triangles.ravel()
    incidence = sparse.coo_array((np.ones(len(corners)), (corners, np.arange(len(corners)) // 3))).tocsr()
    neighbours = (incidence @ incidence.T).tocsr()
    normals = _unit(incidence @ face_normals)
    for _ in range(3):
        normals = _unit(neighbours @ normals)
    return surface.vertices - normals * depth[:, None]


def _unit(vectors: Any) -> Points:
    vectors = np.asarray(vectors)
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
