"""Windows on bone against a fixed grid, with one network in one process: Dice, windows and time.

    python benchmarks/windows.py DATA --weights runs/windows/model.pt [--bundle unetplusplus] [--count 40]

DATA has the layout of the data set and holds hands that the training has not seen; the weights have been trained on
windows, such as by the recipe sliding_window.json. Both ways see every picture, one after the other, in turns. The
intervals are those of 95 % over patients.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.datasets import data_list
from handseg_bundle_common.formats.boostcamp import rasterise_packed, read_annotations
from handseg_bundle_common.inference import Predictor, load_predictor
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.metrics import bootstrap_difference
from handseg_bundle_common.windows import BoneWindowInferer, WindowInferer

Inferer = WindowInferer | BoneWindowInferer


@dataclass(frozen=True)
class Case:
    """One picture seen by one of the ways: Dice (29,), windows and seconds."""

    dice: NDArray[np.float64]
    windows: float
    seconds: float


def dice_of(prediction: Packed, reference: Packed) -> NDArray[np.float64]:
    """Return the competition's Dice (29,) of packed masks."""
    scores = np.empty(NUM_BONES)
    for channel in range(NUM_BONES):
        bit = np.uint32(1 << channel)
        found, expected = (prediction & bit) != 0, (reference & bit) != 0
        scores[channel] = (2 * (found & expected).sum() + 1e-4) / (found.sum() + expected.sum() + 1e-4)
    return scores


def seen_by(predictor: Predictor, inferer: Inferer, item: dict[str, Any]) -> Case:
    """Segment a picture with an inferer and score it."""
    windows = 0

    def counted(inputs: torch.Tensor, network: torch.nn.Module) -> torch.Tensor:
        def count(images: torch.Tensor) -> torch.Tensor:
            nonlocal windows
            windows += len(images)
            logits: torch.Tensor = network(images)
            return logits

        return inferer(inputs, count)

    start = time.perf_counter()
    masks = replace(predictor, inferer=counted)(item["image"])
    seconds = time.perf_counter() - start
    reference = rasterise_packed(read_annotations(item["label"]), *masks.shape)
    # A glance has a fraction of a window's pixels, and counts as much.
    equal = inferer.evaluations if isinstance(inferer, BoneWindowInferer) else windows
    return Case(dice_of(masks, reference), equal, seconds)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="folder in the layout of the data set")
    parser.add_argument("--weights", required=True, help="weights that were trained on windows")
    parser.add_argument("--bundle", default="unetplusplus")
    parser.add_argument("--count", type=int, default=40, help="pictures at most")
    parser.add_argument("--margin", type=float, default=None, help="that of BoneWindowInferer")
    arguments = parser.parse_args()
    predictor = load_predictor(arguments.bundle, weights=arguments.weights)
    origin = predictor.origin
    settings = {name: origin[name] for name in ("image_size", "window_size", "overlap", "flip")}
    margin = {} if arguments.margin is None else {"margin": arguments.margin}
    ways: dict[str, Inferer] = {
        "fixed grid": WindowInferer(**settings),
        "on bone": BoneWindowInferer(**settings, **margin),
    }
    items = data_list(arguments.data)[: arguments.count]
    cases: dict[str, list[Case]] = {way: [] for way in ways}
    for item in tqdm(items, unit="image"):
        for way, inferer in ways.items():
            cases[way].append(seen_by(predictor, inferer, item))
    print(f"{len(items)} pictures, {arguments.bundle}, {settings}\n")
    print("| windows | mean Dice | evaluations an image | ms an image |\n|---|---|---|---|")
    for way, of_way in cases.items():
        mean = np.mean([case.dice.mean() for case in of_way])
        windows = statistics.mean(case.windows for case in of_way)
        milliseconds = 1000 * statistics.median(case.seconds for case in of_way)
        print(f"| {way} | {mean:.4f} | {windows:.2f} | {milliseconds:.0f} |")
    grid, bone = (np.stack([case.dice for case in of_way]) for of_way in cases.values())
    difference = bootstrap_difference(bone, grid, [item["patient"] for item in items])
    print(f"\nDifference of mean Dice: {difference}")


if __name__ == "__main__":
    main()
