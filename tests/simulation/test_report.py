"""The report on simulated hands as files."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handseg_bundle_common.cli import main
from handseg_bundle_common.errors import HandsegInputError

pytest.importorskip("numba")
from handseg_bundle_common.simulation.comparison import targets
from handseg_bundle_common.simulation.report import write_report
from handseg_bundle_common.simulation.sampler import hand_of, patient_name, simulate_hand
from handseg_bundle_common.simulation.statistics import measure_hand

FIGURES = (
    *("ratios", "places", "overlaps", "greys", "rim_to_core", "texture", "tilt", "multiplicity"),
    *("radiographs", "overlays"),
)


@pytest.fixture(scope="module")
def report(hand, tmp_path_factory) -> tuple[Path, str]:
    """Folder and summary of a report on four small hands."""
    folder = tmp_path_factory.mktemp("report")
    return folder, write_report(folder, count=4, size=288, seed=3, workers=1)


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.open()))


def test_a_report_holds_two_tables_and_a_picture_of_everything(report):
    folder, _ = report
    assert {path.name for path in folder.iterdir()} == {"hands.csv", "comparison.csv", *(f"{f}.png" for f in FIGURES)}
    for name in FIGURES:
        with Image.open(folder / f"{name}.png") as picture:
            assert min(picture.size) > 300


def test_hands_are_those_that_simulate_writes_for_the_seed(report, hand):
    folder, _ = report
    table = rows(folder / "hands.csv")
    patient, side = hand_of(3, 2)
    assert len(table) == 4
    assert table[2]["hand"] == f"{patient_name(2, 3)}_{side}"
    simulated = simulate_hand(patient, 288, side, hand)
    measured = measure_hand(simulated.radiograph, simulated.packed_masks, side)
    assert float(table[2]["tilt_deg"]) == pytest.approx(measured.geometry.tilt_deg, rel=1e-4)
    assert float(table[2]["area_px:finger-1"]) == pytest.approx(measured.geometry.area_px[0], rel=1e-4)


def test_every_target_has_a_row_that_follows_from_the_hands(report):
    folder, _ = report
    hands, compared = rows(folder / "hands.csv"), rows(folder / "comparison.csv")
    measured = [target for target in targets() if any(row[":".join(filter(None, target.key))] for row in hands)]
    assert len(measured) > 400
    assert [(row["quantity"], row["bone"]) for row in compared] == [target.key for target in measured]
    (radius,) = (row for row in compared if (row["quantity"], row["bone"]) == ("width_px", "Radius"))
    widths = np.array([float(row["width_px:Radius"]) for row in hands])
    assert float(radius["simulated"]) == pytest.approx(widths.mean(), rel=1e-4)
    assert float(radius["simulated_sd"]) == pytest.approx(widths.std(), rel=1e-3)
    assert float(radius["ratio"]) == pytest.approx(widths.mean() / 223, rel=1e-4)
    assert radius["within"] == ""
    assert radius["sd_within"] == ("yes" if abs(widths.std() / 22 - 1) <= 0.3 else "no")


def test_the_summary_names_what_is_out_of_tolerance(report):
    folder, summary = report
    out = [row for row in rows(folder / "comparison.csv") if row["within"] == "no"]
    named = [line.split(":")[0].strip() for line in summary.splitlines() if line.startswith("    ")]
    assert out
    assert {row["bone"] or "hand" for row in out} <= set(named)
    assert "most covered of the other pairs, real ones below 0.02: " in summary
    assert "first principal component" in summary


def test_the_number_of_workers_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("handseg_bundle_common.simulation.report.draw_figures", lambda *_: None)
    for workers in (1, 2):
        write_report(tmp_path / str(workers), count=2, size=96, seed=3, workers=workers)
    for name in ("hands.csv", "comparison.csv", "radiographs.png"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


@pytest.mark.parametrize("wrong", [{"count": 1}, {"size": 8}, {"seed": -1}, {"preset": "moon"}])
def test_what_cannot_be_reported_is_refused(tmp_path, wrong):
    with pytest.raises(HandsegInputError):
        write_report(tmp_path / "new", **({"count": 2, "size": 64, "workers": 1} | wrong))


def test_simulate_writes_a_report_in_place_of_hands(hand, tmp_path, capsys):
    options = f"--report --output {tmp_path} --count 2 --size 96 --workers 1"
    assert main(["simulate", *options.split()]) == 0
    assert "2 simulated hands against real ones" in capsys.readouterr().out
    assert (tmp_path / "comparison.csv").exists()
    assert not (tmp_path / "DCM").exists()
