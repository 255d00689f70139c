"""Analysis of one image in one process: `analysis` against a plain script on full boolean arrays.

    python benchmarks/analyze.py [--size 2048] [--rounds 5]

Both begin with run-length codes and polygons in memory. The plain script does a part of the work: confusion matrix,
Dice and boundary error rate of masks (29, SIZE, SIZE), label by label and pair by pair. The analysis adds surface
distances, errors of shape, Dice of overlaps, and faults. What both have is the same. One thread each, run in turns, in
the processor's time; the ratio counts.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch
from metrics import example_pair
from numpy.typing import NDArray
from scipy import ndimage
from tqdm import tqdm

from handseg_bundle_common.analysis import Case, analyse_case
from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.formats.boostcamp import masks_to_annotations, rasterise, rasterise_packed
from handseg_bundle_common.formats.rle import decode_packed, decode_rle, encode_masks
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.metrics import COMPETITION_EPS

Masks = NDArray[np.bool_]


def plain_analysis(prediction: Masks, reference: Masks) -> dict[str, NDArray[np.float64]]:
    """Return confusion counts (30, 30), Dice (29,) and boundary error rate (29,) of masks (29, H, W)."""
    return {
        "confusion": plain_confusion(prediction, reference),
        "dice": np.array([plain_dice(*bone) for bone in zip(prediction, reference, strict=True)]),
        "boundary_error_rate": np.array(
            [plain_boundary_error_rate(*bone) for bone in zip(prediction, reference, strict=True)]
        ),
    }


def plain_confusion(prediction: Masks, reference: Masks) -> NDArray[np.float64]:
    """Return the counts of `metrics.multi_label_confusion`, pair of labels by pair of labels."""
    predicted, expected = _with_background(prediction), _with_background(reference)
    missed, surplus = expected & ~predicted, predicted & ~expected
    no_missed, no_surplus = ~missed.any(axis=0), ~surplus.any(axis=0)
    counts = np.zeros((len(expected), len(expected)))
    for row in range(len(expected)):
        for column in range(len(expected)):
            if row == column:
                counts[row, column] += (expected[row] & predicted[row]).sum()
            taken_for = surplus[column] | (no_surplus if column == NUM_BONES else False)
            counts[row, column] += (missed[row] & taken_for).sum()
            counts[row, column] += (expected[row] & no_missed & surplus[column]).sum()
    return counts


def _with_background(masks: Masks) -> Masks:
    return np.concatenate((masks, ~masks.any(axis=0, keepdims=True)))


def plain_dice(prediction: Masks, reference: Masks) -> float:
    """Return the Dice of one bone, (H, W)."""
    shared = (prediction & reference).sum()
    return float((2 * shared + COMPETITION_EPS) / (prediction.sum() + reference.sum() + COMPETITION_EPS))


def plain_boundary_error_rate(prediction: Masks, reference: Masks) -> float:
    """Return the boundary error rate of one bone, (H, W)."""
    square = np.ones((3, 3), bool)
    band = ndimage.binary_dilation(reference, square) & ~ndimage.binary_erosion(reference, square)
    return float((prediction != reference)[band].mean())


def fast_analysis(prediction: Packed, reference: Packed) -> Case:
    """Return all that `handseg analyze` finds in packed masks (H, W)."""
    return analyse_case("hand.png", "patient", prediction, reference, None)


def compare(case: Case, plain: dict[str, NDArray[np.float64]]) -> None:
    """Check that both give the same numbers."""
    found = {
        "confusion": case.confusion.counts,
        "dice": case.scores.dice,
        "boundary_error_rate": case.scores.boundary_error_rate,
    }
    for name, values in plain.items():
        if not np.allclose(found[name], values, rtol=1e-12, atol=1e-12):
            raise SystemExit(f"the ways do not give the same {name}")


def seconds_of(run: Callable[[], object]) -> float:
    """Return the processor's time of a run, which other processes do not lengthen as they do that on the clock."""
    start = time.process_time()
    run()
    return time.process_time() - start


def main() -> None:
    """Analyse both ways in turns and print the median times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    size = arguments.size, arguments.size
    prediction, reference = example_pair(arguments.size)
    codes, annotations = encode_masks(prediction), masks_to_annotations(reference)

    def plain() -> dict[str, NDArray[np.float64]]:
        return plain_analysis(np.stack([decode_rle(code, *size) for code in codes]), rasterise(annotations, *size))

    def fast() -> Case:
        return fast_analysis(decode_packed(codes, *size), rasterise_packed(annotations, *size))

    compare(fast(), plain())
    times = [(seconds_of(plain), seconds_of(fast)) for _ in tqdm(range(arguments.rounds), "rounds", disable=None)]
    print_ratio(*map(statistics.median, zip(*times, strict=True)))


def print_ratio(plain: float, fast: float) -> None:
    """Print what each takes, and how many times as fast the analysis is."""
    print("| way | seconds an image | speed |\n|---|---|---|")
    print(f"| plain script | {plain:.2f} | 1 |\n| analysis | {fast:.2f} | {plain / fast:.0f} |")


if __name__ == "__main__":
    main()
