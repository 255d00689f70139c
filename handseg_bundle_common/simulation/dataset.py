"""Simulated hands as an endless supply of training data, drawn on the fly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from handseg_bundle_common.simulation.assets import load_once
from handseg_bundle_common.simulation.hand_model import HandModel
from handseg_bundle_common.simulation.presets import preset as settings_of
from handseg_bundle_common.simulation.sampler import check_request, hand_of, patient_name, simulate_hand
from handseg_bundle_common.simulation.settings import Settings


class SimulatedHands(Dataset[dict[str, Any]]):
    """A map-style data set; the sample of an index depends on nothing but seed, index, size and settings.

    A sample is a dictionary: `image` float32 (1, H, W) in 0..1, `label` int32 (1, H, W) of packed masks, `image_name`
    and `patient`. Indices 2 n and 2 n + 1 are the left and right hand of one patient: the same hands, bone bright and
    before rounding, that `write_hands` writes for this seed and preset.

    Args:
        count: number of samples.
        size: height and width in pixels, or the longer side alone where the settings draw the shape.
        seed: names the set of patients; sets of different seeds share none.
        assets: bones, or the path of their cache file; by default the user's cache, read once in every worker.
        preset: what is drawn: the name of a preset, or settings.

    Raises:
        HandsegInputError: a number is out of range, or there is no such preset.
    """

    def __init__(
        self,
        count: int,
        size: int | tuple[int, int],
        seed: int = 0,
        assets: HandModel | Path | str | None = None,
        preset: str | Settings = "dataset",
    ) -> None:
        check_request(count, size, seed)
        self.count = count
        self.size = size
        self.seed = seed
        self.assets = assets
        self.settings = preset if isinstance(preset, Settings) else settings_of(preset)

    def __len__(self) -> int:
        """Return the number of samples."""
        return self.count

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Simulate one hand.

        Raises:
            IndexError: the index is not below the number of samples.
        """
        if not -self.count <= index < self.count:
            raise IndexError(index)
        number = index % self.count
        patient, side = hand_of(self.seed, number)
        hand = simulate_hand(patient, self.size, side, self._model(), self.settings)
        name = patient_name(number, self.seed)
        return {
            "image": hand.radiograph[None],
            "label": hand.packed_masks.view(np.int32)[None],
            "image_name": f"{name}_{side}.png",
            "patient": name,
        }

    def _model(self) -> HandModel:
        return self.assets if isinstance(self.assets, HandModel) else load_once(self.assets)
