"""What predictions leave behind: masks that are a hand's, a part of one, or none at all."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handseg_bundle_common.drawing import overlay
from handseg_bundle_common.ensemble.case import NOTHING, case_flags
from handseg_bundle_common.ensemble.confidence import case_confidence
from handseg_bundle_common.formats.boostcamp import rasterise_packed, read_annotations
from handseg_bundle_common.formats.radiograph import read_radiograph
from handseg_bundle_common.inference import ResultsFolder
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.transforms import ScaleRadiographd


@pytest.fixture
def label(sample_data: Path) -> Path:
    return next(sample_data.glob("outputs_json/*/*_L.json"))


@pytest.fixture
def radiograph(sample_data: Path, label: Path) -> Path:
    return sample_data / "DCM" / label.parent.name / f"{label.stem}.png"


@pytest.fixture
def hand(label: Path) -> Packed:
    return rasterise_packed(read_annotations(label), 512, 512)


def only(packed: Packed, channels: range) -> Packed:
    return packed & np.uint32(sum(1 << channel for channel in channels))


def image_rows(output: Path) -> list[dict[str, str]]:
    with (output / "images.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_reasons_of_the_picture_and_of_its_bones_have_columns(hand: Packed, radiograph: Path, tmp_path: Path) -> None:
    pictures = {"all": hand, "most": only(hand, range(3, 29)), "few": only(hand, range(8)), "none": np.zeros_like(hand)}
    with ResultsFolder(tmp_path) as results:
        for name, packed in pictures.items():
            results.write(f"{name}.png", radiograph, packed)
    rows = image_rows(tmp_path)
    assert list(rows[0]) == ["image_name", "height", "width", "side", "side_from", "picture", "bones"]
    image = read_radiograph(radiograph)
    for row, packed in zip(rows, pictures.values(), strict=True):
        assert row["picture"] == "; ".join(case_flags(packed, image))
        assert row["bones"] == "; ".join(case_confidence(packed).flags)
    assert [(bool(row["picture"]), bool(row["bones"])) for row in rows] == [
        (False, False),
        (True, True),
        (True, True),
        (True, False),
    ]


@pytest.mark.parametrize(
    ("channels", "shows_bones"),
    [
        pytest.param(range(2, 29), True, id="two bones missing"),
        pytest.param(range(3, 29), True, id="three bones missing"),
        pytest.param(range(8), False, id="no hand"),
    ],
)
def test_the_overlay_tells_of_bones_only_where_they_are_a_hands(
    hand: Packed, radiograph: Path, tmp_path: Path, channels: range, shows_bones: bool
) -> None:
    packed, image = only(hand, channels), read_radiograph(radiograph)
    with ResultsFolder(tmp_path) as results:
        results.write("a.png", radiograph, packed)
    of_bones = case_confidence(packed).flags
    assert of_bones
    notes = [*case_flags(packed, image), *(of_bones if shows_bones else ())]
    with Image.open(tmp_path / "overlays" / "a.png") as picture:
        expected = overlay(ScaleRadiographd("image")({"image": image})["image"], packed, notes=notes)
        np.testing.assert_array_equal(np.asarray(picture), expected)


def test_a_hand_gives_no_warning(
    hand: Packed, radiograph: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ResultsFolder(tmp_path) as results:
        results.write(radiograph.name, radiograph, hand)
    assert not caplog.messages
    assert [(row["picture"], row["bones"]) for row in image_rows(tmp_path)] == [("", "")]


def test_up_to_five_flagged_images_are_listed(
    hand: Packed, radiograph: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ResultsFolder(tmp_path) as results:
        results.write("good.png", radiograph, hand)
        for number in range(4):
            results.write(f"{number}.png", radiograph, np.zeros_like(hand))
        results.write("4.png", radiograph, only(hand, range(8)))
    (part,) = case_flags(only(hand, range(8)), read_radiograph(radiograph))
    assert caplog.messages == [
        f"5 of 6 images are flagged as a whole ({tmp_path / 'images.csv'}): "
        + "".join(f"\n  {number}.png: {NOTHING}" for number in range(4))
        + f"\n  4.png: {part}"
    ]


def test_more_flagged_images_are_counted_by_reason(
    hand: Packed, radiograph: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ResultsFolder(tmp_path) as results:
        for number in range(2):
            results.write(f"{number}.png", radiograph, only(hand, range(8 + number)))
        for number in range(2, 6):
            results.write(f"{number}.png", radiograph, np.zeros_like(hand))
    table = tmp_path / "images.csv"
    expected = f"6 of 6 images are flagged as a whole ({table}): 4 no bone found, 2 only part of a hand"
    assert caplog.messages == [expected]
