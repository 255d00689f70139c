"""Make the pictures of the documentation: `python docs/make_pictures.py`."""

from __future__ import annotations

import csv
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from handseg_bundle_common.drawing import overlay, save_png
from handseg_bundle_common.simulation import SimulatedHands

PICTURES = Path(__file__).parent / "pictures"
CURVES = Path(__file__).parent / "weights"

_TILE_PX, _COLUMNS = 320, 4
_CURVES = {"all bones": "mean_dice", "trapezoid": "dice/Trapezoid", "pisiform": "dice/Pisiform"}


def main() -> None:
    """Write the pictures."""
    _write_overlay()
    _write_contact_sheet()
    _write_learning_curves()


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


def _write_learning_curves() -> None:
    """Write `learning.png`: what the shipped weights reached on their validation hands while they were trained."""
    files = sorted(CURVES.glob("*.csv"))
    figure = Figure(figsize=(10, 3.2 * ((len(files) + 1) // 2)), layout="constrained")
    panels = np.ravel(figure.subplots((len(files) + 1) // 2, 2, sharey=True))
    for axes, path in zip(panels, files, strict=False):
        _draw_learning_curve(axes, path)
    for axes in panels[len(files) :]:
        axes.set_visible(False)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(PICTURES / "learning.png", dpi=110)


def _draw_learning_curve(axes: Axes, path: Path) -> None:
    """Draw Dice against the number of hands seen; a stage of the training is a shade, other validation hands a gap."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for colour, (name, column) in enumerate(_CURVES.items()):
        told = [row for row in rows if row[column]]
        for number, (_, same) in enumerate(groupby(told, key=itemgetter("validation_seed"))):
            hands, dice = zip(*((int(row["hands"]), float(row[column])) for row in same), strict=True)
            axes.plot(hands, dice, ".-", color=f"C{colour}", label=None if number else name)
    start = 0
    for stage in dict.fromkeys(row["stage"] for row in rows):
        of_stage = [row for row in rows if row["stage"] == stage]
        end = int(of_stage[-1]["hands"])
        axes.axvspan(start, end, color="black", alpha=0.03 * (int(stage) % 2), linewidth=0)
        axes.text((start + end) / 2, 0.03, f"{of_stage[0]['image_size']} px", ha="center", size=8)
        start = end
    axes.set_title(path.stem)
    axes.set_xlabel("hands seen")
    axes.set_ylabel("Dice on validation hands")
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main()
