"""Simulated hands as files in the layout of the data set."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from os import PathLike
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from handseg_bundle_common.anatomy import Side
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import write_atomically
from handseg_bundle_common.formats.boostcamp import masks_to_annotations, write_annotations
from handseg_bundle_common.simulation.assets import load_assets
from handseg_bundle_common.simulation.hand_model import HandModel
from handseg_bundle_common.simulation.sampler import SimulatedHand, simulate_hand

_model: HandModel | None = None


def write_hands(  # noqa: PLR0917 - the command line passes them by name
    count: int,
    size: int | tuple[int, int],
    seed: int,
    output: str | PathLike[str],
    assets: Path | None = None,
    workers: int = 1,
) -> list[Path]:
    """Write radiographs with polygons, two hands a patient.

    Writes `DCM/<patient>/<image>.png` (8-bit grey) and `outputs_json/<patient>/<image>.json`. Pairs that are complete
    are kept, so that an interrupted run continues.

    Args:
        count: number of hands.
        size: height and width in pixels, or one number for a square.
        seed: seed of the first patient.
        output: folder to write to.
        assets: bone cache, by default the user's; built when missing.
        workers: processes; 1 works in this one.

    Returns:
        The paths of all radiographs, in order.

    Raises:
        HandsegInputError: the count is no positive number, or the bones are not there.
    """
    if count < 1:
        raise HandsegInputError("count", f"{count} hands cannot be written", "ask for at least 1")
    jobs = [(seed + number // 2, list(Side)[number % 2], size, Path(output)) for number in range(count)]
    pictures = [_paths(patient, side, folder)[0] for patient, side, _, folder in jobs]
    missing = [job for job in jobs if not all(path.exists() for path in _paths(job[0], job[1], job[3]))]
    load_assets(assets)
    if workers <= 1:
        _initialise(assets)
        for job in tqdm(missing, desc="simulating", disable=None):
            _write_hand(job)
        return pictures
    # A forked child would inherit the locks of the parent's threads.
    with ProcessPoolExecutor(workers, get_context("spawn"), _initialise, (assets,)) as pool:
        for _ in tqdm(pool.map(_write_hand, missing), total=len(missing), desc="simulating", disable=None):
            pass
    return pictures


def _initialise(assets: Path | None) -> None:
    """Read the bones once in every process."""
    global _model  # noqa: PLW0603 - a pool hands nothing but globals from its initialiser to its jobs
    _model = load_assets(assets)


def _paths(patient: int, side: Side, output: Path) -> tuple[Path, Path]:
    name, image = f"sim{patient:04d}", f"sim{patient:04d}_{side}"
    return output / "DCM" / name / f"{image}.png", output / "outputs_json" / name / f"{image}.json"


def _write_hand(job: tuple[int, Side, int | tuple[int, int], Path]) -> None:
    patient, side, size, output = job
    assert _model is not None  # noqa: S101 - the initialiser ran
    hand = simulate_hand(patient, size, side, _model)
    picture, polygons = _paths(patient, side, output)
    _write_picture(hand, picture)
    write_annotations(polygons, masks_to_annotations(hand.packed_masks))


def _write_picture(hand: SimulatedHand, path: Path) -> None:
    grey = np.round(hand.radiograph * 255).astype(np.uint8)
    with write_atomically(path) as temporary:
        cv2.imwrite(str(temporary), grey)
