"""DICOM files where pictures are used: sources of predictions, tables of results, measures, data lists."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from handseg_bundle_common.anatomy import CHANNEL
from handseg_bundle_common.datasets import data_list
from handseg_bundle_common.inference import ResultsFolder, find_sources
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.measurements import MaskSource, measure

Write = Callable[..., Path]

GREY = np.random.default_rng(0).integers(0, 200, (60, 40), np.uint8)
TELLS = {"ImageLaterality": "R", "ImagerPixelSpacing": [0.2, 0.2]}


def one_bone(height: int = 60, width: int = 40) -> Packed:
    masks = np.zeros((height, width), np.uint32)
    masks[20:40, 10:20] = 1 << CHANNEL["Capitate"]
    return masks


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_predictions(write_radiograph_dicom: Write, tmp_path: Path) -> None:
    """The file says right, its name left: the file is believed."""
    path = write_radiograph_dicom(GREY, "hand_L", **TELLS)
    (source,) = find_sources([path])
    with ResultsFolder(tmp_path / "results") as results:
        results.write(source.name, source.path, one_bone())
    (image,) = rows(tmp_path / "results" / "images.csv")
    assert (image["side"], image["side_from"]) == ("R", "dicom_tag")
    assert (tmp_path / "results" / "overlays" / "hand_L.png").is_file()


def test_measures(write_radiograph_dicom: Write, tmp_path: Path) -> None:
    source = MaskSource("hand.dcm", write_radiograph_dicom(GREY, "hand.dcm", **TELLS), one_bone)
    measured = measure([source], tmp_path / "measures", workers=1)
    assert (measured.in_mm, measured.in_px) == (1, 0)
    (index,) = rows(tmp_path / "measures" / "indices.csv")
    assert (index["side"], index["side_from"], index["unit"]) == ("R", "dicom_tag", "mm")
    capitate = next(row for row in rows(tmp_path / "measures" / "bone_sizes.csv") if row["bone"] == "Capitate")
    assert capitate["area"] == "8.0000"  # 200 px of 0.2 mm a side


def test_training_data_named_by_uids(write_radiograph_dicom: Write, tmp_path: Path) -> None:
    for folder in ("DCM/anna", "outputs_json/anna"):
        (tmp_path / folder).mkdir(parents=True)
    for number in (7, 8):
        write_radiograph_dicom(GREY, f"DCM/anna/1.2.840.{number}")
        label = tmp_path / "outputs_json" / "anna" / f"1.2.840.{number}.json"
        label.write_text(json.dumps({"annotations": []}))
    items = data_list(tmp_path)
    assert [(item["image_name"], Path(item["label"]).name) for item in items] == [
        ("1.2.840.7", "1.2.840.7.json"),
        ("1.2.840.8", "1.2.840.8.json"),
    ]
