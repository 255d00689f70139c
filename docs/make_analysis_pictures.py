"""Make the pictures of analysis and measurements in the documentation: `python docs/make_analysis_pictures.py`.

It needs Chromium (`apt-get install chromium`) for the pages.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handseg_bundle_common.analysis import Analysis, analyse, pair_up
from handseg_bundle_common.analysis.report import write_report
from handseg_bundle_common.anatomy import CHANNEL
from handseg_bundle_common.datasets import data_list
from handseg_bundle_common.formats.boostcamp import rasterise, read_annotations
from handseg_bundle_common.formats.radiograph import read_size
from handseg_bundle_common.formats.rle import SubmissionWriter
from handseg_bundle_common.measurements import Scale, measure_hand, measures_overlay
from handseg_bundle_common.simulation import SimulatedHands, write_hands

PICTURES = Path(__file__).parent / "pictures"

Masks = NDArray[np.bool_]

_SIZE, _SEED = 1024, 5
# Width and height of the browser's window.
_PAGE, _CASE = (1280, 1160), (1280, 900)
_WIDTH, _QUALITY = 1120, 84


def main() -> None:
    """Write the pictures."""
    _write_measures()
    with tempfile.TemporaryDirectory() as folder:
        _write_report_pictures(Path(folder))


def _write_measures() -> None:
    """Write `measures.jpg`: what is measured of a simulated hand, drawn over it."""
    hand = SimulatedHands(count=8, size=900, seed=29)[1]
    radiograph = hand["image"][0]
    measures = measure_hand(hand["label"][0].view(np.uint32), radiograph)
    _save(Image.fromarray(measures_overlay(radiograph, measures, Scale())), "measures.jpg")


def _write_report_pictures(folder: Path) -> None:
    """Write `report.jpg`, `report_case.jpg` and `overlap_zones.jpg`: the report on six hands, five with a fault."""
    data = folder / "data"
    write_hands(6, _SIZE, _SEED, data, workers=1)
    found, other = _analyses(folder, data)
    page = write_report(found, folder / "report", pair_up(found, other))
    for name, fragment, window in (("report", "", _PAGE), ("report_case", "#case-1", _CASE)):
        _save(_seen(f"{page.as_uri()}{fragment}", window, folder / f"{name}.png"), f"{name}.jpg")
    with Image.open(folder / "report/figures/overlap_zones.png") as zones:
        _save(zones.convert("RGB"), "overlap_zones.jpg")


def _analyses(folder: Path, data: Path) -> Iterator[Analysis]:
    """Yield what is found in predictions with faults and in others whose outlines are less exact."""
    for name, steps, plants in (("runs/first", 2, _PLANTED), ("runs/second", 3, ())):
        with SubmissionWriter(folder / name / "predictions.csv") as submission:
            for number, item in enumerate(data_list(data)):
                masks = rasterise(read_annotations(item["label"]), *read_size(item["image"]))
                masks = _roughened(masks, steps, np.random.default_rng(number))
                if number < len(plants):
                    plants[number](masks)
                submission.write(item["image_name"], masks)
        yield analyse(folder / name, data, folder / "analysis" / name, workers=1)


def _roughened(masks: Masks, steps: int, draw: np.random.Generator) -> Masks:
    """Return masks whose outlines are off by up to some px, each bone's by another number."""
    square, rough = np.ones((3, 3), np.uint8), masks.copy()
    for channel, mask in enumerate(masks.astype(np.uint8)):
        number = int(draw.integers(-steps, steps + 1))
        if number:
            rough[channel] = (cv2.dilate if number > 0 else cv2.erode)(mask, square, iterations=abs(number)).astype(
                bool
            )
    return rough


def _moved(mask: Masks, down: int, right: int) -> Masks:
    matrix = np.array([[1, 0, right], [0, 1, down]], np.float64)
    return cv2.warpAffine(mask.astype(np.uint8), matrix, mask.shape[::-1], flags=cv2.INTER_NEAREST).astype(bool)


def _shift_pisiform(masks: Masks) -> None:
    masks[CHANNEL["Pisiform"]] = _moved(masks[CHANNEL["Pisiform"]], 10, -30)


def _swap_carpals(masks: Masks) -> None:
    lunate, scaphoid = CHANNEL["Lunate"], CHANNEL["Scaphoid"]
    masks[[lunate, scaphoid]] = masks[[scaphoid, lunate]]


def _pierce_radius(masks: Masks) -> None:
    row, column = np.argwhere(masks[CHANNEL["Radius"]]).mean(axis=0).astype(int)
    masks[CHANNEL["Radius"], row - 11 : row + 11, column - 11 : column + 11] = False


def _lose_little_finger(masks: Masks) -> None:
    masks[CHANNEL["finger-16"]] = False


def _double_trapezoid(masks: Masks) -> None:
    masks[CHANNEL["Trapezoid"]] |= _moved(masks[CHANNEL["Trapezoid"]], 0, 130)


_PLANTED: tuple[Callable[[Masks], None], ...] = (
    _shift_pisiform,
    _swap_carpals,
    _pierce_radius,
    _lose_little_finger,
    _double_trapezoid,
)


def _seen(url: str, window: tuple[int, int], path: Path) -> Image.Image:
    """Return what a browser shows of a page."""
    browser = shutil.which("chromium")
    if browser is None:
        raise SystemExit("Chromium is missing (apt-get install chromium)")
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--window-size={window[0]},{window[1]}",
    ]
    subprocess.run([browser, *options, f"--screenshot={path}", url], check=True, capture_output=True)  # noqa: S603
    with Image.open(path) as picture:
        return picture.convert("RGB")


def _save(picture: Image.Image, name: str) -> None:
    """Write a picture for the documentation, no wider than the pages need."""
    height = round(picture.height * _WIDTH / picture.width)
    picture.resize((_WIDTH, height), Image.Resampling.LANCZOS).save(
        PICTURES / name, "JPEG", quality=_QUALITY, optimize=True
    )


if __name__ == "__main__":
    main()
