"""Many segmented radiographs measured, each as soon as it is read, in one or several processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from tqdm import tqdm

from handseg_bundle_common.datasets.predictions import MEASURED
from handseg_bundle_common.drawing import overlay_name, save_png
from handseg_bundle_common.files import make_folder
from handseg_bundle_common.formats.dicom import read_dicom_side_tag
from handseg_bundle_common.formats.radiograph import read_radiograph, read_size
from handseg_bundle_common.laterality import find_laterality
from handseg_bundle_common.measurements.figure import measures_overlay
from handseg_bundle_common.measurements.hand import measure_hand
from handseg_bundle_common.measurements.results import HandRows, MeasuresFolder, hand_rows
from handseg_bundle_common.measurements.scale import Scale, check_spacing, read_spacing
from handseg_bundle_common.measurements.sources import MaskSource
from handseg_bundle_common.measurements.storage import measures_key, read_rows, write_rows
from handseg_bundle_common.workers import done_in_order, number_of_workers

CASES = "cases"

# A process needs several seconds to start, in which another measures about so many images.
_IMAGES_A_PROCESS = 8


@dataclass(frozen=True)
class Measured:
    """How many images have been measured in which unit."""

    in_mm: int
    in_px: int


def measure(
    sources: Sequence[MaskSource],
    output: str | PathLike[str],
    *,
    spacing_mm: float | None = None,
    overlays: bool = True,
    workers: int | None = None,
) -> Measured:
    """Measure the bones of segmented radiographs.

    Writes `<output>/measured/<image>.png`, what was measured where, as soon as each image is done, and when all are
    done, `bone_sizes.csv`, `indices.csv` and `gaps.csv`. Lengths are in mm where the distance of pixels is known, by
    the file or by `spacing_mm`, and in px elsewhere, as the tables say in every row. What is measured of an image is
    kept below `<output>/cases`, and taken from there as long as radiograph, masks, spacing and code stay the same.

    Args:
        sources: radiographs and their masks, see `predicted_sources` and `annotated_sources`.
        output: folder of the results.
        spacing_mm: distance of pixel centres in mm of all radiographs; None takes what files tell that can be trusted.
        overlays: draw the overlays, which takes most of the time.
        workers: processes; by default one a core, as far as there are enough images, and 1 works in this process. A
            script that may start several needs `if __name__ == "__main__":`, because each imports it anew.

    Raises:
        HandsegInputError: a radiograph or its masks cannot be read, the spacing is not possible, or the output folder
            cannot be written to.
    """
    given = None if spacing_mm is None else check_spacing(spacing_mm)
    processes = number_of_workers(workers, len(sources), _IMAGES_A_PROCESS)
    folder = make_folder(output)
    jobs = [_Job(source, folder, given, overlays) for source in sources]
    in_mm = 0
    with MeasuresFolder(folder) as results:
        for rows in tqdm(done_in_order(_rows, jobs, processes), "measuring", len(jobs), unit="image", disable=None):
            results.write(rows)
            in_mm += rows.unit == "mm"
    return Measured(in_mm, len(sources) - in_mm)


@dataclass(frozen=True)
class _Job:
    """An image to measure, and where to put what comes of it."""

    source: MaskSource
    folder: Path
    spacing_mm: float | None
    draws: bool

    @property
    def overlay(self) -> Path:
        return self.folder / MEASURED / overlay_name(self.source.name)

    @property
    def case(self) -> Path:
        return self.folder / CASES / f"{overlay_name(self.source.name)}.json"


def _rows(job: _Job) -> HandRows:
    """Return what is measured of an image, from an earlier run if nothing has changed since."""
    source = job.source
    scale = Scale(job.spacing_mm or read_spacing(source.image))
    packed = source.masks(*read_size(source.image))
    key = measures_key(source.name, source.image, packed, scale)
    if (known := read_rows(job.case, key)) and (job.overlay.is_file() or not job.draws):
        return known
    # An overlay of something else must not be taken for that of these measures.
    job.overlay.unlink(missing_ok=True)
    radiograph = read_radiograph(source.image)
    measures = measure_hand(packed, radiograph)
    laterality = find_laterality(source.name, packed, read_dicom_side_tag(source.image))
    rows = hand_rows(source.name, measures, scale, laterality)
    if job.draws:
        save_png(job.overlay, measures_overlay(radiograph, measures, scale))
    write_rows(job.case, key, rows)
    return rows
