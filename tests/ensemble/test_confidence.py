"""Confidence and flags of hands drawn with rectangles."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from handseg_bundle_common.anatomy import BONE_NAMES, BONES, CHANNEL, NUM_BONES
from handseg_bundle_common.datasets import data_list
from handseg_bundle_common.ensemble.confidence import BoneConfidence, CaseConfidence, ConfidenceTable, case_confidence
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import read_json
from handseg_bundle_common.formats.boostcamp import rasterise_packed, read_annotations

CELL, COLUMNS = 40, 6
Hand = np.ndarray


@pytest.fixture
def hand(repository: Path) -> Hand:
    """A picture with one rectangle a bone, each in a cell of its own, of the areas that real bones have."""
    with (repository / "handseg_bundle_common/simulation/reference/bones.csv").open() as file:
        areas = {row["bone"]: float(row["area_px_mean"]) for row in csv.DictReader(file)}
    packed = np.zeros((5 * CELL, COLUMNS * CELL), np.uint32)
    for name in BONE_NAMES:
        area = areas[name] / 150
        draw(packed, name, round(math.sqrt(area)), round(area / round(math.sqrt(area))))
    return packed


def draw(packed: Hand, name: str, height: int, width: int, row: int = 5, column: int = 5) -> None:
    """Draw a rectangle in the cell of a bone; its top left corner lies at row, column."""
    top, left = (CELL * n for n in divmod(CHANNEL[name], COLUMNS))
    window = slice(top + row, top + row + height), slice(left + column, left + column + width)
    assert not (packed[window] & bit(name)).any()
    packed[window] |= bit(name)


def bit(name: str) -> np.uint32:
    return np.uint32(1 << CHANNEL[name])


def without(packed: Hand, *names: str) -> Hand:
    return packed & ~np.bitwise_or.reduce([bit(name) for name in names])


def judged(case: CaseConfidence, name: str) -> BoneConfidence:
    return case.bones[CHANNEL[name]]


def test_a_good_hand_of_one_model_is_trusted(hand: Hand) -> None:
    case = case_confidence(hand)
    assert [bone.bone for bone in case.bones] == list(BONE_NAMES)
    assert case.flags == ()
    for bone in case.bones:
        assert (bone.confidence, bone.components, bone.reasons) == (1, 1, ())
        assert math.isnan(bone.agreement)
        assert bone.area_px == np.count_nonzero(hand & bit(bone.bone))


def test_members_that_all_say_the_same_change_nothing(hand: Hand) -> None:
    case = case_confidence(hand, [hand] * 3)
    assert case.flags == ()
    assert {(bone.agreement, bone.confidence) for bone in case.bones} == {(1.0, 1.0)}


def test_members_that_disagree(hand: Hand) -> None:
    """Three rectangles of 8 x 10 px: two of them alike, the third shifted by 6 of its 10 columns."""
    alike, shifted = without(hand, "Lunate"), without(hand, "Lunate")
    draw(alike, "Lunate", 8, 10)
    draw(shifted, "Lunate", 8, 10, column=11)
    expected = (1 + 0.4 + 0.4) / 3
    case = case_confidence(hand, [alike, alike, shifted])
    lunate = judged(case, "Lunate")
    assert lunate.agreement == lunate.confidence == pytest.approx(expected)
    assert case.flags == ("lunate: members disagree (Dice 0.60)",)
    assert case_confidence(hand, [alike, alike, shifted], least_agreement=0.5).flags == ()


def test_members_may_be_smaller_than_the_final_masks(hand: Hand) -> None:
    case = case_confidence(np.kron(hand, np.ones((2, 2), np.uint32)), [hand, without(hand, "Radius"), hand])
    assert case.flags == ("radius: members disagree (Dice 0.33)",)


def test_a_missing_bone_has_no_confidence(hand: Hand) -> None:
    lacking = without(hand, "Pisiform")
    case = case_confidence(lacking, [lacking, lacking])
    pisiform = judged(case, "Pisiform")
    assert (pisiform.confidence, pisiform.agreement, pisiform.area_px, pisiform.components) == (0, 1, 0, 0)
    assert case.flags == ("pisiform: missing",)


def test_a_missing_bone_that_some_members_have_seen(hand: Hand) -> None:
    lacking = without(hand, "finger-7")
    case = case_confidence(lacking, [lacking, lacking, hand])
    assert case.flags == ("second metacarpal: missing, members disagree (Dice 0.33)",)
    assert judged(case, "finger-7").confidence == 0


def test_several_components_count_by_what_lies_outside_the_largest(hand: Hand) -> None:
    hand = without(hand, "Hamate")
    draw(hand, "Hamate", 6, 10)
    draw(hand, "Hamate", 2, 10, row=15)
    case = case_confidence(hand)
    assert judged(case, "Hamate").confidence == pytest.approx(60 / 80)
    assert case.flags == ("hamate: two components",)
    draw(hand, "Hamate", 2, 2, row=20)
    assert case_confidence(hand).flags == ("hamate: three components",)
    for row in range(8):
        draw(hand, "Hamate", 1, 3, row=2 * row, column=20)
    assert case_confidence(hand).flags == ("hamate: 11 components",)


def test_pixels_that_touch_at_a_corner_are_one_component(hand: Hand) -> None:
    hand = without(hand, "Hamate")
    draw(hand, "Hamate", 6, 8)
    draw(hand, "Hamate", 4, 5, row=11, column=13)
    assert judged(case_confidence(hand), "Hamate").components == 1


def test_specks_lower_the_confidence_but_are_not_flagged() -> None:
    hand = np.zeros((100, 100), np.uint32)
    hand[10:30, 10:30] = bit("Hamate")
    hand[50, 50:53] = bit("Hamate")
    hamate = judged(case_confidence(hand), "Hamate")
    assert (hamate.components, hamate.reasons) == (1, ())
    assert hamate.confidence == pytest.approx(400 / 403)
    hand[50, 53:55] = bit("Hamate")
    assert judged(case_confidence(hand), "Hamate").components == 2


@pytest.mark.parametrize(("height", "width", "shown"), [(3, 5, "0.36"), (11, 11, "2.9")])
def test_an_area_out_of_proportion(hand: Hand, height: int, width: int, shown: str) -> None:
    """A trapezoid of 42 px would be usual in this hand."""
    hand = without(hand, "Trapezoid")
    draw(hand, "Trapezoid", height, width)
    case = case_confidence(hand)
    assert case.flags == (f"trapezoid: implausible area ({shown} times the expected)",)
    assert judged(case, "Trapezoid").confidence == 0.5


def test_hands_of_all_sizes_are_plausible(hand: Hand) -> None:
    assert case_confidence(np.kron(hand, np.ones((3, 3), np.uint32))).flags == ()
    assert case_confidence(np.pad(hand, 300)).flags == ()


def test_a_bone_that_the_border_cuts_may_be_small(hand: Hand) -> None:
    hand = without(hand, "Ulna")
    hand[-3:, -40:-20] |= bit("Ulna")
    assert case_confidence(hand).flags == ()
    away_from_the_border = np.pad(hand, ((0, 1), (0, 0)))
    assert case_confidence(away_from_the_border).flags == ("ulna: implausible area (0.21 times the expected)",)


def test_few_bones_do_not_tell_the_size_of_a_hand(hand: Hand) -> None:
    few = np.where(hand & ~bit("Radius") > 0, 0, hand)
    draw(few, "Pisiform", 2, 2)
    assert not any("implausible" in flag for flag in case_confidence(few).flags)


def test_a_pisiform_larger_than_the_triquetrum(hand: Hand) -> None:
    hand = without(hand, "Pisiform", "Triquetrum")
    draw(hand, "Pisiform", 7, 7)
    draw(hand, "Triquetrum", 5, 6)
    assert case_confidence(hand).flags == (
        "triquetrum: is smaller than the pisiform, which lies upon it",
        "pisiform: is larger than the triquetrum, which it lies upon",
    )


def test_reasons_of_a_bone_share_its_flag(hand: Hand) -> None:
    final = without(hand, "Hamate")
    draw(final, "Hamate", 3, 4)
    draw(final, "Hamate", 2, 4, row=20)
    case = case_confidence(final, [final, hand])
    hamate = judged(case, "Hamate")
    assert len(hamate.reasons) == 3
    assert case.flags == (f"hamate: {', '.join(hamate.reasons)}",)
    assert hamate.confidence == pytest.approx(hamate.agreement * 12 / 20 / 2)


def test_a_picture_without_a_hand_has_no_flags_of_bones(hand: Hand) -> None:
    nothing = np.zeros_like(hand)
    for votes in ([], [nothing, hand]):
        case = case_confidence(nothing, votes)
        assert case.flags == ()
        assert all(bone.confidence == 0 and bone.reasons[0] == "missing" for bone in case.bones)


def test_exact_masks_of_simulated_hands_raise_no_flag(sample_data: Path) -> None:
    size = read_json(sample_data / "simulation.json", "make the sample data")["size"]
    for item in data_list(sample_data):
        assert case_confidence(rasterise_packed(read_annotations(item["label"]), size, size)).flags == ()


def test_flags_use_anatomical_names(hand: Hand) -> None:
    flags = case_confidence(np.where(hand & bit("Radius") > 0, hand, 0)).flags
    assert flags == tuple(f"{bone.anatomical_name}: missing" for bone in BONES if bone.name != "Radius")


def test_the_table_has_a_row_for_each_bone_and_image(hand: Hand, tmp_path: Path) -> None:
    final = without(hand, "Pisiform")
    with ConfidenceTable(tmp_path / "confidence.csv") as table:
        table.write("a,b.png", case_confidence(final))
        table.write("c.png", case_confidence(hand, [hand, final]))
    with (tmp_path / "confidence.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * NUM_BONES
    assert [row["bone"] for row in rows[:NUM_BONES]] == list(BONE_NAMES)
    pisiforms = [row for row in rows if row["bone"] == "Pisiform"]
    assert pisiforms == [
        {
            "image_name": "a,b.png",
            "bone": "Pisiform",
            "confidence": "0.0000",
            "agreement": "",
            "area_px": "0",
            "components": "0",
            "reasons": "missing",
        },
        {
            "image_name": "c.png",
            "bone": "Pisiform",
            "confidence": "0.0000",
            "agreement": "0.0000",
            "area_px": str(np.count_nonzero(hand & bit("Pisiform"))),
            "components": "1",
            "reasons": "members disagree (Dice 0.00)",
        },
    ]


def test_the_table_is_complete_or_absent(hand: Hand, tmp_path: Path) -> None:
    path = tmp_path / "confidence.csv"
    with pytest.raises(RuntimeError, match="interrupted"), ConfidenceTable(path) as table:
        table.write("a.png", case_confidence(hand))
        raise RuntimeError("interrupted")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(HandsegInputError, match="cannot be written"), ConfidenceTable(tmp_path / "file" / "x.csv"):
        pass
