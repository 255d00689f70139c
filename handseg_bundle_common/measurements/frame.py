"""The hand's own directions, so that neither its side nor how it lies in the picture matters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from handseg_bundle_common.anatomy import CHANNEL, MEAN_CENTROIDS
from handseg_bundle_common.measurements.regions import BoneRegion, Values

THIRD_METACARPAL = "finger-11"

# Fewer bones can lie in any order by chance.
_FEWEST_BONES = 5
# The middles of a hand's bones correlate with those of the mean hand by far more than this, along and across.
_LEAST_CORRELATION = 0.5
# Spread of the middles across the third metacarpal over that along it: about 0.7 in a hand, far less in a single ray.
_LEAST_SPREAD = 0.1
# Of the third metacarpal; less of it is a stump whose axis may be any. A whole one has about 5.
_LEAST_ELONGATION = 1.5
# Axes of rounder bones turn with every pixel.
_ROUND = 1.1


@dataclass(frozen=True)
class HandFrame:
    """Directions of a hand, of length one as x + iy.

    Attributes:
        distal: along the third metacarpal's long axis, to the fingers.
        ulnar: at right angles to it, to the little finger.
    """

    distal: complex
    ulnar: complex

    def orientation(self, region: BoneRegion) -> float:
        """Return the angle of a bone's long axis to the third metacarpal's in degrees, above -90 and up to 90.

        Positive where the distal end leans to the ulnar side, in left and right hands; NaN for a bone that is nearly
        round and for one of a single line of pixels.
        """
        if not _ROUND <= region.elongation < math.inf:
            return math.nan
        turned = region.axis * self.distal.conjugate()
        if turned.real < 0:
            turned = -turned
        leaning = turned.imag * (self.ulnar * self.distal.conjugate()).imag
        return math.degrees(math.atan2(leaning, turned.real))


def hand_frame(regions: Mapping[str, BoneRegion]) -> HandFrame | None:
    """Return the directions of a hand.

    The third metacarpal gives the axis; its sense, and on which side the little finger lies, are those in which the
    middles of all bones correlate with those of the mean hand, so that single misplaced bones do not turn it.

    Args:
        regions: the bones that were found.

    Returns:
        The directions, or None without the third metacarpal, with fewer than five bones, or where these do not tell.
    """
    metacarpal = regions.get(THIRD_METACARPAL)
    if metacarpal is None or metacarpal.elongation < _LEAST_ELONGATION or len(regions) < _FEWEST_BONES:
        return None
    mean_hand = np.array([MEAN_CENTROIDS[CHANNEL[bone]] for bone in regions], np.float64)
    middles = np.array([region.middle for region in regions.values()]) * metacarpal.axis.conjugate()
    along = _correlation(middles.real, -mean_hand[:, 1])
    across = _correlation(middles.imag, mean_hand[:, 0])
    is_line = middles.imag.std() < _LEAST_SPREAD * middles.real.std()
    if is_line or not min(abs(along), abs(across)) >= _LEAST_CORRELATION:
        return None
    return HandFrame(math.copysign(1, along) * metacarpal.axis, math.copysign(1, across) * 1j * metacarpal.axis)


def _correlation(first: Values, second: Values) -> float:
    """Return Pearson's correlation, NaN where one of both does not vary."""
    first, second = first - first.mean(), second - second.mean()
    spread = math.sqrt(float(first @ first) * float(second @ second))
    return float(first @ second) / spread if spread > 0 else math.nan
