"""Tables of measures: one row a bone, a hand and a pair, complete or not there at all."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from handseg_bundle_common.anatomy import BONE_NAMES, Side
from handseg_bundle_common.laterality import Laterality, LateralitySource
from handseg_bundle_common.measurements import NEIGHBOURS, Scale, measure_hand
from handseg_bundle_common.measurements.results import MeasuresFolder, hand_rows

RIGHT = Laterality(Side.RIGHT, LateralitySource.FILE_NAME)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def hand(draw_hand, rectangles) -> np.ndarray:
    """A hand without lunate, whose fifth metacarpal the border cuts."""
    del rectangles["Lunate"]
    middle, *sides = rectangles["finger-19"]
    rectangles["finger-19"] = middle + 60, *sides
    return draw_hand(rectangles)[:, : round(middle.real + 60)]


def write(folder: MeasuresFolder, hand: np.ndarray, scale: Scale) -> None:
    grey = np.full((1, *hand.shape), 0.25, np.float32)
    folder.write(hand_rows("a/hand_R.jpg", measure_hand(hand, grey), scale, RIGHT))


def test_every_bone_hand_and_pair_has_a_row(hand: np.ndarray, tmp_path: Path) -> None:
    with MeasuresFolder(tmp_path) as folder:
        write(folder, hand, Scale(0.5))
    bones = {row["bone"]: row for row in rows(tmp_path / "bone_sizes.csv")}
    assert list(bones) == list(BONE_NAMES)
    third = bones["finger-11"]
    assert (third["image_name"], third["unit"], third["cut"]) == ("a/hand_R.jpg", "mm", "no")
    numbers = [float(third[name]) for name in ("length", "width", "area", "orientation_deg", "mean_intensity")]
    assert numbers == pytest.approx([24, 5, 120, 0, 0.25], abs=1e-6)
    assert third["orientation_deg"] == "0.0000"
    (indices,) = rows(tmp_path / "indices.csv")
    assert (indices["side"], indices["side_from"], indices["unit"]) == ("R", "file_name", "mm")
    assert float(indices["carpal_height"]) == pytest.approx(17, abs=0.3)
    assert float(indices["ulnar_variance"]) == pytest.approx(-3, abs=0.5)
    assert float(indices["carpal_height_ratio"]) == pytest.approx(34 / 48, abs=0.02)
    gaps = rows(tmp_path / "gaps.csv")
    assert [(row["bone"], row["neighbour"]) for row in gaps] == list(NEIGHBOURS)


def test_what_is_missing_or_cut_has_empty_cells_and_a_reason(hand: np.ndarray, tmp_path: Path) -> None:
    with MeasuresFolder(tmp_path) as folder:
        write(folder, hand, Scale())
    bones = {row["bone"]: row for row in rows(tmp_path / "bone_sizes.csv")}
    assert [bones["Lunate"][name] for name in ("length", "area", "mean_intensity", "unit", "cut")] == [
        "",
        "",
        "",
        "px",
        "",
    ]
    assert [bones["finger-19"][name] for name in ("length", "width", "area", "perimeter", "cut")] == [*[""] * 4, "yes"]
    (indices,) = rows(tmp_path / "indices.csv")
    assert indices["metacarpal_index"] == ""
    assert indices["missing"] == "metacarpal index: fifth metacarpal cut by the border"
    of_lunate = [row for row in rows(tmp_path / "gaps.csv") if "Lunate" in row.values()]
    assert of_lunate
    assert {(row["distance"], row["overlap"]) for row in of_lunate} == {("", "")}


def test_tables_appear_when_all_is_done_or_not_at_all(hand: np.ndarray, tmp_path: Path) -> None:
    def stop(folder: MeasuresFolder) -> None:
        write(folder, hand, Scale())
        assert not list(tmp_path.glob("[!.]*.csv"))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), MeasuresFolder(tmp_path) as folder:
        stop(folder)
    assert not list(tmp_path.iterdir())
