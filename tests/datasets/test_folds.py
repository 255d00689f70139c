"""Folds: every patient in one of them, and the same on every machine."""

from __future__ import annotations

import json
import logging
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.bundle import ConfigParser

from handseg_bundle_common.datasets import (
    WristStratum,
    data_fingerprint,
    data_list,
    fold_split,
    make_folds,
    read_folds,
    sample_folds,
    write_folds,
)
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.boostcamp import write_annotations

EXPECTED_LAYOUT = r"lay the images in DCM/<patient>/<image>\.png and the polygons in outputs_json/<patient>"


def annotated(root: Path, patients: dict[str, int]) -> Path:
    """Lay out a data set with so many images of each patient, without bones."""
    for patient, count in patients.items():
        (root / "DCM" / patient).mkdir(parents=True)
        for name in (f"{patient}_{number}" for number in range(count)):
            (root / "DCM" / patient / f"{name}.png").touch()
            write_annotations(root / "outputs_json" / patient / f"{name}.json", {})
    return root


def write_wrist(path: Path, stratum: WristStratum) -> None:
    """Write an upright forearm and a metacarpal that leans to the side of the ulna or not."""
    lean = 100 if stratum is WristStratum.TILTED else 0
    wrist = {
        "finger-11": [[lean, 0], [lean + 20, 0], [20, 100], [0, 100]],
        "Radius": [[0, 200], [30, 200], [30, 400], [0, 400]],
        "Ulna": [[50, 200], [70, 200], [70, 400], [50, 400]],
    }
    write_annotations(
        path, {} if stratum is WristStratum.UNKNOWN else {name: [np.array(ring)] for name, ring in wrist.items()}
    )


@pytest.fixture(scope="module")
def wrists(tmp_path_factory: pytest.TempPathFactory) -> dict[WristStratum, str]:
    """A polygon file of each stratum."""
    folder = tmp_path_factory.mktemp("wrists")
    for stratum in WristStratum:
        write_wrist(folder / f"{stratum}.json", stratum)
    return {stratum: str(folder / f"{stratum}.json") for stratum in WristStratum}


def items_of(patients: dict[str, int]) -> list[dict[str, str]]:
    return [{"patient": patient} for patient, count in patients.items() for _ in range(count)]


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.text("abc\u00e9", min_size=1, max_size=4), st.integers(1, 4), min_size=2, max_size=12),
    st.integers(2, 6),
    st.integers(0, 3),
)
def test_folds_divide_the_patients_evenly(patients: dict[str, int], num_folds: int, seed: int) -> None:
    num_folds = min(num_folds, len(patients))
    folds = make_folds(items_of(patients), num_folds, seed)
    assert sorted(patient for fold in folds for patient in fold) == sorted(patients)
    images = [sum(patients[patient] for patient in fold) for fold in folds]
    assert len(images) == num_folds
    assert min(images) >= 1
    assert max(images) - min(images) <= max(patients.values())


def test_folds_depend_on_the_seed_and_not_on_the_order_of_the_items() -> None:
    items = items_of({f"ID{n:03d}": 2 for n in range(40)})
    assert make_folds(items, 5, 0) == make_folds(items[::-1], 5, 0)
    assert make_folds(items, 5, 0) != make_folds(items, 5, 1)


def test_folds_of_a_seed_are_the_same_for_ever() -> None:
    """Published folds must not change with a version of Python or NumPy."""
    assert make_folds(items_of(dict.fromkeys("abcdef", 1)), 3, 0) == [["e", "f"], ["c", "d"], ["a", "b"]]


Patients = dict[str, list[WristStratum]]


def labelled_items(patients: Patients, wrists: dict[WristStratum, str]) -> list[dict[str, str]]:
    return [{"patient": name, "label": wrists[stratum]} for name, strata in patients.items() for stratum in strata]


def images_per_fold(folds: list[list[str]], patients: Patients, stratum: WristStratum) -> list[int]:
    return [sum(patients[name].count(stratum) for name in fold) for fold in folds]


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.text("abc", min_size=1, max_size=4),
        st.lists(st.sampled_from(WristStratum), min_size=1, max_size=3),
        min_size=2,
        max_size=12,
    ),
    st.integers(2, 6),
    st.randoms(use_true_random=False),
)
def test_no_patient_is_in_two_folds(
    wrists: dict[WristStratum, str], patients: Patients, num_folds: int, random: Random
) -> None:
    items = labelled_items(patients, wrists)
    num_folds = min(num_folds, len(patients))
    folds = make_folds(items, num_folds)
    assert sorted(name for fold in folds for name in fold) == sorted(patients)
    images = [sum(len(patients[name]) for name in fold) for fold in folds]
    assert max(images) - min(images) <= max(len(strata) for strata in patients.values())
    assert make_folds(random.sample(items, len(items)), num_folds) == folds


@pytest.mark.parametrize("num_folds", [2, 4, 5, 10])
def test_tilted_wrists_are_dealt_evenly(wrists: dict[WristStratum, str], num_folds: int) -> None:
    """A tenth of the hands is tilted, as in the data set, mostly one hand of a patient."""
    tilts = np.random.default_rng(1).random((200, 2)) < 0.1
    kinds = [WristStratum.STRAIGHT, WristStratum.TILTED]
    patients = {f"ID{n:03d}": [kinds[int(tilt)] for tilt in pair] for n, pair in enumerate(tilts)}
    folds = make_folds(labelled_items(patients, wrists), num_folds)
    tilted = images_per_fold(folds, patients, WristStratum.TILTED)
    assert max(tilted) - min(tilted) <= 1
    assert images_per_fold(folds, patients, WristStratum.STRAIGHT) == [400 // num_folds - n for n in tilted]


def test_patients_without_polygons_are_dealt_evenly_too(wrists: dict[WristStratum, str]) -> None:
    patients = {f"p{n:02d}": [stratum] * 2 for n, stratum in enumerate([*WristStratum] * 8)}
    folds = make_folds(labelled_items(patients, wrists), 4)
    for stratum in WristStratum:
        assert images_per_fold(folds, patients, stratum) == [4] * 4


def test_two_patients_make_two_folds(wrists: dict[WristStratum, str]) -> None:
    items = labelled_items({"a": [WristStratum.TILTED], "b": [WristStratum.STRAIGHT]}, wrists)
    assert sorted(make_folds(items, 2)) == [["a"], ["b"]]


def test_polygons_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "broken.json").touch()
    items = [{"patient": name, "label": str(tmp_path / "broken.json")} for name in "ab"]
    with pytest.raises(HandsegInputError, match=r"broken\.json: is empty"):
        make_folds(items, 2)


@pytest.mark.parametrize("num_folds", [0, 1, 4], ids=["none", "one", "more than patients"])
def test_impossible_number_of_folds(num_folds: int) -> None:
    message = f"num_folds: {num_folds} folds cannot be made of 3 patients; make at least 2 folds, and no more than"
    with pytest.raises(HandsegInputError, match=message):
        make_folds(items_of({"a": 1, "b": 1, "c": 1}), num_folds)


def test_folds_survive_the_file(tmp_path: Path) -> None:
    write_folds(tmp_path / "folds.json", [["p1", "001"], ["h\u00e4nd"]], seed=7)
    assert read_folds(tmp_path / "folds.json") == [["p1", "001"], ["h\u00e4nd"]]
    assert json.loads((tmp_path / "folds.json").read_text()) == {
        "num_folds": 2,
        "seed": 7,
        "folds": [["p1", "001"], ["h\u00e4nd"]],
    }


def test_folds_know_the_data_they_were_made_of(tmp_path: Path) -> None:
    write_folds(tmp_path / "folds.json", [["p1"], ["p2"]], 7, fingerprint="sha256:12")
    assert read_folds(tmp_path / "folds.json") == [["p1"], ["p2"]]
    assert json.loads((tmp_path / "folds.json").read_text()) == {
        "num_folds": 2,
        "seed": 7,
        "fingerprint": "sha256:12",
        "folds": [["p1"], ["p2"]],
    }


LIST_OF_LISTS = 'has no list "folds" of lists of patients; write it again'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"cannot be read \(No such file or directory\); write it again"),
        ("", "is empty; write it again"),
        ("folds", r"is not JSON \(.*\); write it again"),
        ("[]", LIST_OF_LISTS),
        ("{}", LIST_OF_LISTS),
        ('{"folds": ["p1", "p2"]}', LIST_OF_LISTS),
        ('{"folds": [["p1"], []]}', LIST_OF_LISTS),
        ('{"num_folds": 3, "folds": [["p1"], ["p2"]]}', "has 2 folds, not num_folds; write it again"),
        ('{"folds": [["p1"], [2]]}', "the patient 2 is not text; put the name in quotes"),
        ('{"folds": [["p1"], ["p2"], ["p1"]]}', "the patient 'p1' is in the folds 0 and 2; keep every patient in one"),
    ],
    ids=[
        "missing",
        "empty",
        "not JSON",
        "a list",
        "no folds",
        "a flat list",
        "an empty fold",
        "another number",
        "a number for a patient",
        "a patient in two folds",
    ],
)
def test_bad_folds(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "folds.json").write_text(content)
    with pytest.raises(HandsegInputError, match=rf"folds\.json: {message}"):
        read_folds(tmp_path / "folds.json")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return annotated(tmp_path / "data", {"p1": 2, "p2": 1, "p3": 2})


@pytest.fixture
def folds_file(tmp_path: Path) -> Path:
    write_folds(tmp_path / "folds.json", [["p1"], ["p2", "p3"]])
    return tmp_path / "folds.json"


def image_names(items: list[dict[str, str]]) -> list[str]:
    return [item["image_name"] for item in items]


def test_a_fold_validates_and_the_others_train(data_dir: Path, folds_file: Path) -> None:
    assert image_names(fold_split(data_dir, folds_file, 0, "validation")) == ["p1_0.png", "p1_1.png"]
    assert image_names(fold_split(data_dir, folds_file, 0, "training")) == ["p2_0.png", "p3_0.png", "p3_1.png"]
    assert image_names(fold_split(data_dir, folds_file, 1, "training")) == ["p1_0.png", "p1_1.png"]


def test_folds_may_name_patients_of_whom_there_is_no_data(data_dir: Path, tmp_path: Path) -> None:
    write_folds(tmp_path / "more.json", [["p1", "p4"], ["p2", "p3"], ["p5"]])
    assert image_names(fold_split(data_dir, tmp_path / "more.json", 0, "validation")) == ["p1_0.png", "p1_1.png"]


def split_both(data_dir: Path, folds: Path) -> None:
    for section in ("training", "validation"):
        fold_split(data_dir, folds, 0, section)


def test_corrected_polygons_are_warned_of_once(
    data_dir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folds = tmp_path / "folds.json"
    write_folds(folds, [["p1"], ["p2", "p3"]], fingerprint=data_fingerprint(data_list(data_dir)))
    with caplog.at_level(logging.WARNING):
        split_both(data_dir, folds)
        assert not caplog.messages
        write_wrist(data_dir / "outputs_json/p1/p1_0.json", WristStratum.STRAIGHT)
        split_both(data_dir, folds)
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"{folds}: was made of other images or polygons than {data_dir} holds now")


def test_folds_without_a_fingerprint_are_not_warned_of(
    data_dir: Path, folds_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    split_both(data_dir, folds_file)
    assert not caplog.messages


def test_the_folds_of_the_sample_were_made_of_it_as_it_is(sample_data: Path) -> None:
    """Both are made by the commands in `data/README.md`."""
    document = json.loads(sample_folds().read_text())
    items = data_list(sample_data)
    assert document["fingerprint"] == data_fingerprint(items)
    assert document["folds"] == make_folds(items, document["num_folds"], document["seed"])


@pytest.mark.parametrize(("patients", "num_folds"), [(2, 2), (3, 3), (5, 5), (11, 5)])
def test_without_a_file_the_folds_are_made_on_the_fly(tmp_path: Path, patients: int, num_folds: int) -> None:
    annotated(tmp_path, {f"p{n}": 2 for n in range(patients)})
    everything = image_names(data_list(tmp_path))
    validated: Counter[str] = Counter()
    for fold in range(num_folds):
        validation = image_names(fold_split(tmp_path, None, fold, "validation"))
        training = image_names(fold_split(tmp_path, None, fold, "training"))
        assert sorted(validation + training) == sorted(everything)
        validated.update(validation)
    assert validated == Counter(everything)
    with pytest.raises(HandsegInputError, match=f"has no fold {num_folds}; choose 0 to {num_folds - 1}"):
        fold_split(tmp_path, None, num_folds, "validation")


def test_a_bundle_calls_it_by_target(data_dir: Path, folds_file: Path) -> None:
    call = {
        "_target_": "handseg_bundle_common.datasets.fold_split",
        "data_dir": str(data_dir),
        "folds": str(folds_file),
        "fold": 0,
        "section": "training",
    }
    parsed = ConfigParser({"data": call}).get_parsed_content("data")
    assert parsed == fold_split(data_dir, folds_file, 0, "training")


@pytest.mark.parametrize(
    ("folds", "arguments", "message"),
    [
        ([["p1"], ["p2", "p3"]], {"fold": 2}, r"folds\.json: has no fold 2; choose 0 to 1"),
        ([["p1"], ["p2", "p3"]], {"fold": -1}, r"folds\.json: has no fold -1; choose 0 to 1"),
        ([["p1"], ["p2", "p3"]], {"section": "test"}, "section: 'test' is unknown; choose \"training\" or"),
        ([["p1"], ["p4"]], {}, r"folds\.json: 2 patients of .*data are in no fold, 'p2' first; make the folds again"),
        (
            [["p1", "p2", "p3"], ["p4"]],
            {},
            r"folds\.json: none of the patients of .*data is in the training section of fold 0; make the folds again",
        ),
    ],
    ids=["unknown fold", "negative fold", "unknown section", "patient of no fold", "empty section"],
)
def test_bad_split(
    data_dir: Path, tmp_path: Path, folds: list[list[str]], arguments: dict[str, Any], message: str
) -> None:
    write_folds(tmp_path / "folds.json", folds)
    with pytest.raises(HandsegInputError, match=message):
        fold_split(
            **{"data_dir": data_dir, "folds": tmp_path / "folds.json", "fold": 0, "section": "training"} | arguments
        )


def test_images_without_polygons_cannot_be_split(tmp_path: Path) -> None:
    for patient in ("p1", "p2"):
        (tmp_path / "DCM" / patient).mkdir(parents=True)
        (tmp_path / "DCM" / patient / "1.png").touch()
    with pytest.raises(HandsegInputError, match=rf"has images without polygons; {EXPECTED_LAYOUT}"):
        fold_split(tmp_path, None, 0, "training")


def test_one_patient_cannot_be_split(tmp_path: Path) -> None:
    annotated(tmp_path, {"p1": 4})
    with pytest.raises(HandsegInputError, match="2 folds cannot be made of 1 patients; make at least 2"):
        fold_split(tmp_path, None, 0, "training")
