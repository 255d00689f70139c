"""Areas, centroids and long axes of bones, from their polygons and without drawing a pixel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.formats.boostcamp import Ring

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Area moments of a bone.

    Attributes:
        area: in px².
        centroid: x, y in px (2,).
        covariance: second central moments over the area in px² (2, 2).
    """

    area: float
    centroid: Vector
    covariance: NDArray[np.float64]


def polygon_moments(rings: Iterable[Ring]) -> Moments | None:
    """Return the moments of the area within rings (N, 2), summed over rings; None without an area.

    The integrals over a ring are those of Green's theorem, as in `cv2.moments`.
    """
    measured = [_ring_moments(ring) for ring in rings]
    area = sum(ring.area for ring in measured)
    if not area > 0:
        return None
    centroid = np.sum([ring.area * ring.centroid for ring in measured], axis=0) / area
    covariance = sum(ring.area * (ring.covariance + _outer(ring.centroid - centroid)) for ring in measured) / area
    return Moments(area, centroid, np.asarray(covariance, np.float64))


def long_axis(covariance: NDArray[np.float64], towards: Vector, min_elongation: float) -> Vector | None:
    """Return the unit vector of largest variance.

    Args:
        covariance: second central moments (2, 2).
        towards: the axis points to this side.
        min_elongation: ratio of the standard deviations along and across below which there is no long axis.

    Returns:
        The axis (2,), or None for a shape that is too round.
    """
    (across, along), vectors = np.linalg.eigh(covariance)
    if not along > max(across, 0) * min_elongation**2:
        return None
    axis = vectors[:, 1]
    return np.asarray(axis if axis @ towards > 0 else -axis, np.float64)


def _ring_moments(ring: Ring) -> Moments:
    """Return the moments of one ring; all are 0 about its first vertex if it encloses nothing."""
    # OpenCV takes single precision, which suffices near the origin.
    origin = ring[0]
    found = cv2.moments((ring - origin).astype(np.float32)[:, None])
    area = found["m00"]
    if not area > 0:
        return Moments(0.0, origin, np.zeros((2, 2)))
    covariance = np.array([[found["mu20"], found["mu11"]], [found["mu11"], found["mu02"]]]) / area
    return Moments(area, origin + np.array([found["m10"], found["m01"]]) / area, covariance)


def _outer(vector: Vector) -> NDArray[np.float64]:
    return np.outer(vector, vector)
