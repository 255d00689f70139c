"""All scores of one pair of masks: `case_scores` against SciPy on whole pictures, bone by bone.

    python benchmarks/metrics.py [--size 2048] [--rounds 9]

The reference is the first hand of data/sample enlarged to SIZE x SIZE px; the prediction is the same hand bent by waves
of a few px, with holes and specks, so that every score has something to find. One thread; both ways must give the same
numbers.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from tqdm import tqdm

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.datasets import data_list
from handseg_bundle_common.formats.boostcamp import rasterise_packed, read_annotations
from handseg_bundle_common.formats.radiograph import read_stored
from handseg_bundle_common.masks import Packed, unpack_masks
from handseg_bundle_common.metrics import COMPETITION_EPS, CaseScores, case_scores
from handseg_bundle_common.transforms.warp import warp_packed_masks

SAMPLE = Path(__file__).parent.parent / "data" / "sample"

Mask = NDArray[np.bool_]


def example_pair(size: int) -> tuple[Packed, Packed]:
    """Return packed masks of a prediction and its reference, (size, size)."""
    item = data_list(SAMPLE)[0]
    scale = size / max(read_stored(item["image"]).size)
    annotations = {bone: [ring * scale for ring in rings] for bone, rings in read_annotations(item["label"]).items()}
    reference = rasterise_packed(annotations, size, size)
    rows, columns = np.mgrid[:size, :size].astype(np.float32)
    waves = np.sin(rows / 40) * 3, np.cos(columns / 60) * 2
    prediction = warp_packed_masks(reference, np.stack((columns + waves[0], rows + waves[1])))
    return _speckled(prediction), reference


def _speckled(packed: Packed, discs_per_bone: int = 4) -> Packed:
    """Turn over small discs at each bone: holes within it, specks beside it."""
    draw = np.random.default_rng(0)
    turned = packed.view(np.int32).copy()
    for bit in 1 << np.arange(NUM_BONES, dtype=np.uint32):
        rows, columns = np.nonzero(packed & bit)
        for place in draw.integers(len(rows), size=discs_per_bone):
            disc = np.zeros(packed.shape, np.uint8)
            centre = columns[place] + draw.integers(-40, 40), rows[place] + draw.integers(-40, 40)
            cv2.circle(disc, centre, int(draw.integers(1, 6)), 1, cv2.FILLED)
            turned ^= disc * np.int32(bit)
    return turned.view(np.uint32)


def plain_scores(prediction: Mask, reference: Mask) -> dict[str, float]:
    """Return the scores of one bone, (H, W), by SciPy on the whole picture."""
    square = np.ones((3, 3), bool)
    sizes = prediction.sum(), reference.sum()
    band = ndimage.binary_dilation(reference, square) & ~ndimage.binary_erosion(reference, square)
    surfaces = [mask & ~ndimage.binary_erosion(mask) for mask in (prediction, reference)]
    maps = [ndimage.distance_transform_edt(~surface) for surface in surfaces]
    there, back = maps[1][surfaces[0]], maps[0][surfaces[1]]
    both = np.concatenate((there, back))
    shared = (prediction & reference).sum()
    return {
        "predicted_px": sizes[0],
        "reference_px": sizes[1],
        "dice": (2 * shared + COMPETITION_EPS) / (sum(sizes) + COMPETITION_EPS),
        "boundary_error_rate": (prediction != reference)[band].mean(),
        **{f"nsd_{tolerance}px": (both <= tolerance).mean() for tolerance in (1, 2, 4)},
        "hd95_px": max(np.percentile(there, 95), np.percentile(back, 95)),
        "mean_surface_distance_px": both.mean(),
        **plain_shape_errors(prediction, reference),
    }


def plain_shape_errors(prediction: Mask, reference: Mask) -> dict[str, float]:
    """Return the errors of shape of one bone, (H, W), by SciPy on the whole picture."""
    components, expected = (_areas(ndimage.label(mask, np.ones((3, 3)))[0]) for mask in (prediction, reference))
    holes, holes_of_reference = (ndimage.binary_fill_holes(mask) & ~mask for mask in (prediction, reference))
    labels, _ = ndimage.label(holes)
    labels[np.isin(labels, labels[holes_of_reference])] = 0
    extra_holes = _areas(labels)
    return {
        "false_positive_px": (prediction & ~reference).sum(),
        "false_negative_px": (reference & ~prediction).sum(),
        "relative_size_error": prediction.sum() / reference.sum() - 1,
        "extra_components": max(len(components) - len(expected), 0),
        "fragment_share": 1 - max(components) / sum(components),
        "extra_holes": len(extra_holes),
        "extra_hole_px": sum(extra_holes),
    }


def _areas(labels: NDArray[np.signedinteger[Any]]) -> list[int]:
    """Return the pixels of every component."""
    return [area for area in np.bincount(labels.ravel())[1:].tolist() if area]


def compare(fast: CaseScores, plain: list[dict[str, float]]) -> None:
    """Check that both ways give the same numbers."""
    for name in plain[0]:
        if not np.allclose(getattr(fast, name), [bone[name] for bone in plain], rtol=1e-12, atol=1e-12):
            raise SystemExit(f"the ways do not give the same {name}")


def main() -> None:
    """Compute all scores both ways and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    packed = example_pair(arguments.size)
    masks = unpack_masks(packed[0]), unpack_masks(packed[1])
    start = time.perf_counter()
    plain = [plain_scores(*bone) for bone in tqdm(zip(*masks, strict=True), "SciPy", NUM_BONES, disable=None)]
    seconds = {"SciPy on whole pictures, bone by bone": time.perf_counter() - start}
    ways = {
        "case_scores of masks": partial(case_scores, *masks),
        "case_scores of packed masks": partial(case_scores, *packed),
    }
    for name, way in ways.items():
        compare(way(), plain)
        seconds[name] = median_seconds(way, arguments.rounds)
    print_table(seconds)


def median_seconds(run: Callable[[], object], rounds: int) -> float:
    """Return the median time of a run on the clock."""
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def print_table(seconds: dict[str, float]) -> None:
    """Print every way with its speed against the first."""
    slowest = next(iter(seconds.values()))
    print("| way | seconds | speed |\n|---|---|---|")
    for name, value in seconds.items():
        print(f"| {name} | {value:.3f} | {slowest / value:.0f} |")


if __name__ == "__main__":
    main()
