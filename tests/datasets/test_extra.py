"""Further data lists beside a fold's own, and what would spoil the validation."""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from monai.bundle import ConfigParser

from handseg_bundle_common.datasets import data_list, fold_split, with_extra_data
from handseg_bundle_common.datasets.seeded import SeededBatchSampler, SeededDataset
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.boostcamp import write_annotations


def data_set(root: Path, patients: str) -> Path:
    """Lay out a data set with one image of each patient; all files have one size and their own content."""
    for patient in patients:
        (root / "DCM" / patient).mkdir(parents=True)
        (root / "DCM" / patient / "1.png").write_text(f"{root.name[:1]}{patient}")
        triangle = np.array([[0, 0], [len(root.name), 0], [0, ord(patient[0])]], np.float64)
        write_annotations(root / "outputs_json" / patient / "1.json", {"Ulna": [triangle]})
    return root


@pytest.fixture
def own(tmp_path: Path) -> list[dict[str, str]]:
    return data_list(data_set(tmp_path / "own", "abc"))


@pytest.fixture
def further(tmp_path: Path) -> Path:
    return data_set(tmp_path / "further", "xyz")


def test_no_extra_data_is_an_oversight(own: list[dict[str, str]]) -> None:
    with pytest.raises(HandsegInputError, match=r"extra_data: names no data; write \[?\{"):
        with_extra_data(own[:2], [], own[2:])


def test_items_of_a_folder_are_appended_with_their_weight(own: list[dict[str, str]], further: Path) -> None:
    items = with_extra_data(own[:2], [{"data": str(further), "weight": 0.5}], own[2:])
    assert items == own[:2] + [item | {"sampling_weight": 0.5} for item in data_list(further)]


@pytest.mark.parametrize("entry", [{}, {"weight": 1}, {"weight": 1.0}])
def test_a_weight_of_1_leaves_no_trace(own: list[dict[str, str]], further: Path, entry: dict[str, float]) -> None:
    assert with_extra_data(own, [{"data": further, **entry}], []) == own + data_list(further)


def test_several_lists_with_their_weights(own: list[dict[str, str]], further: Path, tmp_path: Path) -> None:
    more = data_set(tmp_path / "more", "pq")
    items = with_extra_data(own, [{"data": more, "weight": 2}, {"data": further, "weight": 0.25}], [])
    assert Counter(item.get("sampling_weight") for item in items) == {None: 3, 2: 2, 0.25: 3}


@pytest.mark.parametrize("wrap", [list, lambda items: {"training": items, "test": []}], ids=["list", "decathlon"])
def test_a_monai_data_list_names_files_beside_it(further: Path, wrap: Any) -> None:
    """Without `patient` the folder of an image names its patient; absolute paths stay."""
    absolute = further / "DCM" / "y" / "1.png"
    items = [
        {"image": "DCM/x/1.png", "label": "outputs_json/x/1.json"},
        {"image": str(absolute), "label": "outputs_json/y/1.json", "patient": 7, "image_name": "hand", "other": 1},
    ]
    path = further / "list.json"
    path.write_text(json.dumps(wrap(items)))
    first, second = with_extra_data([], [{"data": str(path), "weight": 3}], [])
    assert first == data_list(further)[0] | {"sampling_weight": 3}
    assert second == data_list(further)[1] | {"patient": "7", "image_name": "hand", "sampling_weight": 3}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"validation": []}, "has no list of training items; write it as"),
        ([], "has no list of training items"),
        ([{"image": "DCM/x/1.png"}], "the item .* lacks an image or a label"),
        (["DCM/x/1.png"], "the item .* lacks an image or a label"),
        ([{"image": "DCM/x/2.png", "label": "outputs_json/x/1.json"}], "DCM.x.2.png is missing; correct the path"),
        ([{"image": "DCM/x/1.png", "label": "outputs_json"}], "outputs_json is missing"),
    ],
)
def test_a_data_list_that_cannot_be_used_is_refused(further: Path, document: object, expected: str) -> None:
    path = further / "list.json"
    path.write_text(json.dumps(document))
    with pytest.raises(HandsegInputError, match=rf"list\.json: .*{expected}"):
        with_extra_data([], [{"data": path}], [])


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ("FOLDER", "extra_data: .* is no list; write "),
        ({"data": "FOLDER"}, "extra_data: .* is no list"),
        (["FOLDER"], "extra_data: .* names no data"),
        ([{"weight": 2}], "extra_data: .* names no data"),
        ([{"data": "FOLDER", "wieght": 2}], "extra_data: 'wieght' is unknown"),
        ([{"data": "FOLDER", "weight": 0}], "sampling_weight: 0 is no number above 0"),
        ([{"data": "FOLDER", "weight": -0.5}], "sampling_weight: -0.5 is no number above 0"),
        ([{"data": "FOLDER/none"}], "none: is not a folder"),
        ([{"data": "FOLDER/none.json"}], r"none\.json: cannot be read"),
        ([{"data": "FOLDER/DCM"}], "DCM: has images without polygons; lay the images in"),
    ],
)
def test_other_entries_are_refused(further: Path, extra: Any, expected: str) -> None:
    named = json.loads(json.dumps(extra).replace("FOLDER", further.as_posix()))
    with pytest.raises(HandsegInputError, match=expected):
        with_extra_data([], named, [])


def test_patients_who_are_held_out_must_not_train(own: list[dict[str, str]], tmp_path: Path) -> None:
    leaking = data_set(tmp_path / "leaking", "cx")
    expected = r"c.1\.png: is of patient 'c', who is held out for validation \(such images: 1\); remove the images of"
    with pytest.raises(HandsegInputError, match=expected):
        with_extra_data(own[:2], [{"data": leaking}], own[2:])
    assert len(with_extra_data(own[:2], [{"data": leaking}], own[1:2])) == 4


def test_patients_are_compared_whatever_form_their_letters_have(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "\u00e9") for form in ("NFC", "NFD"))
    held_out, extra = data_set(tmp_path / "own", [composed]), data_set(tmp_path / "further", [decomposed])
    with pytest.raises(HandsegInputError, match="is held out"):
        with_extra_data([], [{"data": extra}], data_list(held_out))


def test_an_image_that_is_there_already_is_refused(own: list[dict[str, str]], further: Path) -> None:
    """In the training data, in the validation data under another patient's name, or in another list."""
    copied = Path(own[1]["image"])
    shutil.copy(copied, further / "DCM" / "y" / "1.png")
    for data, held_out in ((own, []), (own[:1], own[1:])):
        with pytest.raises(HandsegInputError, match=rf"y.1\.png: is the same image as {copied}; keep one of them"):
            with_extra_data(data, [{"data": further}], held_out)
    with pytest.raises(HandsegInputError, match=r"x.1\.png: is the same image as .*x.1\.png; .* give it more weight"):
        with_extra_data([], [{"data": further}, {"data": further}], [])


def test_held_out_labels_are_refused_whatever_has_become_of_the_image(own: list[dict[str, str]], further: Path) -> None:
    shutil.copy(own[1]["label"], further / "outputs_json" / "y" / "1.json")
    with pytest.raises(
        HandsegInputError, match=rf"y.1\.json: holds the labels of {own[1]['image']}, which is held out"
    ):
        with_extra_data(own[:1], [{"data": further}], own[1:])


def test_copies_within_the_own_data_are_not_its_business(own: list[dict[str, str]], further: Path) -> None:
    shutil.copy(own[0]["image"], own[1]["image"])
    assert len(with_extra_data(own, [{"data": further}], [])) == 6


def test_a_file_that_cannot_be_read_is_named(own: list[dict[str, str]], further: Path) -> None:
    Path(own[0]["image"]).unlink()
    with pytest.raises(HandsegInputError, match=r"a.1\.png: cannot be read"):
        with_extra_data(own, [{"data": further}], [])


def test_a_recipe_with_extra_data(tmp_path: Path) -> None:
    root, further = data_set(tmp_path / "own", "abcdefgh"), data_set(tmp_path / "further", "wxyz")
    fold = {"_target_": "handseg_bundle_common.datasets.fold_split", "data_dir": str(root), "folds": None, "fold": 1}
    config = {
        "extra_data": [{"data": str(further), "weight": 0.25}],
        "data": {
            "_target_": "handseg_bundle_common.datasets.with_extra_data",
            "data": {**fold, "section": "training"},
            "extra": "@extra_data",
            "held_out": {**fold, "section": "validation"},
        },
    }
    items = ConfigParser(config).get_parsed_content("data")
    training = fold_split(root, None, 1, "training")
    assert items[: len(training)] == training
    sampler = SeededBatchSampler(SeededDataset(items, None), 1)
    assert len(sampler) == len(training) + 1
