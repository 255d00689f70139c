"""What a prediction costs against image side, number of images and number of members, as figures.

    python benchmarks/scaling.py [--bundle effisegnet] [--sides 512,1024,2048,3072,4096] [--images 24] [--publish]

Simulated hands, one thread, processor time, which other programs lengthen less. Peak memory is that of the process
while it works, libraries included. Figures go into runs/scaling; with `--publish` into docs/pictures/bench.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

# Libraries read these when they are imported.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")

import cv2
import torch
from machine import machine

from handseg_bundle_common.charts import BLUE, INK, VERMILION, Chart, new_figure, plain, save_chart
from handseg_bundle_common.ensemble.network import EnsembleNetwork, load_ensemble
from handseg_bundle_common.formats.rle import encode_masks
from handseg_bundle_common.inference import Predictor, Segmenter, SegmenterSettings, find_sources, load_predictor
from handseg_bundle_common.inference.cohort import Cohort
from handseg_bundle_common.networks.graph import noise_images

PUBLISHED = Path(__file__).parents[1] / "docs" / "pictures" / "bench"
MEMBERS = ("effisegnet", "segformer", "unetplusplus", "swin_unetr")
_CANVAS, _IMAGE_SIDE = 320, 1024

Result = TypeVar("Result")


@dataclass(frozen=True)
class Cost:
    """What one amount of work cost: `amount` of it, processor seconds, and the peak memory of the process in GB."""

    amount: int
    seconds: float
    gigabytes: float


def measured(work: Callable[[], Result]) -> tuple[Result, float, float]:
    """Return a result, the processor seconds that it took and the peak memory meanwhile in GB, which Linux tells."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    start = time.process_time()
    result = work()
    seconds = time.process_time() - start
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024 / 1e9
    return result, seconds, peak


def by_image_side(predictor: Predictor, sides: Sequence[int], folder: Path, rounds: int) -> list[Cost]:
    """Predict a hand of each side, from the file to run-length codes, as often as there are rounds."""
    pictures = {side: _hands(folder / str(side), 1, side)[0] for side in sides}
    found = []
    for side, path in pictures.items():

        def work(path: Path = path) -> None:
            encode_masks(predictor.predict(path).masks)

        work()
        runs = [measured(work)[1:] for _ in range(rounds)]
        found.append(Cost(side, statistics.median(run[0] for run in runs), max(run[1] for run in runs)))
    return found


def by_number(bundle: str, count: int, folder: Path) -> list[Cost]:
    """Predict so many images in one run, and tell the cost of all so far as each of them is done."""
    paths = _hands(folder / "cohort", count, _IMAGE_SIDE)
    cohort = Cohort(folder / "predictions", Segmenter(SegmenterSettings(bundle, "cpu")), ["rle"])
    steps = iter(cohort.run(find_sources([paths[0].parents[1]], keep_folders=False)))
    found, total = [], 0.0
    for number in range(1, count + 1):
        _, seconds, gigabytes = measured(lambda: next(steps))
        total += seconds
        found.append(Cost(number, total, gigabytes))
    return found


def by_members(rounds: int) -> list[Cost]:
    """Give ensembles of one member more each time the same image, in turns; memory is that of a process of its own."""
    ensembles = {count: ensemble_of(count) for count in range(1, len(MEMBERS) + 1)}
    seconds: dict[int, list[float]] = {count: [] for count in ensembles}
    for _ in range(rounds + 1):
        for count, predict in ensembles.items():
            seconds[count].append(measured(predict)[1])
    return [Cost(count, statistics.median(of[1:]), _memory_of_members(count)) for count, of in seconds.items()]


def ensemble_of(count: int) -> Callable[[], torch.Tensor]:
    """Return what gives the logits of an ensemble of the first members."""
    image = noise_images(1, _CANVAS, _CANVAS)
    members = [{"name": name, "bundle": name, "weights": "models/model.pt"} for name in MEMBERS[:count]]
    network = load_ensemble(EnsembleNetwork(members, _CANVAS)).eval()

    def predict() -> torch.Tensor:
        with torch.inference_mode():
            logits: torch.Tensor = network(image)
        return logits

    return predict


def _memory_of_members(count: int) -> float:
    command = [sys.executable, __file__, "--memory", str(count)]
    told = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return float(told.stdout)


def _hands(folder: Path, count: int, side: int) -> list[Path]:
    from handseg_bundle_common.simulation import write_hands  # noqa: PLC0415  needs the extra "simulate"

    write_hands(count, side, 4, folder, workers=1)
    return sorted(folder.glob("DCM/*/*.png"))


def chart(name: str, title: str, amount: str, caption: str, costs: Sequence[Cost]) -> Chart:
    """Draw processor seconds and peak memory beside each other, both from 0."""
    figure = new_figure(9, 3.6)
    amounts = [cost.amount for cost in costs]
    panels = figure.subplots(1, 2)
    sides = [("processor seconds", BLUE, [cost.seconds for cost in costs])]
    sides.append(("peak memory of the process, GB", VERMILION, [cost.gigabytes for cost in costs]))
    for axes, (label, colour, values) in zip(panels, sides, strict=True):
        axes.plot(amounts, values, "o-", color=colour, markersize=4, linewidth=1.6)
        axes.set_xlabel(amount, color=INK)
        axes.set_ylabel(label, color=INK)
        axes.set_ylim(0, 1.15 * max(values))
        axes.set_xlim(0, 1.05 * max(amounts))
        if len(amounts) <= 6:
            axes.set_xticks(amounts)
        axes.grid(alpha=0.3, linewidth=0.5)
        plain(axes)
    return Chart(name, title, caption, figure)


def table(amount: str, costs: Sequence[Cost]) -> str:
    """Return costs as a table in Markdown."""
    lines = [f"| {amount} | processor seconds | peak memory of the process, GB |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {cost.amount} | {cost.seconds:.2f} | {cost.gigabytes:.2f} |" for cost in costs)])


def main() -> None:
    """Measure, write the figures and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", default="effisegnet")
    parser.add_argument("--sides", default="512,1024,2048,3072,4096")
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--publish", action="store_true")
    parser.add_argument("--memory", type=int, metavar="MEMBERS", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    if arguments.memory:
        print(measured(ensemble_of(arguments.memory))[2])
        return
    sides = [int(side) for side in arguments.sides.split(",")]
    output = PUBLISHED if arguments.publish else Path("runs", "scaling")
    with tempfile.TemporaryDirectory() as folder:
        of_number = by_number(arguments.bundle, arguments.images, Path(folder))
        predictor = load_predictor(arguments.bundle, device="cpu")
        of_side = by_image_side(predictor, sides, Path(folder), arguments.rounds)
    of_members = by_members(arguments.rounds)
    charts = [
        chart("image_side", "Image side", "image side, px", "Cost of one image against its side.", of_side),
        chart("images", "Number of images", "images", "Cost of one run against its images.", of_number),
        chart("members", "Members", "members of the ensemble", "Cost of an image against members.", of_members),
    ]
    some = of_number[:: max(1, len(of_number) // 6)]
    print(f"{arguments.bundle}, one thread; {machine()}")
    for drawn, amount, costs in zip(
        charts, ("image side, px", "images", "members"), (of_side, some, of_members), strict=True
    ):
        print(f"\n{save_chart(output, drawn)}\n\n{table(amount, costs)}")


if __name__ == "__main__":
    main()
