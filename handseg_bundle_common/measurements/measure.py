"""Many segmented radiographs, measured one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike

from tqdm import tqdm

from handseg_bundle_common.formats.radiograph import read_radiograph
from handseg_bundle_common.laterality import find_laterality
from handseg_bundle_common.measurements.hand import measure_hand
from handseg_bundle_common.measurements.results import MeasuresFolder
from handseg_bundle_common.measurements.scale import Scale, check_spacing, read_spacing
from handseg_bundle_common.measurements.sources import MaskSource


@dataclass(frozen=True)
class Measured:
    """How many images have been measured in which unit."""

    in_mm: int
    in_px: int


def measure(sources: Sequence[MaskSource], output: str | PathLike[str], *, spacing_mm: float | None = None) -> Measured:
    """Measure the bones of segmented radiographs.

    Writes `<output>/overlays/<image>.png`, what was measured where, as soon as each image is done, and when all are
    done, `bones.csv`, `indices.csv` and `gaps.csv`. Lengths are in mm where the distance of pixels is known, by the
    file or by `spacing_mm`, and in px elsewhere, as the tables say in every row.

    Args:
        sources: radiographs and their masks, see `predicted_sources` and `annotated_sources`.
        output: folder of the results.
        spacing_mm: distance of pixel centres in mm of all radiographs; None takes what files tell that can be trusted.

    Raises:
        HandsegInputError: a radiograph or its masks cannot be read, the spacing is not possible, or the output folder
            cannot be written to.
    """
    given = None if spacing_mm is None else check_spacing(spacing_mm)
    in_mm = 0
    with MeasuresFolder(output) as results:
        for source in tqdm(sources, "measuring", unit="image", disable=None):
            radiograph = read_radiograph(source.image)
            packed = source.masks(*radiograph.shape[1:])
            scale = Scale(given or read_spacing(source.image))
            measures = measure_hand(packed, radiograph)
            results.write(source.name, radiograph, measures, scale, find_laterality(source.name, packed))
            in_mm += scale.spacing_mm is not None
    return Measured(in_mm, len(sources) - in_mm)
