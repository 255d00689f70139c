"""Cross-validation of the EffiSegNet bundle at sizes that take seconds, interrupted once on the way."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.datasets import data_list, make_folds, write_folds
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.boostcamp import rasterise, read_annotations
from handseg_bundle_common.formats.probabilities import probabilities_path, read_probabilities
from handseg_bundle_common.formats.radiograph import read_size
from handseg_bundle_common.formats.rle import decode_rle, read_submission
from handseg_bundle_common.masks import unpack_masks
from handseg_bundle_common.metrics import read_scores
from handseg_bundle_common.tracking import CrossValidation, cross_validate, cross_validation, summary_text
from handseg_bundle_common.tracking.parent_run import ParentRun
from handseg_bundle_common.tracking.plan import fold_workflow
from handseg_bundle_common.transforms import restore_masks

SMALL = {"image_size": 64, "max_epochs": 1, "batch_size": 4, "num_workers": 0, "device": "cpu", "threshold": 0.3}


@pytest.fixture(autouse=True)
def exception_hook(monkeypatch):
    """Bundles install a hook for uncaught errors; take it off again."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("cross_validation")


@pytest.fixture(scope="module")
def plan(sample_data, place):
    write_folds(place / "folds.json", make_folds(data_list(sample_data), 2))
    settings = {**SMALL, "tracking_uri": f"sqlite:///{place}/mlflow.db"}
    folds = place / "folds.json"
    return CrossValidation("effisegnet", sample_data, folds, place / "out", settings=settings, probabilities=True)


@pytest.fixture(scope="module")
def summary(plan):
    """The summary after an interruption within the second fold and a second call."""
    run, calls = cross_validation._run, []

    def failing(workflow):
        calls.append(workflow.run_id)
        if len(calls) == 4:  # the evaluation of the second fold
            raise KeyboardInterrupt
        run(workflow)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cross_validation, "_run", failing)
        with pytest.raises(KeyboardInterrupt):
            cross_validate(plan)
    assert calls == ["training", "evaluating"] * 2
    first_scores = (plan.fold_dir(0) / "scores.csv").stat().st_mtime_ns
    found = cross_validate(plan)
    assert (plan.fold_dir(0) / "scores.csv").stat().st_mtime_ns == first_scores, "a fold that was done ran again"
    return found


def test_every_image_is_predicted_once_by_a_network_that_did_not_see_it(plan, summary, sample_data):
    folds = json.loads((plan.fold_dir(0).parents[1] / "folds.json").read_text())["folds"]
    names = [name for fold in range(2) for name in read_scores(plan.fold_dir(fold) / "scores.csv").image_names]
    assert sorted(names) == sorted(f"{item['patient']}/{item['image_name']}" for item in data_list(sample_data))
    for fold, patients in enumerate(folds):
        scored = read_scores(plan.fold_dir(fold) / "scores.csv").image_names
        assert {name.split("/")[0] for name in scored} == set(patients)
    assert summary["images"] == len(names)


def test_the_probabilities_of_every_image_are_those_that_the_masks_come_from(summary, place):
    codes = read_submission(place / "out" / "predictions.csv")
    assert len(list((place / "out" / "probabilities").rglob("*.npz"))) == len(codes)
    for name, of_image in codes.items():
        stored = read_probabilities(probabilities_path(place / "out", name))
        probabilities = stored.values.astype(np.float32) / 255
        packed = restore_masks(np.log((probabilities + 1e-6) / (1 - probabilities + 1e-6)), stored.native_size, 0.3)
        masks = np.stack([decode_rle(of_image[bone], *stored.native_size) for bone in BONE_NAMES])
        assert (unpack_masks(packed) != masks).mean() < 0.01


def test_probabilities_can_be_asked_for_later(plan, summary, place):
    (lost,) = list((place / "out" / "probabilities").rglob("*.npz"))[:1]
    lost.unlink()
    weights = (plan.fold_dir(0) / "models" / "model.pt").stat().st_mtime_ns
    assert cross_validate(plan)["out_of_fold_dice"] == pytest.approx(summary["out_of_fold_dice"])
    assert lost.exists()
    assert (plan.fold_dir(0) / "models" / "model.pt").stat().st_mtime_ns == weights, "it was trained again"


def test_an_ensemble_is_not_trained(plan):
    with pytest.raises(HandsegInputError, match=r"train\.json: is not there: this bundle is not trained"):
        cross_validate(replace(plan, bundle="ensemble"))


def test_scores_are_the_dice_of_the_joined_predictions(plan, summary, place, sample_data):
    codes = read_submission(place / "out" / "predictions.csv")
    scores = read_scores(place / "out" / "scores.csv")
    items = {f"{item['patient']}/{item['image_name']}": item for item in data_list(sample_data)}
    for name, row in zip(scores.image_names, scores.dice, strict=True):
        size = read_size(items[name]["image"])
        labels = rasterise(read_annotations(items[name]["label"]), *size)
        for channel in (0, 8, 20, 27):
            mask = decode_rle(codes[items[name]["image_name"]][BONE_NAMES[channel]], *size)
            dice = 2 * (mask & labels[channel]).sum() / (mask.sum() + labels[channel].sum())
            assert row[channel] == pytest.approx(dice, abs=1e-6)
    assert summary["out_of_fold_dice"] == pytest.approx(np.nanmean(np.nanmean(scores.dice, axis=0)))


def test_folds_are_child_runs_of_one_parent(summary, place):
    client = mlflow.MlflowClient(f"sqlite:///{place}/mlflow.db")
    experiment = client.get_experiment_by_name("handseg")
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run is not parent]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert sorted(run.info.run_name for run in children) == ["effisegnet-fold0", "effisegnet-fold1"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert parent.data.metrics["out_of_fold_dice"] == pytest.approx(summary["out_of_fold_dice"])
    assert parent.data.params["image_size"] == "64"
    artifacts = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert artifacts == {"summary.json", "per_bone.csv", "figures", "scores.csv", "predictions.csv"}


def test_the_summary_is_said_in_a_few_lines(summary):
    text = summary_text(summary, "out")
    assert "fold 0: Dice" in text
    assert text.endswith("2 of 2 folds: out")


def test_other_settings_do_not_mix_with_earlier_folds(plan, summary):
    other = CrossValidation(plan.bundle, plan.data_dir, plan.folds, plan.output, settings={"image_size": 96})
    with pytest.raises(HandsegInputError, match="cross-validation with other settings"):
        cross_validate(other)


def test_changed_labels_do_not_mix_with_earlier_folds(plan, summary, tmp_path):
    data = shutil.copytree(plan.data_dir, tmp_path / "data")
    label = min((data / "outputs_json").glob("*/*.json"))
    label.write_text(label.read_text() + " ")
    other = CrossValidation(plan.bundle, data, plan.folds, plan.output, settings=plan.settings)
    with pytest.raises(HandsegInputError, match="cross-validation with other data_dir, data"):
        cross_validate(other)


@pytest.mark.parametrize(
    ("changes", "only", "message"),
    [
        ({"settings": {"fold": 1}}, None, "fold: is set by the cross-validation itself"),
        ({"settings": {"image_sise": 64}}, None, "image_sise: is no id of the bundle; did you mean image_size"),
        ({"settings": {"bundle_root": "x"}}, None, "bundle_root: is set by the cross-validation itself"),
        ({"settings": {"ckpt_dir#x": 1}}, None, "is set by the cross-validation itself"),
        ({"settings": {"train#nonsense": 1}}, None, "train#nonsense: is no id of the bundle"),
        ({"settings": {"max_epochs::x": 1}}, None, "max_epochs::x: is no id of the bundle"),
        ({"configs": ["nowhere.json"]}, None, "nowhere.json: is not there"),
        ({"data_dir": "nowhere"}, None, "nowhere"),
        ({}, [2], "has no fold 2; choose 0 to 1"),
    ],
    ids=[
        "reserved",
        "misspelt",
        "bundle_root",
        "reserved, nested",
        "nested",
        "below a value",
        "no configuration",
        "no data",
        "no fold",
    ],
)
def test_impossible_wishes_leave_nothing_behind(plan, tmp_path, changes, only, message):
    wish = replace(plan, output=tmp_path / "out", **changes)
    with pytest.raises(HandsegInputError, match=message):
        cross_validate(wish, only)
    assert not (tmp_path / "out").exists()


def test_recipes_do_not_decide_which_weights_are_evaluated(plan, repository):
    """The fine-tuning recipe puts its own weights into the network; the evaluation must load those of the fold."""
    recipe = repository / "bundles" / "effisegnet" / "configs" / "finetune.json"
    workflow = fold_workflow(replace(plan, configs=[recipe]), 1, is_evaluation=True, output_dir="")
    assert workflow.parser["network"]["path"] == "@weights"
    assert workflow.parser.get_parsed_content("weights") == str(plan.fold_dir(1) / "models" / "model.pt")


def test_images_of_one_name_in_several_folds_are_told_apart(plan, sample_data, tmp_path):
    data = tmp_path / "data"
    for item in data_list(sample_data):
        for kind, key in (("DCM", "image"), ("outputs_json", "label")):
            source = Path(item[key])
            target = data / kind / item["patient"] / source.name.replace(item["patient"], "hand")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    wish = replace(plan, data_dir=data, output=tmp_path / "out", tracking=False)
    cross_validate(wish)
    names = set(read_submission(tmp_path / "out" / "predictions.csv"))
    assert names == {f"{item['patient']}/hand_{side}.png" for item in data_list(sample_data) for side in "LR"}


def test_a_lost_parent_run_is_replaced(tmp_path, caplog):
    tracking = {"tracking_uri": f"sqlite:///{tmp_path}/mlflow.db", "experiment_name": "handseg"}
    with ParentRun.of(tmp_path, tracking, {"bundle": "effisegnet"}) as first:
        pass
    with ParentRun.of(tmp_path, tracking, {}) as again:
        assert again.run_id == first.run_id
    elsewhere = {**tracking, "tracking_uri": f"sqlite:///{tmp_path}/other.db"}
    with ParentRun.of(tmp_path, elsewhere, {}) as other:
        assert other.run_id != first.run_id
    assert "logging to a new one" in caplog.text


def test_averaged_weights_are_scored_on_request(plan, repository, tmp_path):
    recipe = str(repository / "bundles" / "effisegnet" / "configs" / "swa.json")
    settings = {**plan.settings, "swa_start": 0}
    averaged = replace(plan, configs=[recipe], settings=settings, output=tmp_path, weights="swa.pt", tracking=False)
    cross_validate(averaged, [0])
    config = json.loads((tmp_path / "fold0" / "evaluation" / "config.json").read_text())
    assert config["weights"] == str(tmp_path / "fold0" / "models" / "swa.pt")


def test_weights_that_no_training_writes_are_refused_before_it_starts(plan, tmp_path):
    with pytest.raises(HandsegInputError, match=r"weights: swa.pt is not written by this training; .* swa.json"):
        cross_validate(replace(plan, output=tmp_path, weights="swa.pt"), [0])
