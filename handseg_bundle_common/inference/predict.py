"""Many radiographs through one bundle."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from tqdm import tqdm

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
) -> list[Path]:
    """Segment radiographs with a bundle, at their native sizes.

    Writes `<output>/overlays/<image>.png`, the picture of each radiograph as soon as it is done, and
    when all are done, `<output>/predictions.csv`, the competition's submission, and `<output>/images.csv`, size and
    side of every image. The headers of all radiographs, the bundle and its weights are checked before anything is
    written.

    Args:
        images: files, and folders that are searched recursively.
        bundle: the bundle's folder or name.
        output: folder of the results.
        device: "auto", "cpu", "cuda" or "cuda:1".
        image_size: longer side in px at which the network works; that of the training if None.
        threshold: probability above which a pixel belongs to a bone; the bundle's own if None.
        weights: file of weights in place of the bundle's own.
        keep_folders: name results by the radiographs' relative paths instead of their file names.

    Returns:
        The radiographs in the order of the submission.

    Raises:
        HandsegInputError: a radiograph, the bundle, an option or the output folder cannot be used.
    """
    results = ResultsFolder(output)
    sources = find_sources(images, keep_folders=keep_folders, exclude=results.overlays)
    predictor = load_predictor(bundle, device=device, image_size=image_size, weights=weights, threshold=threshold)
    with results:
        for source in tqdm(sources, "segmenting", unit="image", disable=None):
            results.write(source.name, source.path, predictor(source.path))
    return [source.path for source in sources]
