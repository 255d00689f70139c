"""Simulated hands as files."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from handseg_bundle_common.anatomy import BONE_NAMES, Side
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.radiograph import read_radiograph
from handseg_bundle_common.masks import unpack_masks
from handseg_bundle_common.simulation import HandModel, hand_of, simulate_hand, write_hands
from handseg_bundle_common.simulation.assets import default_cache
from handseg_bundle_common.simulation.presets import WILD
from handseg_bundle_common.simulation.settings import SIMULATOR_VERSION
from handseg_bundle_common.simulation.writer import HandSet


def filled(entry: dict, size: int) -> np.ndarray:
    """Fill the polygons of one annotation, each ring on its own, as readers of the data set do."""
    points = entry["points"]
    rings = points if isinstance(points[0][0], list) else [points]
    mask = np.zeros((size, size), np.uint8)
    for ring in rings:
        cv2.fillPoly(mask, [np.array(ring).round().astype(np.int32)], 1)
    return mask.astype(bool)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.*"))}


def test_two_hands_a_patient_lie_in_the_layout_of_the_data_set(hand: HandModel, tmp_path: Path):
    pictures = write_hands(3, 96, 7, tmp_path, workers=1)
    assert sorted(files(tmp_path)) == [
        "DCM/sim7-0001/sim7-0001_L.png",
        "DCM/sim7-0001/sim7-0001_R.png",
        "DCM/sim7-0002/sim7-0002_L.png",
        "outputs_json/sim7-0001/sim7-0001_L.json",
        "outputs_json/sim7-0001/sim7-0001_R.json",
        "outputs_json/sim7-0002/sim7-0002_L.json",
        "simulation.json",
    ]
    assert pictures == [
        tmp_path / "DCM" / name
        for name in ("sim7-0001/sim7-0001_L.png", "sim7-0001/sim7-0001_R.png", "sim7-0002/sim7-0002_L.png")
    ]
    patient, side = hand_of(7, 1)
    assert side is Side.RIGHT
    radiograph = cv2.imread(str(pictures[1]), cv2.IMREAD_UNCHANGED)
    assert radiograph.dtype == np.uint8
    assert radiograph == pytest.approx(simulate_hand(patient, 96, side, hand).radiograph * 255, abs=0.51)


def test_polygons_give_the_masks_back(hand: HandModel, tmp_path: Path):
    write_hands(1, 384, 2, tmp_path, workers=1)
    entries = json.loads((tmp_path / "outputs_json/sim2-0001/sim2-0001_L.json").read_text())["annotations"]
    masks = unpack_masks(simulate_hand(hand_of(2, 0)[0], 384, Side.LEFT, hand).packed_masks)
    assert [entry["label"] for entry in entries] == list(BONE_NAMES)
    for entry, mask in zip(entries, masks, strict=True):
        polygon = filled(entry, 384)
        assert 2 * (polygon & mask).sum() / (polygon.sum() + mask.sum()) >= 0.995, entry["label"]


def test_the_number_of_processes_does_not_change_a_byte(hand: HandModel, tmp_path: Path):
    write_hands(2, 64, 0, tmp_path / "one", workers=1)
    write_hands(2, 64, 0, tmp_path / "two", workers=2)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_complete_pairs_are_kept_and_halves_are_written_again(hand: HandModel, tmp_path: Path):
    write_hands(2, 64, 0, tmp_path, workers=1)
    kept, lost = tmp_path / "DCM/sim0-0001/sim0-0001_L.png", tmp_path / "DCM/sim0-0001/sim0-0001_R.png"
    kept.write_bytes(b"mine")
    expected = lost.read_bytes()
    lost.unlink()
    write_hands(2, 64, 0, tmp_path, workers=1)
    assert kept.read_bytes() == b"mine"
    assert lost.read_bytes() == expected


def test_sets_of_different_seeds_share_no_patient():
    patients = {hand_of(seed, number)[0] for seed in range(20) for number in range(0, 40, 2)}
    assert len(patients) == 20 * 20


@pytest.mark.parametrize(
    ("count", "size", "seed", "problem"),
    [(0, 64, 0, "0 hands are none"), (1, 8, 0, "8 px is out of range"), (1, 64, -1, "-1 is negative")],
)
def test_numbers_out_of_range_are_refused(count: int, size: int, seed: int, problem: str, tmp_path: Path):
    with pytest.raises(HandsegInputError, match=problem):
        write_hands(count, size, seed, tmp_path / "hands")
    assert not (tmp_path / "hands").exists()


def test_hands_of_other_settings_are_not_mixed(hand: HandModel, tmp_path: Path):
    write_hands(1, 64, 0, tmp_path, workers=1)
    before = files(tmp_path)
    for size, seed, preset in ((64, 1, "dataset"), (65, 0, "dataset"), (64, 0, "wild")):
        with pytest.raises(HandsegInputError, match="other settings"):
            write_hands(2, size, seed, tmp_path, workers=1, preset=preset)
    assert files(tmp_path) == before


@pytest.mark.parametrize("settings", [{"seed": 0, "size": 64}, {"preset": "dataset", "simulator": 1}, [1]])
def test_hands_of_another_simulator_are_not_mixed(hand: HandModel, tmp_path: Path, settings: object):
    (tmp_path / "simulation.json").write_text(json.dumps(settings))
    with pytest.raises(HandsegInputError, match=rf"simulator {SIMULATOR_VERSION}.*choose another folder"):
        write_hands(1, 64, 0, tmp_path, workers=1)
    assert len(files(tmp_path)) == 1


def test_a_folder_tells_what_made_it(hand: HandModel, tmp_path: Path):
    write_hands(1, 64, 5, tmp_path, workers=1, preset="wild")
    told = json.loads((tmp_path / "simulation.json").read_text())
    assert told.pop("bones")
    assert told == {"preset": "wild", "seed": 5, "simulator": SIMULATOR_VERSION, "size": 64}


def test_hands_of_other_bones_are_not_mixed(hand: HandModel, tmp_path: Path):
    with np.load(default_cache()) as stored:
        arrays = dict(stored)
    np.savez(tmp_path / "larger.npz", **{**arrays, "vertices": arrays["vertices"] + 1})
    write_hands(1, 64, 0, tmp_path / "hands", workers=1)
    with pytest.raises(HandsegInputError, match="other settings"):
        write_hands(2, 64, 0, tmp_path / "hands", workers=1, assets=tmp_path / "larger.npz")


def test_radiographs_of_unknown_origin_are_not_mixed(hand: HandModel, tmp_path: Path):
    write_hands(1, 64, 0, tmp_path, workers=1)
    (tmp_path / "simulation.json").unlink()
    with pytest.raises(HandsegInputError, match=r"no simulation\.json"):
        write_hands(1, 64, 0, tmp_path, workers=1)


def test_empty_files_are_written_again(hand: HandModel, tmp_path: Path):
    (picture,) = write_hands(1, 64, 0, tmp_path, workers=1)
    whole = picture.read_bytes()
    picture.write_bytes(b"")
    write_hands(1, 64, 0, tmp_path, workers=1)
    assert picture.read_bytes() == whole


@pytest.mark.parametrize("workers", [0, -3])
def test_a_number_of_processes_below_one_is_refused(tmp_path: Path, workers: int):
    with pytest.raises(HandsegInputError, match="choose 1 or more"):
        write_hands(1, 64, 0, tmp_path / "hands", workers=workers)


def test_an_unknown_preset_is_refused(tmp_path: Path):
    with pytest.raises(HandsegInputError, match="'calm' is unknown; choose one of dataset, wild, shifted"):
        write_hands(1, 64, 0, tmp_path / "hands", preset="calm")
    assert not (tmp_path / "hands").exists()


def test_hands_of_two_seeds_can_lie_in_one_folder():
    first, second = (
        {path for number in range(40) for path in HandSet(Path("hands"), 64, seed, "dataset").paths(number)}
        for seed in (1, 11)
    )
    assert len(first) == len(second) == 80
    assert not first & second


def test_wild_hands_are_stored_as_drawn_and_read_bone_bright(hand: HandModel, tmp_path: Path):
    """Dark bones and 16 bits are in the file alone; shapes are drawn, and polygons lie on the picture."""
    pictures = write_hands(6, 208, 3, tmp_path, workers=1, preset="wild")
    depths, dark, shapes = set(), 0, set()
    for number, picture in enumerate(pictures):
        patient, side = hand_of(3, number)
        simulated = simulate_hand(patient, 208, side, hand, WILD)
        stored = cv2.imread(str(picture), cv2.IMREAD_UNCHANGED)
        levels = 2**simulated.scene.bits - 1
        assert stored.dtype == (np.uint16 if simulated.scene.bits == 16 else np.uint8)
        expected = 1 - simulated.radiograph if simulated.scene.inverted else simulated.radiograph
        assert np.abs(stored / levels - expected).max() < 0.51 / levels + 1e-6
        read = read_radiograph(picture, simulated.scene.inverted)[0]
        assert np.abs(read - simulated.radiograph).max() < 0.51 / levels + 1e-6
        depths.add(simulated.scene.bits)
        dark += simulated.scene.inverted
        shapes.add(stored.shape)
    assert depths == {8, 16}
    assert dark > 0
    assert len(shapes) > 3
    assert {max(shape) for shape in shapes} == {208}
