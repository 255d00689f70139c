"""Windows of 1024 px from 2048 px radiographs: handseg's loading against decoding and filling everything.

    python benchmarks/loading.py [FOLDER] [--windows 24]

FOLDER holds radiographs and polygons in the layout of the data set; eight hands are simulated when it is not given.
All ways cut the same windows in one process, one thread, in turns. Before anything is timed, their windows are
compared. The last table tells where the time of a window goes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from tqdm import tqdm

from handseg_bundle_common.datasets import Item, data_list
from handseg_bundle_common.formats.boostcamp import rasterise, read_annotations
from handseg_bundle_common.formats.radiograph import read_radiograph, read_stored
from handseg_bundle_common.formats.tiles import TileCache, write_tiles
from handseg_bundle_common.masks import unpack_masks
from handseg_bundle_common.transforms import RandWindowd, UnpackBoneMasksd, random_appearance, sampling_grid
from handseg_bundle_common.transforms.load import contrast_limits, stored_contrast_limits, stretch
from handseg_bundle_common.transforms.sources import PolygonMasks, WholeRadiograph
from handseg_bundle_common.transforms.window import window_of_masks, window_of_radiograph

IMAGE_SIZE, WINDOW_SIZE = 2048, 1024

Window = tuple[np.ndarray, np.ndarray]


def plain_window(transform: RandWindowd, item: Item, dtype: type = np.float32) -> Window:
    """Decode, stretch, fill twenty-nine full masks, warp all of them, crop; MONAI's transforms hold masks as floats."""
    image = read_radiograph(item["image"])[0]
    annotations = read_annotations(item["label"])
    masks = rasterise(annotations, *image.shape).astype(dtype)
    parameters = transform.draw(image.shape, PolygonMasks(annotations, image.shape))
    grid = sampling_grid(parameters, image.shape, IMAGE_SIZE / max(image.shape), IMAGE_SIZE)
    image = stretch(image, contrast_limits(image))
    start = (IMAGE_SIZE - WINDOW_SIZE) // 2
    crop = slice(start, start + WINDOW_SIZE), slice(start, start + WINDOW_SIZE)
    warped = [cv2.remap(mask, *grid, cv2.INTER_NEAREST) for mask in masks]
    return cv2.remap(image, *grid, cv2.INTER_LINEAR)[crop], np.stack([mask[crop] for mask in warped]) > 0


def handseg_window(transform: RandWindowd, item: Item) -> Window:
    """Cut a window as the training pipelines do, the masks unpacked to one channel a bone."""
    out = UnpackBoneMasksd("label")(transform({"image": item["image"], "label": item["label"]}))
    return out["image"].numpy()[0], out["label"].numpy().view(bool)


def all_ways(items: list[Item], cache_dir: Path, **settings: Any) -> dict[str, Callable[[int], Window]]:
    """Return every way as a function from the number of a window to the window."""
    size = {"image_size": IMAGE_SIZE, "window_size": WINDOW_SIZE, "elastic_range": 0.0}

    def way(cut: Callable[[RandWindowd, Item], Window], cache_dir: Path | None = None) -> Callable[[int], Window]:
        transform = RandWindowd(**size, **settings, cache_dir=cache_dir)
        return lambda number: cut(transform.set_random_state(number), items[number % len(items)])

    return {
        "plain: everything decoded, filled and warped, masks as float32": way(plain_window),
        "the same with masks as bytes": way(partial(plain_window, dtype=np.uint8)),
        "handseg": way(handseg_window),
        "handseg with cache_dir": way(handseg_window, cache_dir),
    }


def compare(items: list[Item], ways: dict[str, Callable[[int], Window]]) -> None:
    """Check that all ways give the same windows, but for pixels that lie on the border of two."""
    for number in range(min(4, len(items))):
        (image, masks), *others = (way(number) for way in ways.values())
        for other_image, other_masks in others:
            if np.abs(image - other_image).mean() > 1e-3 or (masks != other_masks).mean() > 1e-4:
                raise SystemExit("the ways do not give the same windows")


def time_in_turns(ways: dict[str, Callable[[int], object]], count: int) -> dict[str, float]:
    """Return the median milliseconds of each way; the ways take turns, so that noise meets all of them alike."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in tqdm(range(count), "timing", disable=None):
        for name, way in ways.items():
            start = time.perf_counter()
            way(number)
            taken[name].append((time.perf_counter() - start) * 1000)
    return {name: float(np.median(values)) for name, values in taken.items()}


def steps(items: list[Item], cache: TileCache, seed: int) -> dict[str, Callable[[int], object]]:
    """Return the parts of one window's way, each as a function of its own."""
    transform = RandWindowd(image_size=IMAGE_SIZE, window_size=WINDOW_SIZE)
    item = items[0]
    stored = read_stored(item["image"])
    whole, tiled = WholeRadiograph(stored), cache.radiograph(item["image"])
    annotations = read_annotations(item["label"])
    masks = PolygonMasks(annotations, stored.size)
    parameters = transform.set_random_state(seed).draw(stored.size, masks)
    grid = sampling_grid(parameters, stored.size, 1.0, WINDOW_SIZE)
    packed = window_of_masks(masks, stored.size, grid)
    window = torch.from_numpy(window_of_radiograph(whole, grid)[None])
    appearance = random_appearance(1.0)

    def vary(_: int) -> None:
        varied = {"image": window}
        for step in appearance:
            varied = step(varied)

    return {
        "decode the whole picture": lambda _: read_stored(item["image"]),
        "percentiles of its grey levels": lambda _: stored_contrast_limits(stored),
        "open its tiles instead of both": lambda _: cache.radiograph(item["image"]),
        "grid of the warp": lambda _: sampling_grid(parameters, stored.size, 1.0, WINDOW_SIZE),
        "stretch and warp, from the picture": lambda _: window_of_radiograph(whole, grid),
        "the same from tiles": lambda _: window_of_radiograph(tiled, grid),
        "read the polygons": lambda _: read_annotations(item["label"]),
        "fill and warp the packed masks": lambda _: window_of_masks(masks, stored.size, grid),
        "unpack 29 masks": lambda _: unpack_masks(packed),
        "cut the tiles, once": lambda _: write_tiles(cache.folder.parent / "again.tiles", stored, whole.contrast),
        "vary the appearance (MONAI), not part of the above": vary,
    }


def main() -> None:
    """Time the ways and their parts and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--windows", type=int, default=32)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or _simulated(Path(scratch, "hands"))
        items = data_list(folder)
        cache_dir = Path(scratch, "tiles")
        cache = TileCache(cache_dir, stored_contrast_limits)
        for item in tqdm(items, "cutting tiles", disable=None):
            cache.radiograph(item["image"])
        # Where a window shrinks the radiograph, handseg averages areas and the plain way aliases.
        compare(items, all_ways(items, cache_dir, zoom_range=(1.0, 1.3)))
        ways = all_ways(items, cache_dir)
        _print_ways(time_in_turns(ways, arguments.windows))
        _print_steps(time_in_turns(steps(items, cache, 3), arguments.windows))
        _print_sizes(items, cache_dir)


def _simulated(folder: Path) -> Path:
    from handseg_bundle_common.simulation import write_hands  # noqa: PLC0415  needs the extra "simulate"

    write_hands(8, IMAGE_SIZE, 3, folder)
    return folder


def _print_ways(milliseconds: dict[str, float]) -> None:
    plain = next(iter(milliseconds.values()))
    print("| way | ms a window | windows a second | speed |\n|---|---|---|---|")
    for name, value in milliseconds.items():
        print(f"| {name} | {value:.1f} | {1000 / value:.1f} | {plain / value:.1f} |")


def _print_steps(milliseconds: dict[str, float]) -> None:
    print("\n| step | ms |\n|---|---|")
    for name, value in milliseconds.items():
        print(f"| {name} | {value:.1f} |")


def _print_sizes(items: list[Item], cache_dir: Path) -> None:
    tiles = sum(path.stat().st_size for path in cache_dir.iterdir()) / len(items)
    polygons = sum(Path(item["label"]).stat().st_size for item in items) / len(items)
    print(f"\nTiles of a radiograph {tiles / 1e6:.2f} MB, its polygons {polygons / 1e6:.2f} MB, so that 800 take")
    print(
        f"{800 * (tiles + polygons) / 1e9:.2f} GB; one window of 29 masks as bytes {29 * WINDOW_SIZE**2 / 1e6:.0f} MB."
    )


if __name__ == "__main__":
    main()
