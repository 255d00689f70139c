"""Many radiographs through one bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from tqdm import tqdm

from handseg_bundle_common.datasets.predictions import DISAGREEMENT, MASKS, MEASURED, OVERLAYS
from handseg_bundle_common.inference.cohort import RECORDS, Cohort
from handseg_bundle_common.inference.mask_files import DEFAULT_FORMATS, check_outputs
from handseg_bundle_common.inference.precision import AUTO
from handseg_bundle_common.inference.runtimes import TORCH
from handseg_bundle_common.inference.segmenter import Failure, Segmenter, SegmenterSettings
from handseg_bundle_common.inference.sources import find_sources


@dataclass(frozen=True)
class Predicted:
    """What a prediction has done.

    Attributes:
        segmented: the radiographs in the order of the submission.
        failures: those that could not be segmented.
        kept: how many of the first an earlier run had done.
    """

    segmented: tuple[Path, ...]
    failures: tuple[Failure, ...]
    kept: int


def predict(
    images: Sequence[str | PathLike[str]],
    bundle: str,
    output: str | PathLike[str],
    *,
    device: str = "auto",
    image_size: int | None = None,
    threshold: float | None = None,
    weights: str | PathLike[str] | None = None,
    keep_folders: bool = False,
    probabilities: bool = False,
    formats: Sequence[str] = DEFAULT_FORMATS,
    precision: str = AUTO,
    compile_network: bool = False,
    runtime: str = TORCH,
    anew: bool = False,
) -> Predicted:
    """Segment radiographs with a bundle, at their native sizes.

    Writes `<output>/overlays/<image>.png`, the picture of each radiograph as soon as it is done, and when all are
    done, `predictions.csv`, the competition's submission, `images.csv`, size and side of every image,
    `confidence.csv`, how far each bone can be trusted, and `prediction.json`, what has made them. The bundle, its
    weights and the files that are named are checked before anything is written.

    What the tables tell of an image is kept in `segmented/` as soon as it is done. Repeat the call after an
    interruption: images that are done are passed over, and the results are those of a run without one. Images are done
    again when they, the bundle, its weights, a setting or the code has changed. A radiograph that cannot be read stops
    nothing; `failures.csv` lists it.

    Args:
        images: files, and folders that are searched recursively.
        bundle: the bundle's folder or name.
        output: folder of the results.
        device: "auto", "cpu", "cuda" or "cuda:1".
        image_size: longer side in px at which the network works; that of the training if None.
        threshold: probability above which a pixel belongs to a bone; the bundle's own if None.
        weights: file of weights in place of the bundle's own.
        keep_folders: name results by the radiographs' relative paths instead of their file names.
        probabilities: keep those of every pixel at the working size in `<output>/probabilities/<image>.npz` too.
        formats: what is written of the masks, see `ResultsFolder`.
        precision: "auto", "float32" or "bfloat16", see `autocast_type`.
        compile_network: run the network through `torch.compile`, on a GPU only.
        runtime: "torch", "onnx" or "auto", see `running`.
        anew: do again what an earlier run has done.

    Returns:
        What was segmented and what failed.

    Raises:
        HandsegInputError: a file that is named, the bundle, an option or the output folder cannot be used.
    """
    pictures = [Path(output, folder) for folder in (OVERLAYS, DISAGREEMENT, MASKS, MEASURED, RECORDS)]
    sources = find_sources(images, keep_folders=keep_folders, exclude=pictures)
    wanted = check_outputs(formats, sources)
    of_user = None if weights is None else str(weights)
    settings = SegmenterSettings(bundle, device, image_size, threshold, of_user, precision, compile_network, runtime)
    cohort = Cohort(Path(output), Segmenter(settings), wanted, probabilities=probabilities, anew=anew)
    segmented, failures, kept = [], [], 0
    for step in tqdm(cohort.run(sources), "segmenting", len(sources), unit="image", disable=None):
        if step.failure is not None:
            failures.append(step.failure)
            continue
        segmented.append(step.source.path)
        kept += step.is_kept
    cohort.conclude(sources, failures)
    return Predicted(tuple(segmented), tuple(failures), kept)
