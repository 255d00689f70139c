"""Training hands that are simulated when a data loader asks for them, and need no disk."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable
from numpy.typing import NDArray

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import make_folder, write_atomically
from handseg_bundle_common.simulation.dataset import SimulatedHands
from handseg_bundle_common.simulation.presets import preset as settings_of
from handseg_bundle_common.simulation.sampler import MIN_SIZE, check_request, hand_of, patient_name
from handseg_bundle_common.simulation.settings import SIMULATOR_VERSION

ENDLESS = 2**24
"""A pool in which hardly any hand is drawn twice: 60,000 draws repeat a hundred (birthday problem)."""

RESERVED_SEEDS = range(9001, 9005)
"""Sets of hands of the benchmarks, which nothing is trained or chosen on."""

_HAND = "hand"
# Steps of 8 bits would show where a tone curve is steep.
_LEVELS = 65535


def simulated_items(
    count: int, presets: Sequence[str], seed: int, *, numbered: bool = False, apart_from: int | None = None
) -> list[dict[str, Any]]:
    """Return data-list items of hands that `SimulateHandd` is to simulate.

    Args:
        count: number of items, which is that of the windows in an epoch.
        presets: names of the settings that pairs of items take in turn, so that each has hands of both sides.
        seed: names the set of patients; sets of different seeds share none.
        numbered: item k is hand k of the set, for validation; otherwise a hand is drawn whenever the item is asked for.
        apart_from: seed of the hands to train on, where these are to validate on.

    Raises:
        HandsegInputError: there are no items or presets, no preset of a name, or the seed is negative, reserved or that
            of the hands to train on.
    """
    if isinstance(presets, str) or not presets:
        raise HandsegInputError("presets", f"{presets!r} is no list of presets", "write a list such as \"['wild']\"")
    check_request(count, MIN_SIZE, seed)
    if seed in RESERVED_SEEDS:
        reserved = f"{RESERVED_SEEDS[0]} to {RESERVED_SEEDS[-1]}"
        raise HandsegInputError("seed", f"{seed} is one of the benchmarks' ({reserved})", "choose another")
    if seed == apart_from:
        raise HandsegInputError("validation_seed", f"{seed} is that of the hands to train on", "choose another")
    for name in presets:
        settings_of(name)
    items: list[dict[str, Any]] = []
    for number in range(count):
        preset = presets[number // 2 % len(presets)]
        hand = {"preset": preset, "seed": seed, "number": number if numbered else None}
        patient = patient_name(number, seed) if numbered else f"{preset}-{number}"
        items.append({_HAND: hand, "patient": patient, "image_name": f"{patient}_{hand_of(seed, number)[1]}.png"})
    return items


class SimulateHandd(Randomizable, MapTransform):
    """Simulate the hand of an item of `simulated_items`: image float32 (1, H, W), label packed int32 (1, H, W).

    Args:
        keys: where the radiograph and its masks go, in this order.
        size: longer side of the radiograph in px.
        pool: a hand that is not numbered is drawn among this many of its set.
        cache_dir: folder that keeps every simulated hand, for machines on which a small pool is seen often; a hand of
            1024 px takes about 0.8 MB.

    Raises:
        HandsegInputError: there are not two keys, pool or size is out of range, the folder cannot be written, or it is
            to keep an endless pool.
    """

    def __init__(
        self,
        keys: KeysCollection = ("image", "label"),
        *,
        size: int,
        pool: int = ENDLESS,
        cache_dir: str | PathLike[str] | None = None,
    ) -> None:
        MapTransform.__init__(self, keys)
        if len(self.keys) != 2:
            raise HandsegInputError("keys", f"{self.keys} are not two", "name those of the radiograph and the masks")
        if not 1 <= pool <= ENDLESS:
            raise HandsegInputError("pool", f"{pool} hands are out of range", f"choose 1 to {ENDLESS}")
        if cache_dir and pool == ENDLESS:
            remedy = "give a --hand_pool too, such as 4000"
            raise HandsegInputError("hand_cache", "would keep every hand of an endless pool", remedy)
        check_request(pool, size, seed=0)
        self.size = size
        self.pool = pool
        self.cache_dir = make_folder(cache_dir) if cache_dir else None

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of the item with the hand's arrays, name and patient."""
        item = dict(data)
        if _HAND not in item:
            problem = "is a file among hands to simulate"
            raise HandsegInputError(str(item.get("image", "item")), problem, "train on files or on simulated hands")
        hand = item.pop(_HAND)
        number = self.draw() if hand["number"] is None else hand["number"]
        image, label = self._hand(hand["preset"], hand["seed"], number)
        item.update(zip(self.keys, (image[None], label.view(np.int32)[None]), strict=True))
        patient, (_, side) = patient_name(number, hand["seed"]), hand_of(hand["seed"], number)
        return {**item, "patient": patient, "image_name": f"{patient}_{side}.png"}

    def draw(self) -> int:
        """Draw the number of a hand."""
        return int(self.R.randint(self.pool))

    def _hand(self, preset: str, seed: int, number: int) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
        """Return radiograph (H, W) and packed masks (H, W), simulated or as they were kept: the same either way."""
        if self.cache_dir is None:
            return _simulate(preset, seed, number, self.size)
        path = self.cache_dir / f"{preset}-v{SIMULATOR_VERSION}-{self.size}" / f"{seed}-{number}"
        kept = _read(path)
        if kept is None:
            kept = _simulate(preset, seed, number, self.size)
            _write(path, *kept)
        return kept


def _simulate(preset: str, seed: int, number: int, size: int) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
    """Return radiograph (H, W), in the levels that a file keeps, and packed masks (H, W)."""
    sample = SimulatedHands(number + 1, size, seed, preset=preset)[number]
    levels = np.rint(sample["image"][0] * _LEVELS).astype(np.float32)
    return levels / np.float32(_LEVELS), sample["label"][0].view(np.uint32)


def _write(path: Path, image: NDArray[np.float32], masks: NDArray[np.uint32]) -> None:
    """Keep a hand as two PNG files; four channels of 8 bits hold the 32 bits of the masks."""
    make_folder(path.parent)
    bits = np.ascontiguousarray(masks).view(np.uint8).reshape(*masks.shape, 4)
    grey = np.rint(image * _LEVELS).astype(np.uint16)
    # The radiograph goes last: where it stands, its masks do too.
    for suffix, pixels in ((".masks.png", bits), (".png", grey)):
        with write_atomically(path.with_name(path.name + suffix)) as temporary:
            temporary.write_bytes(cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())


def _read(path: Path) -> tuple[NDArray[np.float32], NDArray[np.uint32]] | None:
    """Return a hand that was kept, or None if it was not or its files are damaged."""
    try:
        grey, bits = (
            cv2.imdecode(np.frombuffer(path.with_name(path.name + suffix).read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
            for suffix in (".png", ".masks.png")
        )
    except (OSError, cv2.error):  # OpenCV raises on an empty file, and returns None for other damage
        return None
    if grey is None or bits is None or grey.dtype != np.uint16 or bits.shape != (*grey.shape, 4):
        return None
    image = np.asarray(grey, np.float32) / np.float32(_LEVELS)
    return image, np.ascontiguousarray(bits).view(np.uint32)[..., 0]
