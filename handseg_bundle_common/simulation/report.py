"""The report that compares simulated hands with real ones: tables, figures and a summary."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from os import PathLike
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from handseg_bundle_common.anatomy import BONES, Group, Side
from handseg_bundle_common.drawing import Picture, overlay, save_png
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import make_folder, write_csv
from handseg_bundle_common.simulation.assets import load_assets, load_once
from handseg_bundle_common.simulation.comparison import (
    OTHER_PAIRS_BELOW,
    Comparison,
    Key,
    compare,
    most_covered_elsewhere,
    quantities,
    size_share,
)
from handseg_bundle_common.simulation.presets import preset as settings_of
from handseg_bundle_common.simulation.report_figures import draw_figures
from handseg_bundle_common.simulation.sampler import (
    SimulatedHand,
    check_request,
    hand_of,
    patient_name,
    simulate_hand,
)
from handseg_bundle_common.simulation.statistics import measure_hand

HANDS, COMPARISON = "hands.csv", "comparison.csv"
_SHOWN, _TILE_PX = 16, 480
_CARPALS_AND_RAYS = tuple(bone.name for bone in BONES if bone.group is not Group.FOREARM)


@dataclass(frozen=True)
class Measured:
    """One simulated hand of a report.

    Attributes:
        name: its name in a data set of the same seed.
        values: everything that was measured.
        pictures: the radiograph and its overlay as tiles of a contact sheet, of the first hands only.
    """

    name: str
    values: dict[Key, float]
    pictures: tuple[Picture, Picture] | None


@dataclass(frozen=True)
class Report:
    """Simulated hands and how they compare with real ones.

    Attributes:
        hands: all hands, in order.
        comparisons: every quantity that is known of real hands.
        covered_elsewhere: the pairs with the largest mean cover that the reference does not name, largest first.
        size_share: share of the first principal component in the variance of the log lengths of carpals and rays.
    """

    hands: Sequence[Measured]
    comparisons: Sequence[Comparison]
    covered_elsewhere: Sequence[tuple[str, float]]
    size_share: float


def write_report(
    output: str | PathLike[str],
    *,
    count: int = 200,
    size: int = 2048,
    preset: str = "dataset",
    seed: int = 0,
    assets: Path | None = None,
    workers: int | None = None,
) -> str:
    """Simulate hands, compare them with the reference tables and write `hands.csv`, `comparison.csv` and figures.

    Args:
        output: folder to write to.
        count: number of hands, two a patient.
        size: longer side of the radiographs in pixels.
        preset: name of the settings, one of `presets.PRESETS`.
        seed: names the set of patients.
        assets: bone cache, by default the user's; built when missing.
        workers: processes; by default one a core, and 1 works in this process.

    Returns:
        The summary, which names everything that is out of tolerance.

    Raises:
        HandsegInputError: a number is out of range, the preset is unknown or the folder cannot be written.
    """
    settings = settings_of(preset)
    if count < 2:
        raise HandsegInputError("count", f"{count} hands have no spread", "ask for at least 2")
    check_request(count, size, seed)
    folder = make_folder(output)
    load_assets(assets)
    job = partial(_measure, seed=seed, size=size, preset=settings.name, assets=assets)
    hands = _in_workers(job, count, workers)
    values = [hand.values for hand in hands]
    lengths = np.array([[hand["length_px", bone] for bone in _CARPALS_AND_RAYS] for hand in values])
    report = Report(hands, compare(values), most_covered_elsewhere(values), size_share(lengths))
    _write_hands(folder / HANDS, hands)
    _write_comparison(folder / COMPARISON, report.comparisons)
    draw_figures(folder, values, report.comparisons)
    for name, number in (("radiographs.png", 0), ("overlays.png", 1)):
        save_png(folder / name, _contact_sheet([hand.pictures[number] for hand in hands if hand.pictures]))
    return summary(report)


def summary(report: Report) -> str:
    """Return what is within tolerance and what is not, in a few lines."""
    lines = [f"{len(report.hands)} simulated hands against real ones"]
    for what, judged in (
        ("means", [(c, c.is_within) for c in report.comparisons if c.is_within is not None]),
        (
            "standard deviations",
            [(c, c.is_spread_within) for c in report.comparisons if c.is_spread_within is not None],
        ),
    ):
        for quantity in dict.fromkeys(comparison.target.quantity for comparison, _ in judged):
            own = [(comparison, good) for comparison, good in judged if comparison.target.quantity == quantity]
            lines.append(f"{quantity}: {sum(good for _, good in own)} of {len(own)} {what} within tolerance")
            lines += [f"    {_described(comparison, what)}" for comparison, good in own if not good]
    others = ", ".join(f"{pair} {share:.3f}" for pair, share in report.covered_elsewhere)
    lines.append(f"most covered of the other pairs, real ones below {OTHER_PAIRS_BELOW}: {others}")
    lines.append(f"first principal component of log bone lengths: {report.size_share:.2f} of their variance")
    return "\n".join(lines)


def _described(comparison: Comparison, what: str) -> str:
    target = comparison.target
    simulated, real = (comparison.value, target.value) if what == "means" else (comparison.sd, target.sd)
    return f"{target.bone or 'hand'}: {simulated:.4g}, real {real:.4g}"


def _in_workers(job: partial[Measured], count: int, workers: int | None) -> list[Measured]:
    """Run the job for every hand, with a progress bar."""
    workers = min(workers or os.cpu_count() or 1, count)
    bar = partial(tqdm, total=count, desc="simulating", unit="hand", disable=None)
    if workers <= 1:
        return [job(number) for number in bar(range(count))]
    # A forked child would inherit the locks of the parent's threads.
    with ProcessPoolExecutor(workers, get_context("spawn"), cv2.setNumThreads, (1,)) as pool:
        return list(bar(pool.map(job, range(count))))


def _measure(number: int, *, seed: int, size: int, preset: str, assets: Path | None) -> Measured:
    patient, side = hand_of(seed, number)
    hand = simulate_hand(patient, size, side, load_once(assets), settings_of(preset))
    values = quantities(measure_hand(hand.radiograph, hand.packed_masks, side))
    return Measured(f"{patient_name(number, seed)}_{side}", values, _tiles(hand) if number < _SHOWN else None)


def _tiles(hand: SimulatedHand) -> tuple[Picture, Picture]:
    """Return the radiograph and its overlay in a square tile; left hands are mirrored, so that the eye can compare."""
    grey = np.rint(hand.radiograph * 255).astype(np.uint8)
    pictures = np.repeat(grey[..., None], 3, 2), overlay(hand.radiograph, hand.packed_masks, names=False)
    mirror = slice(None, None, -1 if hand.side is Side.LEFT else 1)
    shape = np.array(grey.shape)
    height, width = np.maximum(np.rint(shape * (_TILE_PX / shape.max())), 1).astype(int)
    tiles = np.zeros((2, _TILE_PX, _TILE_PX, 3), np.uint8)
    for tile, picture in zip(tiles, pictures, strict=True):
        tile[:height, :width] = cv2.resize(picture[:, mirror], (width, height), interpolation=cv2.INTER_AREA)
    return tiles[0], tiles[1]


def _contact_sheet(tiles: Sequence[Picture]) -> Picture:
    """Lay tiles in rows of four."""
    rows = -(-len(tiles) // 4)
    filled = np.zeros((rows * 4, _TILE_PX, _TILE_PX, 3), np.uint8)
    filled[: len(tiles)] = tiles
    return filled.reshape(rows, 4, _TILE_PX, _TILE_PX, 3).swapaxes(1, 2).reshape(rows * _TILE_PX, 4 * _TILE_PX, 3)


def _write_hands(path: Path, hands: Sequence[Measured]) -> None:
    """Write one row a hand and one column a quantity and bone."""
    with write_csv(path) as file:
        writer = csv.writer(file)
        writer.writerow(["hand", *(":".join(filter(None, key)) for key in hands[0].values)])
        writer.writerows([hand.name, *map(_cell, hand.values.values())] for hand in hands)


def _write_comparison(path: Path, comparisons: Sequence[Comparison]) -> None:
    """Write one row a quantity, bone and statistic."""
    columns = "simulated,real,difference,ratio,tolerance,within,simulated_sd,real_sd,sd_ratio,sd_within"
    with write_csv(path) as file:
        writer = csv.writer(file)
        writer.writerow(["quantity", "bone", "statistic", *columns.split(",")])
        for comparison in comparisons:
            target = comparison.target
            value, spread = comparison.value, comparison.sd
            numbers = value, target.value, value - target.value, value / target.value, target.tolerance
            spreads = spread, target.sd, spread / target.sd
            statistic = "mean" if target.percentile is None else f"p{target.percentile}"
            means = *map(_cell, numbers), _word(comparison.is_within)
            deviations = *map(_cell, spreads), _word(comparison.is_spread_within)
            writer.writerow([*target.key, statistic, *means, *deviations])


def _cell(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.5g}"


def _word(judgement: bool | None) -> str:
    return {None: "", True: "yes", False: "no"}[judgement]
