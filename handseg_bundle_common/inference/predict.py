"""Many radiographs through one bundle."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from tqdm import tqdm

from handseg_bundle_common.datasets.predictions import DISAGREEMENT, MASKS, MEASURED, OVERLAYS
from handseg_bundle_common.formats.probabilities import probabilities_path, write_probabilities
from handseg_bundle_common.inference.mask_files import DEFAULT_FORMATS, check_outputs
from handseg_bundle_common.inference.predictor import load_predictor
from handseg_bundle_common.inference.results import ResultsFolder
from handseg_bundle_common.inference.sources import find_sources


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
) -> list[Path]:
    """Segment radiographs with a bundle, at their native sizes.

    Writes `<output>/overlays/<image>.png`, the picture of each radiograph as soon as it is done, and when all are
    done, `predictions.csv`, the competition's submission, `images.csv`, size and side of every image,
    `confidence.csv`, how far each bone can be trusted, and `prediction.json`, what has made them. The headers of all
    radiographs, the bundle and its weights are checked before anything is written.

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

    Returns:
        The radiographs in the order of the submission.

    Raises:
        HandsegInputError: a radiograph, the bundle, an option or the output folder cannot be used.
    """
    pictures = [Path(output, folder) for folder in (OVERLAYS, DISAGREEMENT, MASKS, MEASURED)]
    sources = find_sources(images, keep_folders=keep_folders, exclude=pictures)
    wanted = check_outputs(formats, sources)
    predictor = load_predictor(bundle, device=device, image_size=image_size, weights=weights, threshold=threshold)
    with ResultsFolder(output, predictor.origin, wanted) as results:
        for source in tqdm(sources, "segmenting", unit="image", disable=None):
            prediction = predictor.predict(source.path)
            results.write(source.name, source.path, prediction.masks, prediction.votes)
            if probabilities:
                values = predictor.probabilities(prediction)
                write_probabilities(probabilities_path(output, source.name), values, prediction.masks.shape)
    return [source.path for source in sources]
