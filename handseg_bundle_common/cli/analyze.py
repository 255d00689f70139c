"""The verb analyze."""

from __future__ import annotations

from pathlib import Path

from handseg_bundle_common.cli.arguments import Job, check_values, number_of
from handseg_bundle_common.errors import HandsegInputError


def analyze(
    predictions: str,
    labels: str,
    output: str,
    *,
    compare: str | None = None,
    images: str | None = None,
    worst: int | str = 20,
    workers: int | str | None = None,
) -> Job:
    """Find out where the Dice is lost: tables, figures and a report that opens in any browser.

    Names what went wrong with each bone: missing, extra, shifted, swapped, with a hole, in parts, of the wrong size.
    An analysis that was interrupted goes on where it stopped.

    Args:
        predictions: submission CSV, or results folder from predict or cross-validate.
        labels: data set with the polygons of the images; its radiographs are shown in the report if they are there.
        output: folder for tables, figures and the report.
        compare: predictions of another model for the same images, or the folder of its analysis.
        images: folder of the radiographs, if they do not lie in the data set.
        worst: how many images with the lowest mean Dice are drawn, beside those with the worst faults and the worst one
            of every bone.
        workers: processes; by default one a core, as far as there are enough images.
    """
    check_values(predictions=predictions, labels=labels, output=output, compare=compare, images=images)
    drawn = number_of("worst", worst, int)
    if drawn < 0:
        raise HandsegInputError("--worst", f"{drawn} images cannot be drawn", "choose 0 or more")
    if compare is not None and Path(compare).resolve() == Path(output).resolve():
        raise HandsegInputError("--compare", f"{compare} is the folder of --output", "choose another --output")
    processes = None if workers is None else number_of("workers", workers, int)

    def start() -> str:
        from handseg_bundle_common import analysis  # noqa: PLC0415
        from handseg_bundle_common.analysis.report import write_report  # noqa: PLC0415

        others = None
        if compare is not None:
            # Before the analysis writes down anew what is in its folder, and before it takes its time.
            others = analysis.analysed_predictions(compare, labels)
            first = analysis.find_sources(predictions, labels, images)
            analysis.check_common(first, analysis.find_sources(others.predictions, labels, others.images or images))
        found = analysis.analyse(predictions, labels, output, images=images, workers=processes)
        analysis.clear_results(output)
        analysis.write_tables(found, output)
        comparison = None
        if others is not None:
            other = analysis.analyse(
                others.predictions,
                labels,
                others.folder or Path(output, "other"),
                images=others.images or images,
                workers=processes,
            )
            comparison = analysis.pair_up(found, other)
            analysis.write_comparison(comparison, output)
        report = write_report(found, Path(output), comparison, worst=drawn)
        return f"{analysis.summary_text(found, comparison)}\nreport: {report}\ntables: {output}"

    return Job(start)
