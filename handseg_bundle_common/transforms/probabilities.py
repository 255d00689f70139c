"""Probabilities of evaluated images, kept before they become masks."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform

from handseg_bundle_common.formats.probabilities import probabilities_path, write_probabilities
from handseg_bundle_common.transforms.load import SIZE_KEY


class SaveProbabilitiesd(MapTransform):
    """Write the probabilities of logits (29, h, w) to `<output_dir>/probabilities/<image>.npz`, and change nothing.

    Needs items with `image_name` and the native size, and `patient` if that is part of the name.

    Args:
        keys: the logits.
        output_dir: folder of the results.
        patient_in_names: name images `patient/image_name` in place of `image_name`.
    """

    def __init__(
        self,
        keys: KeysCollection,
        output_dir: str,
        *,
        patient_in_names: bool = False,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.output_dir = output_dir
        self.patient_in_names = patient_in_names

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of the item."""
        item = dict(data)
        name = f"{item['patient']}/{item['image_name']}" if self.patient_in_names else str(item["image_name"])
        height, width = (int(side) for side in item[SIZE_KEY])
        for key in self.key_iterator(item):
            probabilities = torch.as_tensor(item[key]).float().sigmoid().cpu().numpy()
            path = probabilities_path(self.output_dir, name)
            write_probabilities(path, np.asarray(probabilities, np.float32), (height, width))
        return item
