"""Simulated hands as files in the layout of the data set."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from os import PathLike
from pathlib import Path
from typing import Any

import cv2
from tqdm import tqdm

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import make_folder, read_json, write_atomically
from handseg_bundle_common.formats.boostcamp import masks_to_annotations, write_annotations
from handseg_bundle_common.formats.radiograph import write_radiograph
from handseg_bundle_common.simulation.assets import load_assets
from handseg_bundle_common.simulation.hand_model import HandModel
from handseg_bundle_common.simulation.presets import preset as settings_of
from handseg_bundle_common.simulation.sampler import check_request, hand_of, patient_name, simulate_hand
from handseg_bundle_common.simulation.settings import SIMULATOR_VERSION

SETTINGS = "simulation.json"

# Readers tell dark bones from bright ones in pictures whose shorter side has at least this many pixels.
_INVERTIBLE = 128

_model: HandModel | None = None


@dataclass(frozen=True)
class HandSet:
    """Which hands stand in a folder.

    Attributes:
        output: the folder.
        size: longer side of the radiographs in pixels.
        seed: names the set of patients; sets of different seeds share none.
        preset: name of the settings.
    """

    output: Path
    size: int
    seed: int
    preset: str

    def paths(self, number: int) -> tuple[Path, Path]:
        """Return the files of hand `number`: radiograph and polygons."""
        _, side = hand_of(self.seed, number)
        name = patient_name(number, self.seed)
        folders = self.output / "DCM" / name, self.output / "outputs_json" / name
        return folders[0] / f"{name}_{side}.png", folders[1] / f"{name}_{side}.json"

    def is_written(self, number: int) -> bool:
        """Return whether both files of hand `number` are there and hold something."""
        return all(path.exists() and path.stat().st_size for path in self.paths(number))


def write_hands(
    count: int,
    size: int,
    seed: int,
    output: str | PathLike[str],
    *,
    assets: Path | None = None,
    workers: int | None = None,
    preset: str = "dataset",
) -> list[Path]:
    """Write radiographs with polygons, two hands a patient.

    Writes `DCM/<patient>/<image>.png` (grey, 8 or 16 bits, now and then with dark bones, as the preset has it),
    `outputs_json/<patient>/<image>.json` and the settings as `simulation.json`. Pairs that are complete are kept, so
    that an interrupted run continues.

    Args:
        count: number of hands.
        size: longer side of the radiographs in pixels; those of the data set are square.
        seed: names the set of patients; sets of different seeds share none.
        output: folder to write to.
        assets: bone cache, by default the user's; built when missing.
        workers: processes; by default one a core, and 1 works in this process.
        preset: name of the settings, one of `presets.PRESETS`.

    Returns:
        The paths of all radiographs, in order.

    Raises:
        HandsegInputError: a number is out of range, there is no such preset, the folder holds hands of other settings
            or cannot be written, or the bones are not there.
    """
    hands = HandSet(Path(output), size, seed, settings_of(preset).name)
    check_request(count, size, seed)
    if workers is not None and workers < 1:
        raise HandsegInputError("workers", f"{workers} processes cannot work", "choose 1 or more")
    _record(hands, load_assets(assets))
    missing = [number for number in range(count) if not hands.is_written(number)]
    workers = min(workers or os.cpu_count() or 1, len(missing))
    bar = partial(tqdm, total=len(missing), desc="simulating", unit="hand", disable=None)
    if workers <= 1:
        _initialise(assets)
        for number in bar(missing):
            _write_hand(hands, number)
    else:
        # A forked child would inherit the locks of the parent's threads.
        with ProcessPoolExecutor(workers, get_context("spawn"), _start, (assets,)) as pool:
            list(bar(pool.map(partial(_write_hand, hands), missing)))
    return [hands.paths(number)[0] for number in range(count)]


def _record(hands: HandSet, bones: HandModel) -> None:
    """Write the settings beside the hands, or refuse to mix hands of two settings in one folder."""
    path = make_folder(hands.output) / SETTINGS
    settings = {
        "bones": hashlib.sha256(bones.vertices.tobytes()).hexdigest()[:16],
        "preset": hands.preset,
        "seed": hands.seed,
        "simulator": SIMULATOR_VERSION,
        "size": hands.size,
    }
    if path.exists():
        found = read_json(path, "delete the folder and simulate again")
        if found != settings:
            raise HandsegInputError(
                hands.output,
                f"holds hands of other settings ({_told(found)}, now {_told(settings)})",
                "choose another folder or the same settings",
            )
        return
    if any((hands.output / "DCM").glob("*/*")):
        raise HandsegInputError(
            hands.output, f"holds radiographs but no {SETTINGS} that tells what they are", "choose another folder"
        )
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(settings) + "\n", encoding="utf-8")


def _told(settings: Any) -> str:
    """Return settings as words; a file of another simulator may hold anything."""
    if not isinstance(settings, dict):
        return str(settings)
    return ", ".join(f"{name} {value}" for name, value in sorted(settings.items()))


def _initialise(assets: Path | None) -> None:
    """Read the bones once in every process."""
    global _model  # noqa: PLW0603 - a pool hands nothing but globals from its initialiser to its jobs
    _model = load_assets(assets)


def _start(assets: Path | None) -> None:
    """Begin a process of the pool: its OpenCV leaves the other cores to the other processes."""
    cv2.setNumThreads(1)
    _initialise(assets)


def _write_hand(hands: HandSet, number: int) -> None:
    assert _model is not None  # noqa: S101 - the initialiser ran
    patient, side = hand_of(hands.seed, number)
    hand = simulate_hand(patient, hands.size, side, _model, settings_of(hands.preset))
    picture, polygons = hands.paths(number)
    inverted = hand.scene.inverted and min(hand.radiograph.shape) >= _INVERTIBLE
    stored = 1 - hand.radiograph if inverted else hand.radiograph
    write_radiograph(picture, stored, bits=hand.scene.bits)
    write_annotations(polygons, masks_to_annotations(hand.packed_masks))
