"""Check of the areas of bones: against the other images of a data set, and of the pisiform against its neighbour."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.datasets.check_faults import Fault, FaultKind

# The spread of a bone's area cannot be judged by fewer images.
MIN_IMAGES = 8
# Of 12760 areas of simulated bones none is beyond 3.9; a bone of 1.8 times its usual area may reach 6.
_MAX_ROBUST_Z = 6.0
# Relative spread of an area from hand to hand that is always granted.
_MIN_SPREAD = 0.1
# The triquetrum has 1.1 to 2.5 times the pisiform's area in 1640 simulated hands.
_MAX_PISIFORM = 1.25
# Median absolute deviation to standard deviation of a normal distribution: 1 / Phi^-1(3/4).
_MAD_TO_SD = 1.4826


def area_faults(areas: Sequence[Mapping[str, float]]) -> list[list[Fault]]:
    """Return, for every image, a fault for each bone whose area is implausible beside the other images'.

    The logarithm of an area is taken against the median of the bone over all images and then against the median over
    the image's bones, which is the scale of the hand; what is left is measured in robust standard deviations of the
    bone (median absolute deviation: Rousseeuw and Croux 1993, J Am Stat Assoc 88:1273).

    Args:
        areas: positive areas in px² by bone name, one mapping an image; nothing is found in fewer than `MIN_IMAGES`.
    """
    if len(areas) < MIN_IMAGES:
        return [[] for _ in areas]
    logs = np.log([[image.get(name, np.nan) for name in BONE_NAMES] for image in areas])
    logs -= _median(logs, axis=0)
    logs -= _median(logs, axis=1)
    logs -= _median(logs, axis=0)
    spread = np.maximum(_MAD_TO_SD * _median(np.abs(logs), axis=0), _MIN_SPREAD)
    seen = np.count_nonzero(np.isfinite(logs), axis=0) >= MIN_IMAGES
    odd = seen & (np.abs(logs) > _MAX_ROBUST_Z * spread)
    return [
        [Fault(FaultKind.ODD_AREA, _message(row[k]), bone=BONE_NAMES[k]) for k in np.flatnonzero(flags)]
        for row, flags in zip(logs, odd, strict=True)
    ]


def size_faults(areas: Mapping[str, float]) -> list[Fault]:
    """Return two faults if the pisiform is larger than the triquetrum, so that their labels seem exchanged.

    The bones overlap, and their places do not tell them apart.

    Args:
        areas: positive areas in px² by bone name of one image.
    """
    small, large = "Pisiform", "Triquetrum"
    if not {small, large} <= areas.keys() or areas[small] <= _MAX_PISIFORM * areas[large]:
        return []
    return [
        Fault(FaultKind.WRONG_ORDER, f"is larger than the {large.lower()}, which it lies upon", bone=small),
        Fault(FaultKind.WRONG_ORDER, f"is smaller than the {small.lower()}, which lies upon it", bone=large),
    ]


def _median(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Return medians along an axis, which is kept; 0 where no value is known."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        return np.nan_to_num(np.nanmedian(values, axis=axis, keepdims=True))


def _message(log_ratio: float) -> str:
    return f"has {np.exp(log_ratio):.2g} times the area that bones of this hand's size have in the other images"
