"""The verb measure."""

from __future__ import annotations

from handseg_bundle_common.cli.arguments import Job, check_values, number_of, yes_or_no
from handseg_bundle_common.errors import HandsegInputError


def measure(
    *,
    output: str,
    predictions: str | None = None,
    images: str | None = None,
    labels: str | None = None,
    spacing_mm: float | str | None = None,
    workers: int | str | None = None,
    overlays: bool | str = True,
) -> Job:
    """Measure segmented hands: sizes of bones, indices of wrist and palm, gaps, as tables and drawn on overlays.

    Takes predictions with their images, or the labels of a data set. Lengths are in mm where the distance of pixels is
    known, and in px elsewhere. Repeat the command after an interruption: images that are done are passed over.

    Args:
        output: folder for bone_sizes.csv, indices.csv, gaps.csv and measured/IMAGE.png.
        predictions: results folder of predict, or a submission CSV.
        images: folder of the radiographs that were segmented.
        labels: data set whose polygons to measure in place of predictions.
        spacing_mm: distance of pixel centres in mm, the same for all images, in place of what their files tell.
        workers: processes; by default one a core, as far as there are enough images.
        overlays: draw the overlays, which take most of the time; False leaves them out.
    """
    check_values(output=output, predictions=predictions, images=images, labels=labels)
    draws = yes_or_no("overlays", overlays)
    processes = None if workers is None else number_of("workers", workers, int)
    spacing = None if spacing_mm is None else number_of("spacing_mm", spacing_mm, float)
    if (predictions is None) == (labels is None):
        problem = "is missing" if labels is None else "and --labels exclude each other"
        raise HandsegInputError("--predictions", problem, "name predictions and their images, or labels")
    if (predictions is None) != (images is None):
        problem = "is missing" if images is None else "has nothing to do beside --labels"
        raise HandsegInputError("--images", problem, "name predictions and their images, or labels")

    def start() -> str:
        from handseg_bundle_common import measurements  # noqa: PLC0415

        if spacing is not None:
            measurements.check_spacing(spacing)
        if predictions is not None and images is not None:
            sources = measurements.predicted_sources(predictions, images)
        else:
            sources = measurements.annotated_sources(str(labels))
        done = measurements.measure(sources, output, spacing_mm=spacing, overlays=draws, workers=processes)
        if not done.in_px:
            return f"{done.in_mm} measured in mm: {output}"
        known = f"{done.in_mm} measured in mm, " if done.in_mm else ""
        return f"{known}{done.in_px} measured in px, whose spacing is not known (--spacing-mm): {output}"

    return Job(start)
