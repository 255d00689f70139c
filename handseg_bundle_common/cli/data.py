"""Verbs about data: simulate, check-data, make-folds."""

from __future__ import annotations

import json
from pathlib import Path

from handseg_bundle_common.cli.arguments import Job, Result, check_switch, check_values, number_of
from handseg_bundle_common.errors import HandsegInputError

_FAULTY = 1


def simulate(
    *,
    output: str | None = None,
    count: int | str | None = None,
    size: int | str = 2048,
    seed: int | str = 0,
    workers: int | str | None = None,
    assets: str | None = None,
    preset: str = "dataset",
    about: bool = False,
    report: bool = False,
) -> Job:
    """Simulate radiographs of hands with exact overlapping masks, in the layout of the data set.

    Args:
        output: folder for DCM/ and outputs_json/; hands that are there already are kept.
        count: number of radiographs, two a patient; by default 8, or 200 for a report.
        size: longer side of the radiographs in px; those of the data set are square.
        seed: the same seed gives the same hands.
        workers: number of processes, by default one a core.
        assets: file of bone surfaces in place of the cached one.
        preset: dataset (the look of the data set), wild (radiographs from elsewhere) or shifted (for benchmarks only).
        about: tell instead where the bone surfaces come from.
        report: write instead tables and figures that compare the radiographs with real ones.
    """
    check_values(output=output, assets=assets, preset=preset)
    check_switch("about", about)
    check_switch("report", report)
    hands = number_of("count", (200 if report else 8) if count is None else count, int)
    side, first = number_of("size", size, int), number_of("seed", seed, int)
    processes = None if workers is None else number_of("workers", workers, int)

    def start() -> str:
        from handseg_bundle_common import simulation  # noqa: PLC0415

        if about:
            return simulation.about()
        if output is None:
            raise HandsegInputError("--output", "is missing", "name the folder for the simulated hands")
        surfaces = None if assets is None else Path(assets)
        if report:
            found = simulation.write_report(
                output, count=hands, size=side, seed=first, assets=surfaces, workers=processes, preset=preset
            )
            return f"{found}\nTables and figures: {output}"
        done = simulation.write_hands(hands, side, first, output, assets=surfaces, workers=processes, preset=preset)
        return f"{len(done)} simulated: {output}"

    return Job(start)


def check_data(data: str, *, json: bool = False) -> Job:
    """Look for faults in a data set's images and polygons, and tell whether training can start.

    The exit code is 0 when it can, with warnings or without, and 1 when it cannot.

    Args:
        data: folder in the layout of the data set.
        json: print JSON in place of a table.
    """
    check_values(data=data)
    check_switch("json", json)

    def start() -> Result:
        from handseg_bundle_common import datasets  # noqa: PLC0415

        faults = datasets.check_data(data)
        stops = any(fault.severity is datasets.Severity.ERROR for fault in faults)
        text = _dumped(datasets.faults_to_json(faults)) if json else datasets.fault_table(faults)
        return Result(text, _FAULTY if stops else 0)

    return Job(start)


def make_folds(data: str, *, output: str, count: int | str = 5, seed: int | str = 0) -> Job:
    """Deal the patients of a data set to folds: both hands of a patient in one, tilted wrists spread evenly.

    Args:
        data: folder in the layout of the data set.
        output: JSON file to write, for the id `folds` of a bundle.
        count: number of folds.
        seed: the same seed gives the same folds.
    """
    check_values(data=data, output=output)
    folds, first = number_of("count", count, int), number_of("seed", seed, int)

    def start() -> str:
        from handseg_bundle_common import datasets  # noqa: PLC0415

        items = datasets.data_list(data)
        dealt = datasets.make_folds(items, folds, first)
        datasets.write_folds(output, dealt, first, datasets.data_fingerprint(items))
        return f"{sum(map(len, dealt))} patients in {len(dealt)} folds: {output}"

    return Job(start)


def _dumped(document: object) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False)
