"""What is to be gained: Dice of all bones, of the small ones, or of both, with intervals over patients."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import CHANNEL, SMALL_BONES

Floats = NDArray[np.float64]

_SMALL = [CHANNEL[name] for name in SMALL_BONES]


class Objective(StrEnum):
    """What members are chosen for."""

    MEAN = "mean"
    SMALL = "small"
    BOTH = "both"

    def of_images(self, dice: Floats) -> Floats:
        """Return the objective of every image: the mean over all bones, over the small ones, or the mean of both.

        Its mean over images is the competition's average, because every bone is scored in every image.

        Args:
            dice: (..., 29), or differences of such.
        """
        mean, small = dice.mean(axis=-1), dice[..., _SMALL].mean(axis=-1)
        return np.asarray({Objective.MEAN: mean, Objective.SMALL: small, Objective.BOTH: (mean + small) / 2}[self])
