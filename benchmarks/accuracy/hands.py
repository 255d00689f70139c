"""The hands of the benchmark: reserved seeds, simulated once and kept."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from handseg_bundle_common.formats.boostcamp import rasterise_packed, read_annotations
from handseg_bundle_common.formats.radiograph import read_size
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.simulation import write_hands


class Half(StrEnum):
    """The two halves of the benchmark; the first is the headline."""

    SHIFTED = "shifted"
    TRAINING = "training settings"


@dataclass(frozen=True)
class Reserved:
    """A set of hands that nothing is trained, chosen or tuned on.

    Attributes:
        preset: settings of the simulator.
        seed: names the set; sets of different seeds share no patient.
        half: where its hands count.
        share: of all hands.
    """

    preset: str
    seed: int
    half: Half
    share: float


# The recipes' own seeds stand in pretrain_simulated.json; a training with other seeds keeps off all of
# `handseg_bundle_common.simulation.RESERVED_SEEDS`, which these are among.
RESERVED = (
    Reserved("dataset", 9001, Half.TRAINING, 0.25),
    Reserved("shifted", 9002, Half.SHIFTED, 0.5),
    Reserved("wild", 9003, Half.TRAINING, 0.25),
)


@dataclass(frozen=True)
class Hand:
    """A simulated hand on disk.

    Attributes:
        preset: settings of the simulator.
        half: where it counts.
        radiograph: file of the picture.
        polygons: file of its bones.
    """

    preset: str
    half: Half
    radiograph: Path
    polygons: Path

    @property
    def name(self) -> str:
        """Name of the picture, which its seed makes unique."""
        return self.radiograph.stem

    @property
    def patient(self) -> str:
        """Whose hand it is."""
        return self.radiograph.parent.name

    def masks(self) -> Packed:
        """Return the packed masks (H, W)."""
        return rasterise_packed(read_annotations(self.polygons), *read_size(self.radiograph))


def simulate(count: int, size: int, folder: Path, workers: int | None = None) -> list[Hand]:
    """Return the hands of the benchmark, simulating those that are not there yet.

    Args:
        count: number of hands, shared out as `RESERVED` says, at least one a set.
        size: longer side in px.
        folder: where they are kept, by preset and size.
        workers: processes, by default one a core.

    Raises:
        HandsegInputError: count or size is out of range, or the folder holds hands of another simulator.
    """
    hands = []
    for reserved in RESERVED:
        kept = folder / f"{reserved.preset}-{size}"
        number = max(1, round(count * reserved.share))
        for path in write_hands(number, size, reserved.seed, kept, workers=workers, preset=reserved.preset):
            polygons = kept / "outputs_json" / path.parent.name / f"{path.stem}.json"
            hands.append(Hand(reserved.preset, reserved.half, path, polygons))
    return hands


def robustness_hands(hands: list[Hand], count: int) -> list[Hand]:
    """Return the first hands of each preset of the training settings, in equal parts; fewer where there are no more."""
    presets = [reserved.preset for reserved in RESERVED if reserved.half is Half.TRAINING]
    chosen = []
    for number, preset in enumerate(presets):
        of_preset = [hand for hand in hands if hand.preset == preset]
        chosen += of_preset[: (count + number) // len(presets)]
    return chosen
