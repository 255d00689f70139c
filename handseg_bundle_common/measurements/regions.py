"""What is measured of a bone: the largest part of its mask, with its pixels, outline and long axis.

Points and directions are complex numbers x + iy in px of the picture, y pointing down; the centre of the first pixel
is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.datasets.moments import Moments
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.metrics import BoneCrop, bone_crops

Points = NDArray[np.complex128]
Values = NDArray[np.float64]

# Rows or columns before and behind every corner of pixels.
_BESIDE = slice(None, -1), slice(1, None)
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
# Share of the picture's longer side. Masks of a network that works at a smaller size may stop short of the border.
_BORDER = 0.005


@dataclass(frozen=True, eq=False)
class BoneRegion:
    """The largest connected part (8 neighbours) of a bone's mask.

    Attributes:
        mask: the part in the smallest rectangle and a margin of background, (h, w) uint8, 0 or 1.
        corner: centre of the rectangle's first pixel.
        is_cut: whether the part reaches the border of the picture.
        from_border: px from the border within which a pixel counts as lying at it.
        size: height and width of the picture.
    """

    mask: NDArray[np.uint8]
    corner: complex
    is_cut: bool
    from_border: int
    size: tuple[int, int]

    @cached_property
    def pixels(self) -> Points:
        """Centres of all pixels."""
        return self._centres(self.mask)

    @cached_property
    def outline(self) -> Points:
        """Centres of the pixels that have one of their four neighbours outside."""
        return self._centres(np.not_equal(self.mask, cv2.erode(self.mask, _CROSS, borderValue=0)))

    @cached_property
    def edges(self) -> Points:
        """Corners of pixels on the outline: those between pixels of the part and others, half a pixel off centres."""
        corners = [self.mask[rows, columns] for rows in _BESIDE for columns in _BESIDE]
        filled = np.sum(corners, axis=0)
        return self._centres((filled > 0) & (filled < len(corners))) + (0.5 + 0.5j)

    @property
    def area(self) -> int:
        """Number of pixels."""
        return len(self.pixels)

    @cached_property
    def moments(self) -> Moments:
        """Area, centroid and covariance of the pixels' centres."""
        found = cv2.moments(self.mask, binaryImage=True)
        area = found["m00"]
        covariance = np.array([[found["mu20"], found["mu11"]], [found["mu11"], found["mu02"]]]) / area
        corner = np.array([self.corner.real, self.corner.imag])
        return Moments(area, np.array([found["m10"], found["m01"]]) / area + corner, covariance)

    @property
    def middle(self) -> complex:
        """Centroid."""
        return self._moments[0]

    @property
    def axis(self) -> complex:
        """Direction of the long axis, that of the smallest moment of inertia, of length one and either sign."""
        return self._moments[1]

    @property
    def elongation(self) -> float:
        """Standard deviation of the pixels along the long axis over that across it; infinite for a single line."""
        return self._moments[2]

    def extent(self, direction: complex) -> tuple[float, float]:
        """Return where the part begins and ends along a direction of length one, in px from the first pixel's centre.

        A pixel reaches to the middles of its edges, as in the Feret diameter of scikit-image.
        """
        along = (self.outline * direction.conjugate()).real
        reach = pixel_reach(direction)
        return float(along.min()) - reach, float(along.max()) + reach

    def on_line(self, point: complex, direction: complex) -> tuple[float, float] | None:
        """Return between which distances from a point a line crosses the part, or None where it passes by it."""
        places = (self.pixels - point) * direction.conjugate()
        along = places.real[np.abs(places.imag) <= 0.5]
        reach = pixel_reach(direction)
        return (float(along.min()) - reach, float(along.max()) + reach) if along.size else None

    def is_at_border(self, points: Points) -> NDArray[np.bool_]:
        """Tell which points lie at the border of the picture."""
        height, width = self.size
        depth = np.minimum.reduce([points.real, points.imag, width - 1 - points.real, height - 1 - points.imag])
        return np.asarray(depth < self.from_border)

    def _centres(self, mask: NDArray[np.uint8] | NDArray[np.bool_]) -> Points:
        rows, columns = np.nonzero(mask)
        return np.asarray(columns + 1j * rows + self.corner)

    @cached_property
    def _moments(self) -> tuple[complex, complex, float]:
        """Return centroid, long axis and elongation."""
        (across, along), axes = np.linalg.eigh(self.moments.covariance)
        elongation = float(np.sqrt(along / across)) if across > 0 else np.inf
        return complex(*self.moments.centroid), complex(*axes[:, 1]), elongation


def find_regions(packed: Packed) -> dict[str, BoneRegion]:
    """Return the largest part of every bone that is there, by bone name in channel order.

    Args:
        packed: masks (H, W).
    """
    height, width = packed.shape
    found = ((BONE_NAMES[crop.channel], _region(crop, (height, width))) for crop in bone_crops(packed, packed))
    return {name: region for name, region in found if region is not None}


def pixel_reach(direction: complex) -> float:
    """Return how far a pixel reaches from its centre along a direction of length one: to the middles of its edges."""
    return max(abs(direction.real), abs(direction.imag)) / 2


def _region(crop: BoneCrop, size: tuple[int, int]) -> BoneRegion | None:
    """Return the largest part of a crop with a margin of one pixel, or None without any."""
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(crop.prediction, connectivity=8)
    if count == 1:
        return None
    largest = 1 + int(statistics[1:, cv2.CC_STAT_AREA].argmax())
    left, top, width, height = statistics[largest, : cv2.CC_STAT_AREA].tolist()
    window = slice(top - 1, top + height + 1), slice(left - 1, left + width + 1)
    first = crop.offset[0] + top, crop.offset[1] + left
    border = max(1, round(_BORDER * max(size)))
    spans = zip(first, (height, width), size, strict=True)
    return BoneRegion(
        mask=(labels[window] == largest).astype(np.uint8),
        corner=complex(first[1] - 1, first[0] - 1),
        is_cut=any(start < border or start + length > end - border for start, length, end in spans),
        from_border=border,
        size=size,
    )
