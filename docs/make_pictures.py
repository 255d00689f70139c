"""Make the pictures of the documentation: `python docs/make_pictures.py`."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from handseg_bundle_common.drawing import overlay, save_png
from handseg_bundle_common.simulation import SimulatedHands

PICTURES = Path(__file__).parent / "pictures"


_TILE_PX, _COLUMNS = 320, 4


def main() -> None:
    """Write the pictures."""
    _write_overlay()
    _write_contact_sheet()


def _write_overlay() -> None:
    """Write `overlay.png`: a simulated radiograph beside the overlay of its exact masks."""
    hand = SimulatedHands(count=8, size=900, seed=29)[1]
    radiograph = hand["image"][0]
    masks = overlay(radiograph, hand["label"][0].view(np.uint32))
    grey = cv2.cvtColor(np.round(radiograph * 255).astype(np.uint8), cv2.COLOR_GRAY2RGB)
    grey = np.pad(grey, ((0, masks.shape[0] - grey.shape[0]), (0, 0), (0, 0)))
    save_png(PICTURES / "overlay.png", np.hstack([grey, masks]))


def _write_contact_sheet() -> None:
    """Write `simulated.jpg`: eight hands of the preset `dataset` above eight of `wild`."""
    tiles = []
    for preset in ("dataset", "wild"):
        hands = SimulatedHands(count=8, size=1024, seed=30, preset=preset)
        for number in range(8):
            grey = np.rint(hands[number]["image"][0] * 255).astype(np.uint8)
            scale = _TILE_PX / max(grey.shape)
            small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            tiles.append(np.pad(small, [(0, _TILE_PX - side) for side in small.shape], constant_values=255))
    rows = [np.hstack(tiles[start : start + _COLUMNS]) for start in range(0, len(tiles), _COLUMNS)]
    cv2.imwrite(str(PICTURES / "simulated.jpg"), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    main()
