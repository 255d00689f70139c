"""From folders of predictions to an ensemble: the whole way, and what it writes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handseg_bundle_common.anatomy import BONE_NAMES, CHANNEL, NUM_BONES, SMALL_BONES
from handseg_bundle_common.ensemble.bundle import write_ensemble_bundle
from handseg_bundle_common.ensemble.members import MemberSettings
from handseg_bundle_common.ensemble.selection import (
    ensemble_settings,
    select_members,
    selection_text,
    write_selection,
)
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.inference import load_predictor

SMALL = [CHANNEL[name] for name in SMALL_BONES]
LARGE = [k for k in range(NUM_BONES) if k not in SMALL]


@pytest.fixture(scope="module")
def world(make_world, tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"), patients=4)


@pytest.fixture(scope="module")
def folders(world, noisy):
    """One is good at large bones, one at small ones, and one is worse than both everywhere."""
    models = {"large": noisy(world.truth, 0, SMALL, 0.15), "small": noisy(world.truth, 1, LARGE, 0.15)}
    models["worse"] = noisy(world.truth, 2, noise=2)
    return [
        world.predict(name, model, origin={"bundle": "segformer", "weights": f"models/{name}.pt"})
        for name, model in models.items()
    ]


@pytest.fixture(scope="module")
def selection(world, folders):
    return select_members(folders, world.data, folds=2)


def read(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_what_is_known_to_be_right(selection):
    names = [selection.models[place].name for place in selection.members]
    assert sorted(names) == ["large", "small"]
    roles = {selection.models[place].name: str(role) for place, role in selection.roles().items()}
    assert roles == {"large": "general", "small": "small bones"}
    assert (selection.images, selection.patients) == (8, 4)
    scores = dict(zip(("large", "small", "worse"), selection.scores, strict=True))
    assert scores["large"].mean.low > scores["small"].mean.high
    assert scores["small"].small_bones.low > scores["large"].small_bones.high
    for interval in (scores["worse"].mean, scores["worse"].overlap_zone):
        assert 0 < interval.low <= interval.estimate <= interval.high < 1


def test_weights_follow_what_a_member_is_good_at(selection):
    weights = dict(zip(("large", "small", "worse"), selection.weights.values(), strict=True))
    assert selection.weights.is_kept
    assert (weights["large"][LARGE] == 0.625).mean() > 0.9
    assert (weights["small"][SMALL] == 0.625).mean() > 0.9
    assert (weights["worse"] == 0).all()
    np.testing.assert_allclose(sum(weights.values()), 1)
    assert selection.final_dice.mean() > selection.steps[-1].dice.mean()


def test_settings_are_those_of_an_ensemble(selection):
    settings = json.loads(json.dumps(ensemble_settings(selection)))
    assert set(settings) == {"members", "combine", "bone_weights", "thresholds", "calibration"}
    members = [MemberSettings.parse(member) for member in settings["members"]]
    assert {member.name: (member.bundle, member.weights) for member in members} == {
        "large": ("segformer", "models/large.pt"),
        "small": ("segformer", "models/small.pt"),
    }
    assert settings["combine"] == "probabilities"
    np.testing.assert_allclose(np.sum([settings["bone_weights"][m.name] for m in members], axis=0), 1)
    assert list(settings["thresholds"]) == list(settings["calibration"]) == list(BONE_NAMES)
    assert all(0.4 <= threshold <= 0.6 for threshold in settings["thresholds"].values())
    scale, offset = settings["calibration"]["Ulna"]
    np.testing.assert_array_equal(selection.calibration.values()[:, CHANNEL["Ulna"]], [scale, offset])


def test_files(selection, tmp_path):
    write_selection(tmp_path, selection)
    assert json.loads((tmp_path / "selection.json").read_text()) == ensemble_settings(selection)
    models = read(tmp_path / "models.csv")
    assert [(row["name"], row["role"]) for row in models] == [
        ("large", "general"),
        ("small", "small bones"),
        ("worse", ""),
    ]
    assert float(models[1]["small_bones_low"]) == pytest.approx(selection.scores[1].small_bones.low, abs=1e-6)
    agreement = read(tmp_path / "agreement.csv")
    assert [float(row[row["model"]]) for row in agreement] == [1, 1, 1]
    steps = read(tmp_path / "selection.csv")
    assert [row["added"] for row in steps] == [selection.models[place].name for place in selection.members]
    assert steps[0]["gain"] == ""
    assert float(steps[1]["gain_low"]) > 0
    bones = read(tmp_path / "per_bone.csv")
    assert [row["bone"] for row in bones] == list(BONE_NAMES)
    assert {row["bone"]: float(row["weight_small"]) for row in bones}["Pisiform"] == 0.625
    assert [row["fitted"] for row in read(tmp_path / "tuning.csv")] == ["weights", "thresholds", "calibration"]
    with Image.open(tmp_path / "selection.png") as figure:
        assert figure.width > 1000


def test_text(selection, tmp_path):
    lines = selection_text(selection, tmp_path).splitlines()
    assert lines[0] == "8 images of 4 patients, combined by probabilities"
    assert any(line.startswith("small") and line.endswith("small bones") for line in lines)
    assert "Intervals over 4 patients are too narrow: trust them from 10 on." in lines
    assert any(
        line.startswith("weights of each bone: held-out gain in Dice, both +") and line.endswith("kept")
        for line in lines
    )


def test_models_without_probabilities_vote(world, noisy):
    folders = [world.predict(f"vote{n}", noisy(world.truth, n, noise=0.1), keep=False) for n in range(3)]
    selection = select_members(folders, world.data, folds=2)
    settings = ensemble_settings(selection)
    assert settings["combine"] == "votes"
    assert list(selection.tuned) == ["weights"]
    assert set(settings["thresholds"].values()) == {0.5}
    assert settings["calibration"]["Pisiform"] == [1, 0]


def test_an_ensemble_from_cross_validations_and_weights_trained_on_all_data(world, noisy, toy_member, tmp_path):
    members = [toy_member(name) for name in ("large", "small")]
    predictions = {"large": noisy(world.truth, 0, SMALL, 0.15), "small": noisy(world.truth, 1, LARGE, 0.15)}
    folders = [world.predict(f"crossed/{name}", values) for name, values in predictions.items()]
    for folder, member in zip(folders, members, strict=True):
        (folder / "cross_validation.json").write_text(json.dumps({"bundle": member["bundle"], "weights": "model.pt"}))
    weights = [Path(member["bundle"], "model.pt") for member in members]
    selection = select_members(folders, world.data, folds=2, weights=weights)
    bundle = write_ensemble_bundle(ensemble_settings(selection), tmp_path / "mine")
    network = load_predictor(str(bundle), device="cpu").network
    assert {m.settings.name: m.settings.weights_file for m in network.members} == dict(
        zip(("large", "small"), weights, strict=True)
    )
    chosen = list(selection.members)
    np.testing.assert_allclose(network.fusion.weights, selection.weights.values()[chosen], atol=1e-6)
    np.testing.assert_allclose(network.fusion.thresholds, selection.thresholds.values(), atol=1e-6)
    np.testing.assert_allclose(network.fusion.calibration.T, selection.calibration.values(), atol=1e-5)


def test_results_are_the_same_every_time(world, folders, selection):
    again = select_members(folders, world.data, folds=2)
    assert ensemble_settings(again) == ensemble_settings(selection)
    assert [step.gain for step in again.steps] == [step.gain for step in selection.steps]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"objective": "best"}, "objective: 'best' is unknown; choose mean, small, both"),
        ({"size": 4}, "size: 4 of 3 models is not possible; choose 1 to 3"),
        ({"size": 0}, "size: 0 of 3 models is not possible"),
        ({"folds": 1}, "num_folds: 1 folds cannot be made of 4 patients"),
    ],
)
def test_options_that_cannot_be_used(world, folders, options, problem):
    with pytest.raises(HandsegInputError, match=rf"^{problem}"):
        select_members(folders, world.data, **options)
