"""Pictures of a run: overlays of the first validation images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Engine, Events

from handseg_bundle_common.drawing import overlay, overlay_name, save_png


class OverlayWriter:
    """Draw the predicted masks of the first images of every validation over their radiographs.

    Needs batches of decollated items with `patient` and `image_name`, as the bundles' evaluators have them. Of several
    processes, each draws its own share: all of them together draw what one alone would.

    Args:
        output_dir: folder for `<patient>/<image>.png`; each validation replaces the pictures of the one before.
        count: how many images to draw; None draws all.
    """

    def __init__(self, output_dir: str, count: int | None = 3) -> None:
        self.output_dir = Path(output_dir)
        self.count = count
        self._next = 0

    def attach(self, evaluator: Engine) -> None:
        """Draw after the iterations of the evaluator."""
        evaluator.add_event_handler(Events.EPOCH_STARTED, self._restart)
        evaluator.add_event_handler(Events.ITERATION_COMPLETED, self._draw)

    def _restart(self) -> None:
        self._next = idist.get_rank()

    def _draw(self, evaluator: Engine) -> None:
        for item, output in zip(evaluator.state.batch, evaluator.state.output, strict=True):
            if self.count is None or self._next < self.count:
                picture = self.output_dir / item["patient"] / overlay_name(item["image_name"])
                save_png(picture, _draw_item(item, output))
            # Images are dealt to the processes in turn.
            self._next += idist.get_world_size()


def _draw_item(item: dict[str, Any], output: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the overlay (H, W, 3) of one decollated item and its restored masks, at the masks' size."""
    masks = torch.as_tensor(output["pred"]).bool().cpu().numpy()
    image = torch.as_tensor(item["image"]).float().cpu().numpy()[0]
    height, width = masks.shape[-2:]
    return overlay(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), masks)
