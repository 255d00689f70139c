"""Check of a data set: a fault of every kind, planted into a copy of the sample hands, is found."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from handseg_bundle_common.datasets import FaultKind, Severity, check_data, data_list, fold_split
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.boostcamp import read_annotations
from handseg_bundle_common.formats.radiograph import read_radiograph

FIRST, SECOND, THIRD, FOURTH = sorted(
    folder.name for folder in (Path(__file__).parents[2] / "data/sample/DCM").iterdir()
)
IMAGE, LABEL = f"DCM/{SECOND}/{SECOND}_L.png", f"outputs_json/{SECOND}/{SECOND}_L.json"

Plant = Callable[[Path], Any]


@pytest.fixture
def data_dir(sample_data: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sample_data, tmp_path / "data"))


def edit(change: Callable[[dict[str, dict[str, Any]]], object]) -> Plant:
    """Return what changes the entries of one polygon file, which are given by bone."""

    def plant(root: Path) -> None:
        entries = {entry["label"]: entry for entry in json.loads((root / LABEL).read_text())["annotations"]}
        change(entries)
        (root / LABEL).write_text(json.dumps({"annotations": list(entries.values())}))

    return plant


def relabel(**labels: str) -> Plant:
    """Return what gives bones other labels; the keys are the old ones, with _ for -."""
    return edit(
        lambda entries: [entries[old.replace("_", "-")].update(label=new) for old, new in labels.items()],
    )


def set_points(bone: str, change: Callable[[Any], Any]) -> Plant:
    return edit(lambda entries: entries[bone].update(points=change(entries[bone]["points"])))


def scaled(points: Any, factor: float) -> list[list[float]]:
    ring = np.array(points)
    return ((ring - ring.mean(axis=0)) * factor + ring.mean(axis=0)).tolist()


def exchange(root: Path, first: str, second: str) -> None:
    (root / first).rename(root / "kept")
    (root / second).rename(root / first)
    (root / "kept").rename(root / second)


def exchange_sides(root: Path) -> None:
    for pattern in (f"DCM/{SECOND}/{SECOND}_{{}}.png", f"outputs_json/{SECOND}/{SECOND}_{{}}.json"):
        exchange(root, pattern.format("L"), pattern.format("R"))


def copy_polygons(root: Path) -> None:
    shutil.copy(root / f"outputs_json/{SECOND}/{SECOND}_R.json", root / LABEL)


def halve(entries: dict[str, dict[str, Any]]) -> None:
    for entry in entries.values():
        entry["points"] = (np.array(entry["points"]) / 2).tolist()


def keep_one_patient(root: Path) -> None:
    for folder in ("DCM", "outputs_json"):
        for patient in (FIRST, THIRD, FOURTH):
            shutil.rmtree(root / folder / patient)


def name_like_another(root: Path) -> None:
    (root / IMAGE).rename(root / f"DCM/{SECOND}/{FIRST}_L.png")
    (root / LABEL).rename(root / f"outputs_json/{SECOND}/{FIRST}_L.json")


PLANTS: list[tuple[FaultKind, set[str | None], Plant]] = [
    (FaultKind.FEW_PATIENTS, {None}, keep_one_patient),
    (FaultKind.LONE_IMAGE, {None}, lambda root: (root / LABEL).unlink()),
    (FaultKind.LONE_IMAGE, {None}, lambda root: shutil.rmtree(root / "outputs_json")),
    (FaultKind.LONE_POLYGONS, {None}, lambda root: (root / IMAGE).unlink()),
    (FaultKind.SAME_PLACE, {None}, lambda root: Image.open(root / IMAGE).save((root / IMAGE).with_suffix(".tif"))),
    (FaultKind.UNREADABLE_IMAGE, {None}, lambda root: (root / IMAGE).write_bytes((root / IMAGE).read_bytes()[:-9000])),
    (FaultKind.UNREADABLE_IMAGE, {None}, lambda root: (root / IMAGE).write_bytes(b"")),
    (FaultKind.UNREADABLE_POLYGONS, {None}, lambda root: (root / LABEL).write_text("[")),
    (FaultKind.UNREADABLE_POLYGONS, {None}, lambda root: (root / LABEL).write_text("[]")),
    (FaultKind.UNKNOWN_BONE, {"finger-20"}, relabel(Lunate="finger-20")),
    (FaultKind.FEW_POINTS, {"Lunate"}, set_points("Lunate", lambda points: points[:2])),
    (FaultKind.BAD_POINTS, {"Lunate"}, set_points("Lunate", lambda points: [*points, [float("nan"), 1]])),
    (FaultKind.SAME_NAME, {None}, name_like_another),
    (FaultKind.MISSING_BONE, {"Lunate"}, edit(lambda entries: entries.pop("Lunate"))),
    (FaultKind.DOUBLED_BONE, {"Lunate"}, edit(lambda entries: entries.update(again=entries["Lunate"]))),
    (FaultKind.REPEATED_RING, {"Lunate"}, set_points("Lunate", lambda points: [points, points[3:] + points[:3]])),
    (FaultKind.OTHER_SCALE, {None}, edit(halve)),
    (FaultKind.COPIED_POLYGONS, {None}, copy_polygons),
    (
        FaultKind.COPIED_BONE,
        {"Lunate", "Capitate"},
        edit(lambda entries: entries["Lunate"].update(points=entries["Capitate"]["points"])),
    ),
    (FaultKind.NESTED_RING, {"Lunate"}, set_points("Lunate", lambda points: [points, scaled(points, 0.5)])),
    (FaultKind.OUTSIDE, {"Radius"}, set_points("Radius", lambda points: [*points, [points[-1][0], 520]])),
    (FaultKind.WRONG_SIDE, {None}, exchange_sides),
    (FaultKind.WRONG_ORDER, {"Trapezium", "Trapezoid"}, relabel(Trapezium="Trapezoid", Trapezoid="Trapezium")),
    (FaultKind.WRONG_ORDER, {"Scaphoid", "Triquetrum"}, relabel(Scaphoid="Triquetrum", Triquetrum="Scaphoid")),
    (FaultKind.WRONG_ORDER, {"Capitate", "Scaphoid"}, relabel(Capitate="Scaphoid", Scaphoid="Capitate")),
    (FaultKind.WRONG_ORDER, {"Triquetrum", "Pisiform"}, relabel(Triquetrum="Pisiform", Pisiform="Triquetrum")),
    (FaultKind.WRONG_ORDER, {"finger-9", "finger-10"}, relabel(finger_9="finger-10", finger_10="finger-9")),
    (FaultKind.WRONG_ORDER, {"finger-7", "finger-11"}, relabel(finger_7="finger-11", finger_11="finger-7")),
    (FaultKind.ODD_AREA, {"Lunate"}, set_points("Lunate", lambda points: scaled(points, 2))),
    (FaultKind.ODD_AREA, {"Lunate"}, set_points("Lunate", lambda points: [points[0]] * 5)),
    (FaultKind.UNCHECKED_AREAS, {None}, lambda root: (root / LABEL).unlink()),
]


def test_the_sample_has_no_faults(sample_data: Path) -> None:
    assert check_data(sample_data) == []


def test_a_fault_of_every_kind_is_planted_here() -> None:
    assert {kind for kind, _, _ in PLANTS} == set(FaultKind)


@pytest.mark.parametrize(("kind", "bones", "plant"), PLANTS)
def test_a_planted_fault_is_found(data_dir: Path, kind: FaultKind, bones: set[str | None], plant: Plant) -> None:
    plant(data_dir)
    found = check_data(data_dir)
    assert {fault.bone for fault in found if fault.kind is kind} == bones
    assert {fault.patient for fault in found} <= {SECOND, FIRST, None}
    assert any(fault.severity is Severity.ERROR for fault in found) == is_refused(data_dir)


def is_refused(data_dir: Path) -> bool:
    """Do what training does before its first step."""
    try:
        for section in ("training", "validation"):
            for item in fold_split(data_dir, None, 0, section):
                read_radiograph(item["image"])
                read_annotations(item["label"])
    except HandsegInputError:
        return True
    return False


def test_it_does_not_stop_at_the_first_fault(data_dir: Path) -> None:
    (data_dir / f"DCM/{FIRST}/{FIRST}_L.png").write_bytes(b"no picture")
    (data_dir / f"outputs_json/{FIRST}/{FIRST}_R.json").write_text("no JSON")
    (data_dir / f"outputs_json/{THIRD}/{THIRD}_R.json").unlink()
    edit(lambda entries: [entries.pop("finger-1"), entries["Ulna"].update(label="Elbow")])(data_dir)
    found = [(fault.kind, fault.patient, fault.image, fault.bone) for fault in check_data(data_dir)]
    assert found == [
        (FaultKind.LONE_IMAGE, THIRD, f"{THIRD}_R.png", None),
        (FaultKind.UNREADABLE_IMAGE, FIRST, f"{FIRST}_L.png", None),
        (FaultKind.UNREADABLE_POLYGONS, FIRST, f"{FIRST}_R.png", None),
        (FaultKind.UNKNOWN_BONE, SECOND, f"{SECOND}_L.png", "Elbow"),
        (FaultKind.MISSING_BONE, SECOND, f"{SECOND}_L.png", "finger-1"),
        (FaultKind.MISSING_BONE, SECOND, f"{SECOND}_L.png", "Ulna"),
        (FaultKind.UNCHECKED_AREAS, None, None, None),
    ]


def test_names_without_a_side_are_not_judged(data_dir: Path) -> None:
    for item in data_list(data_dir):
        for path in (Path(item["image"]), Path(item["label"])):
            side = {"L": "first", "R": "second"}[path.stem[-1]]
            path.rename(path.with_stem(f"{path.stem[:-2]}_{side}"))
    assert check_data(data_dir) == []


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HandsegInputError, match="holds no image"):
        check_data(tmp_path)
