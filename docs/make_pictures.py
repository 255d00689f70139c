"""Make the pictures of the documentation: `python docs/make_pictures.py`."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from handseg_bundle_common.drawing import overlay, save_png
from handseg_bundle_common.simulation import SimulatedHands

PICTURES = Path(__file__).parent / "pictures"


def main() -> None:
    """Write `overlay.png`: a simulated radiograph beside the overlay of its exact masks."""
    hand = SimulatedHands(count=8, size=900, seed=29)[1]
    radiograph = hand["image"][0]
    masks = overlay(radiograph, hand["label"][0].view(np.uint32))
    grey = cv2.cvtColor(np.round(radiograph * 255).astype(np.uint8), cv2.COLOR_GRAY2RGB)
    grey = np.pad(grey, ((0, masks.shape[0] - grey.shape[0]), (0, 0), (0, 0)))
    save_png(PICTURES / "overlay.png", np.hstack([grey, masks]))


if __name__ == "__main__":
    main()
