"""Pictures of segmented images: the overlay, and where the members of an ensemble part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.datasets.predictions import DISAGREEMENT, OVERLAYS
from handseg_bundle_common.drawing import heat_overlay, overlay, overlay_name, save_png
from handseg_bundle_common.ensemble.agreement import disagreement_map
from handseg_bundle_common.masks import Packed


def overlay_path(output: Path, name: str) -> Path:
    """Return the file of an image's overlay."""
    return output / OVERLAYS / overlay_name(name)


def draw(
    output: Path,
    name: str,
    picture: NDArray[np.float32],
    masks: Packed,
    *,
    notes: Sequence[str] = (),
    votes: Sequence[Packed] = (),
) -> None:
    """Write `<output>/overlays/<image>.png`, and of an ensemble `<output>/disagreement/<image>.png`.

    Args:
        output: folder of the results.
        name: the image's name.
        picture: the radiograph (1, H, W) with its contrast stretched.
        masks: packed masks (H, W).
        notes: sentences to write below it.
        votes: packed masks of an ensemble's members, at any one size.

    Raises:
        HandsegInputError: a file cannot be written.
    """
    save_png(overlay_path(output, name), overlay(picture, masks, notes=notes))
    if len(votes) > 1:
        save_png(output / DISAGREEMENT / overlay_name(name), heat_overlay(picture, disagreement_map(votes)))
