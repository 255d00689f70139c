"""The bones that were found in a picture: where they lie, how large they are, and how they fit the mean hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import MEAN_CENTROIDS
from handseg_bundle_common.ensemble.shapes import BoneShape, Values, bone_shapes, usual_ratios
from handseg_bundle_common.masks import Packed

Places = NDArray[np.complex128]
Channels = NDArray[np.intp]

# The place or size of a hand cannot be told by fewer bones.
FEWEST_BONES = 5

# Measured ranges are those of the exact masks of 240 simulated hands of 256 px, 80 of each preset.
# The smallest bone has 0.0044 to 0.0094 of the area of all masks, and these have 0.080 to 0.186 of the picture's. Both
# limits are far lower, for bones that the border cuts and for hands of a tenth of the picture's side.
_LEAST_SHARE, _LEAST_OF_PICTURE = 0.0005, 0.0001
# A bone is there twice if a second part has this share of the first one's area and lies further away than that share of
# the root mean square distance of the bones from their centre; it is 0.5 for the halves of a metacarpal. A hand of half
# the other's size has 0.1 to 0.3 of its areas. Two hands show the last share of their bones twice; in 66
# pictures of one hand that weak networks segmented they show at most 0.25.
_SECOND_PART, _FAR, _TWICE = 0.1, 0.75, 0.3
# Two groups of bones are alike if the smaller has the first share of the larger one's area and both together the second
# share of all. Masks that lie further apart than twice the last share of the square root of their area are in different
# groups. A hand has one; 120 pairs of hands side by side have two, the smaller of at least 0.61 times the larger one's.
_SIMILAR, _NEARLY_ALL, _GAP = 0.4, 0.8, 0.08
# Groups need no more pixels than this along the longer side.
_SIDE_PX = 512

# Share of the bones that may lie anywhere: two of 12 that a network mistakes make no other hand.
_STRAY = 0.2
_RIGHT_HAND: Places = np.array(MEAN_CENTROIDS) @ [1, 1j]


@dataclass(frozen=True)
class Fit:
    """The mean hand, laid over bones.

    Attributes:
        unexplained: share of the variance of the bones' places that is left, 0 to 1.
        places: where the mean hand has its bones in the picture, x + iy in px (29,).
    """

    unexplained: float
    places: Places


@dataclass(frozen=True)
class FoundBones:
    """The bones that were found in a picture.

    Attributes:
        packed: masks (H, W).
    """

    packed: Packed

    @property
    def size(self) -> tuple[int, ...]:
        """Height and width of the picture."""
        return self.packed.shape

    @cached_property
    def shapes(self) -> list[BoneShape]:
        """The bones in channel order."""
        return bone_shapes(self.packed)

    @cached_property
    def found(self) -> NDArray[np.bool_]:
        """Which bones have more than a speck (29,)."""
        areas = np.array([max(shape.areas, default=0) for shape in self.shapes])
        least = _LEAST_SHARE * areas.sum()
        return np.asarray((areas > least) & (areas.sum() > _LEAST_OF_PICTURE * self.packed.size))

    @cached_property
    def whole(self) -> NDArray[np.bool_]:
        """Which bones were found and are not cut by the picture's border (29,)."""
        return np.asarray(self.found & ~np.array([shape.is_cut for shape in self.shapes]))

    @cached_property
    def ratios(self) -> Values:
        """Areas in those of the mean hand (29,), 0 for bones that were not found."""
        return np.where(self.found, usual_ratios(self.shapes), 0)

    @cached_property
    def places(self) -> Places:
        """Middles as x + iy (29,), 0 for missing bones."""
        return np.array([shape.middle for shape in self.shapes], np.complex128)

    @property
    def is_doubled(self) -> bool:
        """Whether many bones are there twice, a hand's size apart, or a few of them apart from all others.

        Apart from the others means that one of both is a hand's size away from every bone that is there once: stray
        parts of a poor segmentation lie among the bones of the hand.
        """
        places = self.places[self.found]
        far = _FAR * np.sqrt(np.mean(np.abs(places - places.mean()) ** 2))
        parts = [_parts_apart(shape, far) for shape, found in zip(self.shapes, self.found, strict=True) if found]
        once = np.array([several[0] for several in parts if len(several) == 1])
        twice = [several for several in parts if len(several) > 1]
        apart = [any((np.abs(once - place) > far).all() for place in several) for several in twice]
        return sum(apart) >= FEWEST_BONES or len(twice) >= max(FEWEST_BONES, _TWICE * len(parts))

    @property
    def is_in_two_groups(self) -> bool:
        """Whether the masks fall into two groups of similar area with a wide gap between them."""
        step = max(1, max(self.size) // _SIDE_PX)
        inside = (self.packed[::step, ::step] > 0).astype(np.uint8)
        reach = round(_GAP * math.sqrt(np.count_nonzero(inside)))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        _, groups = cv2.connectedComponents(cv2.dilate(inside, disc))
        areas = np.sort(np.bincount(groups[inside > 0])[1:])
        return _are_alike(areas[::-1].tolist())

    def fit(self, channels: Channels) -> Fit | None:
        """Lay the mean hand, right or left, over bones by the best shift, turn and scale.

        This is Procrustes analysis (Gower, Psychometrika 40:33, 1975), repeated without the bone that fits worst until
        a fifth of them has been left out.

        Args:
            channels: the bones; those that were not found do not count.

        Returns:
            The fit, or None with fewer than `FEWEST_BONES`.
        """
        there = channels[self.found[channels]]
        if there.size < FEWEST_BONES:
            return None
        fits = [_fit(self.places, there, template) for template in (_RIGHT_HAND, _RIGHT_HAND.conj())]
        return min(fits, key=lambda fit: fit.unexplained)


def _parts_apart(shape: BoneShape, far: float) -> list[complex]:
    """Return where the largest part lies, and the others that are no specks and lie far from it."""
    others = zip(shape.areas[1:], shape.places[1:], strict=True)
    first = shape.places[0]
    return [first, *(at for area, at in others if area > _SECOND_PART * shape.areas[0] and abs(at - first) > far)]


def _are_alike(areas: Sequence[int]) -> bool:
    """Tell whether the first two of descending areas are similar and nearly all."""
    return len(areas) > 1 and areas[1] > _SIMILAR * areas[0] and sum(areas[:2]) > _NEARLY_ALL * sum(areas)


def _fit(places: Places, channels: Channels, template: Places) -> Fit:
    """Lay a template over bones, leaving out, one by one, those that fit worst."""
    fit = _laid(places, channels, template)
    for _ in range(int(_STRAY * channels.size)):
        channels = np.delete(channels, np.abs((places - fit.places)[channels]).argmax())
        fit = _laid(places, channels, template)
    return fit


def _laid(places: Places, channels: Channels, template: Places) -> Fit:
    """Lay a template over bones by least squares."""
    system = np.stack([template[channels], np.ones(channels.size)], axis=1)
    turn, shift = np.linalg.lstsq(system, places[channels], rcond=None)[0]
    laid = turn * template + shift
    variance = float(np.var(places[channels]))
    left = float(np.mean(np.abs((places - laid)[channels]) ** 2))
    return Fit(left / variance if variance > 0 else 1.0, laid)
