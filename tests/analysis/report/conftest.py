"""A report on five hands, each with a fault that was planted, and a sixth that is right."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from handseg_bundle_common.analysis.collect import Analysis, analyse
from handseg_bundle_common.analysis.compare import pair_up
from handseg_bundle_common.analysis.report import write_report
from handseg_bundle_common.anatomy import CHANNEL
from handseg_bundle_common.formats.rle import SubmissionWriter

# A path whose folder and file together are a script.
HOSTILE = '<script>document.title="taken"</script>.png'
LUNATE, SCAPHOID, RADIUS, PISIFORM = (CHANNEL[name] for name in ("Lunate", "Scaphoid", "Radius", "Pisiform"))


@dataclass(frozen=True)
class Report:
    """What was analysed, and the page about it."""

    analysis: Analysis
    other: Analysis
    folder: Path
    page: Path


def moved(mask, down, right):
    matrix = np.float64([[1, 0, right], [0, 1, down]])
    return cv2.warpAffine(mask.astype(np.uint8), matrix, mask.shape[::-1], flags=cv2.INTER_NEAREST).astype(bool)


def shift_pisiform(masks):
    masks[PISIFORM] = moved(masks[PISIFORM], 3, -14)


def swap_carpals(masks):
    masks[[LUNATE, SCAPHOID]] = masks[[SCAPHOID, LUNATE]]


def pierce_radius(masks):
    row, column = np.argwhere(masks[RADIUS]).mean(axis=0).astype(int)
    masks[RADIUS, row - 6 : row + 6, column - 6 : column + 6] = False


def lose_little_finger(masks):
    masks[CHANNEL["finger-16"]] = False


def double_trapezoid(masks):
    trapezoid = CHANNEL["Trapezoid"]
    masks[trapezoid] |= moved(masks[trapezoid], 0, 60)


PLANTED = {
    "p1/shifted.png": shift_pisiform,
    "p1/swapped.png": swap_carpals,
    "p2/hole.png": pierce_radius,
    HOSTILE: lose_little_finger,
    "p3/doubled.png": double_trapezoid,
    "p3/right.png": lambda masks: None,
}


@pytest.fixture(scope="session")
def report(tmp_path_factory, items, hands) -> Report:
    folder = tmp_path_factory.mktemp("report")
    sources = [item for item in items if item["image_name"] in hands]
    with (
        SubmissionWriter(folder / "data/first/predictions.csv") as first,
        SubmissionWriter(folder / "data/second/predictions.csv") as second,
    ):
        for number, (name, plant) in enumerate(PLANTED.items()):
            item = sources[number % len(sources)]
            for key, path in (("image", Path("DCM", name)), ("label", Path("outputs_json", name).with_suffix(".json"))):
                target = folder / "data" / path
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(item[key], target)
            masks = hands[item["image_name"]].copy()
            second.write(name, masks)
            plant(masks)
            first.write(name, masks)
    first, second = (
        analyse(folder / "data" / name, folder / "data", folder / name, workers=1) for name in ("first", "second")
    )
    return Report(first, second, folder, write_report(first, folder / "first", pair_up(first, second), worst=2))
