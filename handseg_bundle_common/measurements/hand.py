"""All measures of one hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.masks import Packed
from handseg_bundle_common.measurements.bones import BoneMeasures, measure_bone
from handseg_bundle_common.measurements.frame import HandFrame, hand_frame
from handseg_bundle_common.measurements.gaps import Gap, measure_gaps
from handseg_bundle_common.measurements.indices import Indices, measure_indices
from handseg_bundle_common.measurements.regions import BoneRegion, find_regions


@dataclass(frozen=True, eq=False)
class HandMeasures:
    """Measures of one hand in px.

    Attributes:
        bones: by bone name in channel order; a bone that is not there is left out.
        indices: those of wrist and palm.
        gaps: those of all neighbours.
        regions: what was measured, by bone name.
        frame: the hand's directions, None where the bones do not tell them.
    """

    bones: Mapping[str, BoneMeasures]
    indices: Indices
    gaps: tuple[Gap, ...]
    regions: Mapping[str, BoneRegion]
    frame: HandFrame | None


def measure_hand(packed: Packed, radiograph: NDArray[np.floating[Any]]) -> HandMeasures:
    """Measure the bones of one hand, of either side and turned in any way.

    Args:
        packed: masks (H, W).
        radiograph: (H, W) or (1, H, W), 0..1, bone bright, of the same size.

    Raises:
        ValueError: radiograph and masks differ in size.
    """
    grey = radiograph[0] if radiograph.ndim == 3 else radiograph
    if grey.shape != packed.shape:
        raise ValueError(f"radiograph {grey.shape} and masks {packed.shape} differ in size")
    regions = find_regions(packed)
    frame = hand_frame(regions)
    bones = {bone: measure_bone(region, grey, frame) for bone, region in regions.items()}
    return HandMeasures(bones, measure_indices(regions, bones, frame), measure_gaps(regions), regions, frame)
