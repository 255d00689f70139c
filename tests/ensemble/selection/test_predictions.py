"""Folders of predictions: which images they hold, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.ensemble.network import Combine
from handseg_bundle_common.ensemble.selection.predictions import (
    LevelReader,
    common_combination,
    match_images,
    read_models,
)
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.probabilities import probabilities_path, write_probabilities


def flat(names) -> dict[str, np.ndarray]:
    """Return empty predictions of images."""
    return {name: np.zeros((NUM_BONES, 66, 60)) for name in names}


@pytest.mark.parametrize("rename", [str, lambda name: name.split("/")[1], lambda name: f"hands/DCM/{name}"])
def test_images_are_found_by_any_form_of_their_names(world, rename):
    folders = [
        world.predict("a", flat(world.truth)),
        world.predict("b", flat(rename(name) for name in reversed(world.truth))),
    ]
    cases = match_images(read_models(folders), world.data)
    assert [case.named for case in cases] == [(name, rename(name)) for name in world.truth]
    assert [case.patient for case in cases] == ["ID000", "ID000", "ID001", "ID001", "ID002", "ID002"]
    assert {case.size for case in cases} == {(66, 60)}


def test_a_patient_may_have_folders(world):
    for side in "LR":
        for kind, suffix in (("DCM", ".png"), ("outputs_json", ".json")):
            target = world.data / kind / "ID000" / side / f"1{suffix}"
            target.parent.mkdir()
            target.write_bytes((world.data / kind / "ID000" / f"image0{suffix}").read_bytes())
    names = ["ID000/L/1.png", "ID000/R/1.png"]
    folders = [world.predict(name, flat(names)) for name in ("a", "b")]
    assert [case.named[0] for case in match_images(read_models(folders), world.data)] == names


def test_predictions_of_some_images_are_enough(world):
    some = list(world.truth)[1:3]
    folders = [world.predict(name, flat(some)) for name in ("a", "b")]
    assert [case.named[0] for case in match_images(read_models(folders), world.data)] == some


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["ID000/image0.png"], "lacks 5 of the 6 images of all models, 'ID000/image1.png' first"),
        (["ID000/other.png"], "has 'ID000/other.png', which .* does not hold"),
        (["ID001/image0.png"], "has 'ID001/image0.png', which .* does not hold"),
        (["image0.png", "ID000/image0.png"], "has one image twice, as 'image0.png' and as 'ID000/image0.png'"),
    ],
)
def test_images_that_do_not_match(world, names, problem):
    folders = [world.predict("a", flat(world.truth)), world.predict("b", flat(names))]
    with pytest.raises(HandsegInputError, match=rf"^{folders[1]}: {problem}; predict the same images"):
        match_images(read_models(folders), world.data)


def test_a_name_that_two_patients_share(world):
    for kind, suffix in (("DCM", ".png"), ("outputs_json", ".json")):
        source = world.data / kind / "ID000" / f"image0{suffix}"
        (world.data / kind / "ID001" / f"image0{suffix}").write_bytes(source.read_bytes())
    folders = [world.predict(name, flat(["image0.png"])) for name in ("a", "b")]
    with pytest.raises(HandsegInputError, match=r"holds 'image0.png' 2 times, first as .*--keep-folders"):
        match_images(read_models(folders), world.data)


def test_a_data_set_without_polygons(world):
    folders = [world.predict(name, flat(world.truth)) for name in ("a", "b")]
    with pytest.raises(HandsegInputError, match="has images without polygons"):
        match_images(read_models(folders), world.data / "DCM")


def test_what_made_the_predictions(world):
    origin = {"bundle": "segformer", "weights": "models/best.pt", "image_size": 512}
    known = world.predict("known", flat(world.truth), origin=origin)
    unknown = world.predict("unknown", flat(world.truth))
    crossed = world.predict("crossed", flat(world.truth))
    record = {"bundle": "effisegnet", "weights": "model.pt", "settings": {"flip": True, "max_epochs": 30}}
    (crossed / "cross_validation.json").write_text(json.dumps(record))
    models = read_models([known, unknown, crossed])
    assert [(model.name, model.bundle, model.weights) for model in models] == [
        ("known", "segformer", "models/best.pt"),
        ("unknown", None, None),
        ("crossed", "effisegnet", None),  # one model a fold: there are no weights to name
    ]
    assert [model.windows for model in models] == [{"image_size": 512}, None, {"flip": True}]


@pytest.fixture
def crossed(world) -> list[Path]:
    """Results of two cross-validations, one of which has forgotten its bundle."""
    folders = [world.predict(name, flat(world.truth)) for name in ("a", "b")]
    for folder, record in zip(folders, ({"bundle": "segformer"}, {}), strict=True):
        (folder / "cross_validation.json").write_text(json.dumps(record))
    return folders


def test_weights_trained_on_all_data_take_part(world, crossed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("first.pt", "second.pt"):
        Path(name).touch()
    known = world.predict("known", flat(world.truth), origin={"bundle": "effisegnet", "weights": "old.pt"})
    models = read_models([known, crossed[0]], ["first.pt", tmp_path / "second.pt"])
    assert [(model.bundle, model.weights) for model in models] == [
        ("effisegnet", str(tmp_path / "first.pt")),
        ("segformer", str(tmp_path / "second.pt")),
    ]


@pytest.mark.parametrize(
    ("weights", "problem"),
    [
        (["a.pt"], "weights: 1 for 2 models; name one file for each folder"),
        (["a.pt"] * 3, "weights: 3 for 2 models"),
        (["a.pt", "gone.pt"], "gone.pt: is not there or not a file; name the weights of b"),
        (["a.pt", "a.pt"], ".*/b: does not tell which bundle its weights belong to"),
    ],
)
def test_weights_that_cannot_take_part(crossed, tmp_path, monkeypatch, weights, problem):
    monkeypatch.chdir(tmp_path)
    Path("a.pt").touch()
    with pytest.raises(HandsegInputError, match=f"^{problem}"):
        read_models(crossed, weights)


def test_weights_of_a_bundle_that_is_gone(world, crossed, tmp_path):
    (tmp_path / "a.pt").touch()
    folder = world.predict("c", flat(world.truth), origin={"bundle": "gone"})
    with pytest.raises(HandsegInputError, match=r"^gone: is no bundle"):
        read_models([crossed[0], folder], [tmp_path / "a.pt"] * 2)


def test_a_file_about_the_model_that_is_no_object(world):
    folder = world.predict("a", flat(world.truth), origin=["segformer"])
    with pytest.raises(HandsegInputError, match=re.escape(f"{folder / 'prediction.json'}: is no JSON object")):
        read_models([folder, world.predict("b", flat(world.truth))])


def test_models_that_cannot_be_chosen_from(world, tmp_path):
    folder = world.predict("a", flat(world.truth))
    with pytest.raises(HandsegInputError, match=r"^predictions: fewer than two models"):
        read_models([folder])
    with pytest.raises(HandsegInputError, match=r"has the same name as .*; rename one of them"):
        read_models([folder, world.predict("elsewhere/a", flat(world.truth))])
    with pytest.raises(HandsegInputError, match=r"predictions\.csv: cannot be read"):
        read_models([folder, tmp_path / "nowhere"])
    with pytest.raises(HandsegInputError, match=r"predictions\.csv: holds no image"):
        read_models([folder, world.predict("empty", {})])


def test_one_model_without_all_probabilities_makes_all_vote(world):
    complete = world.predict("a", flat(world.truth))
    partial = world.predict("b", flat(world.truth))
    assert common_combination(read_models([complete, partial])) is Combine.PROBABILITIES
    probabilities_path(partial, next(iter(world.truth))).unlink()
    assert common_combination(read_models([complete, partial])) is Combine.VOTES


def test_masks_become_levels_at_the_native_size(world):
    folders = [
        world.predict("a", {image: truth.astype(float) for image, truth in world.truth.items()}, keep=False),
        world.predict("b", flat(world.truth), keep=False),
    ]
    models = read_models(folders)
    reader = LevelReader(models, Combine.VOTES)
    for case in match_images(models, world.data):
        truth = world.truth[case.named[0]]
        levels = np.stack(list(reader.read(case)), axis=1)
        np.testing.assert_array_equal(levels, np.stack([truth * 255, truth * 0]))


def test_probabilities_meet_at_the_largest_working_size(world):
    image = next(iter(world.truth))
    fine = np.random.default_rng(0).random((NUM_BONES, 66, 60))
    coarse = np.full((NUM_BONES, 33, 30), 0.2)
    models = read_models([world.predict("coarse", {image: coarse}), world.predict("fine", {image: fine})])
    (case,) = match_images(models, world.data)
    levels = np.stack(list(LevelReader(models, Combine.PROBABILITIES).read(case)), axis=1)
    assert (levels[0] == 51).all()
    np.testing.assert_array_equal(levels[1], np.ceil(fine * 255 - 0.5))


def test_probabilities_of_another_radiograph(world):
    folders = [world.predict(name, flat(world.truth)) for name in ("a", "b")]
    path = probabilities_path(folders[1], "ID002/image4.png")
    write_probabilities(path, np.zeros((NUM_BONES, 66, 60)), (660, 600))
    models = read_models(folders)
    cases = match_images(models, world.data)
    with pytest.raises(HandsegInputError, match=rf"^{path}: is of 600 x 660 px, the radiograph of 60 x 66; predict"):
        for case in cases:
            list(LevelReader(models, Combine.PROBABILITIES).read(case))


def test_masks_of_a_larger_radiograph(world):
    folders = [world.predict(name, flat(world.truth), keep=False) for name in ("a", "b")]
    table = Path(folders[0], "predictions.csv")
    table.write_text(table.read_text().replace("ID000/image1.png,Ulna,", "ID000/image1.png,Ulna,3960 2"))
    models = read_models(folders)
    case = match_images(models, world.data)[1]
    with pytest.raises(HandsegInputError, match=r"a/predictions\.csv, ID000/image1\.png, Ulna: the run 3960 2 ends"):
        list(LevelReader(models, Combine.VOTES).read(case))
