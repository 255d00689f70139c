"""Where the pixels of a NRRD file lie and how they are shown (http://teem.sourceforge.net/nrrd/format.html, section 4).

A step along an axis of the file is a vector in a space whose name tells where its own axes point. Pictures are turned
to the display as those of NIfTI are: columns to the patient's left, rows to the back or to the feet.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.formats.mask_image import Spacing, known_spacing
from handseg_bundle_common.formats.nifti_picture import AS_STORED, as_displayed

# Signs that turn the vectors of a space to the right, anterior and superior. Other spaces are not those of a patient.
_TO_RAS = {
    **dict.fromkeys(("right-anterior-superior", "ras"), (1, 1, 1)),
    **dict.fromkeys(("left-anterior-superior", "las"), (-1, 1, 1)),
    **dict.fromkeys(("left-posterior-superior", "lps"), (-1, -1, 1)),
}


def read_space(
    fields: Mapping[str, str], is_list: bool, axes: Sequence[int]
) -> tuple[NDArray[np.float64], Spacing | None]:
    """Return how a picture is shown and how far its pixels are apart.

    Args:
        fields: the format's own fields by their names in small letters.
        is_list: whether the first axis is one of layers.
        axes: the two axes of the picture, counted behind that one.

    Returns:
        How an array (first axis, second axis) becomes (column, row) as displayed, as nibabel tells orientations, and
        the distances of rows and columns as displayed in mm, None where they are not known.

    Raises:
        ValueError: a vector is none.
    """
    vectors = _vectors(fields, is_list, axes)
    if vectors is None:
        steps = fields.get("spacings", "").split()[is_list:]
        if len(steps) <= max(axes):
            return AS_STORED, None
        first, second = (float(steps[axis]) for axis in axes)
        return AS_STORED, known_spacing(second, first)
    turn = _turn(vectors, _TO_RAS.get(fields.get("space", "").lower()))
    first, second = (math.hypot(*vector) for vector in vectors)
    return turn, known_spacing(first, second) if turn[0, 0] == 1 else known_spacing(second, first)


def _vectors(fields: Mapping[str, str], is_list: bool, axes: Sequence[int]) -> list[list[float]] | None:
    """Return the steps along the axes of a picture; None where the file does not tell them."""
    told = re.findall(r"none|\([^)]*\)", fields.get("space directions", ""))[is_list:]
    if len(told) <= max(axes) or "none" in (told[axes[0]], told[axes[1]]):
        return None
    vectors = [[float(number) for number in told[axis].strip("()").split(",")] for axis in axes]
    if not all(math.isfinite(number) for vector in vectors for number in vector):
        raise ValueError(f"its space directions are {fields['space directions'][:40]!r}")
    return vectors


def _turn(vectors: list[list[float]], signs: tuple[int, int, int] | None) -> NDArray[np.float64]:
    if signs is None or any(len(vector) != len(signs) for vector in vectors):
        return AS_STORED
    first, second = (np.multiply(vector, signs) for vector in vectors)
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([first, second, np.cross(first, second)])
    return as_displayed(affine)
