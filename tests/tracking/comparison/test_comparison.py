"""Runs read from MLflow and compared: which ones, with which scores, against which other."""

from __future__ import annotations

import numpy as np
import pytest

from handseg_bundle_common.anatomy import BONE_NAMES, CHANNEL, SMALL_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.metrics import ImageScores, write_scores
from handseg_bundle_common.tracking.comparison import compare_runs
from handseg_bundle_common.tracking.comparison.scores import BASELINE, NO_IMAGES, OTHER_IMAGES

EXPERIMENT = "trials"
SMALL = [CHANNEL[name] for name in SMALL_BONES]


@pytest.fixture(scope="module")
def everything(store):
    return compare_runs(store.client, EXPERIMENT)


def entry_of(comparison, name):
    return next(entry for entry in comparison.entries if entry.run.name == name)


def patients_of(store):
    return [name.split("/")[0] for name in store.images]


def mean_dice(dice):
    """The competition's average: over images, then over bones."""
    columns = [[value for value in column if not np.isnan(value)] for column in np.transpose(dice)]
    return np.mean([np.mean(column) for column in columns if column])


def naive_interval(statistic, patients):
    """A patient bootstrap written out: patients drawn one by one, their images gathered."""
    rng = np.random.default_rng(7)
    names = sorted(set(patients))
    rows_of = {name: [k for k, patient in enumerate(patients) if patient == name] for name in names}
    drawn = []
    for _ in range(1500):
        rows = [row for name in rng.choice(names, len(names)) for row in rows_of[name]]
        drawn.append(statistic(rows))
    return np.quantile(drawn, (0.025, 0.975))


def test_finished_runs_with_scores_are_compared_best_first_and_the_others_named(everything):
    assert [entry.number for entry in everything.entries] == list(range(1, 8))
    means = [entry.mean.estimate for entry in everything.entries]
    assert means == sorted(means, reverse=True)
    assert {(one.name, one.reason) for one in everything.left_out} == {
        ("unfinished", "still running"),
        ("broken off", "failed"),
        ("silent", "no scores"),
        ("fold 0", "part of folds"),
    }


def test_scores_have_the_intervals_of_a_bootstrap_over_patients(everything, store):
    dice = store.dice["plain"]
    entry = entry_of(everything, "plain")
    for interval, scores in ((entry.mean, dice), (entry.small, dice[:, SMALL])):
        assert interval.estimate == pytest.approx(mean_dice(scores))
        low, high = naive_interval(lambda rows, scores=scores: mean_dice(scores[rows]), patients_of(store))
        # As far as two bootstraps agree.
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.15 * (high - low))


def test_differences_are_paired_over_the_images_that_both_runs_have(everything, store):
    gain = store.dice["averaged"] - store.dice["plain"]
    entry = entry_of(everything, "averaged")
    assert everything.baseline.run.name == "plain"
    assert entry.images == len(store.images)
    assert entry.differences["all"].gain.estimate == pytest.approx(mean_dice(gain))
    assert entry.differences["small"].gain.estimate == pytest.approx(mean_dice(gain[:, SMALL]))
    low, high = naive_interval(lambda rows: mean_dice(gain[rows]), patients_of(store))
    found = entry.differences["all"].gain
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.15 * (high - low))
    for bone in BONE_NAMES:
        assert entry.differences[bone].gain.estimate == pytest.approx(np.nanmean(gain[:, CHANNEL[bone]]))
    radius = entry.differences["Radius"]
    assert radius.gain.estimate == pytest.approx(-0.02)
    assert radius.is_certain
    assert entry.differences["Pisiform"].images == len(store.images) - 3


def test_runs_of_other_images_have_no_difference(everything, store):
    partly, elsewhere = entry_of(everything, store.hostile_name), entry_of(everything, "elsewhere")
    assert partly.images == 8
    assert partly.differences["all"].gain.estimate == pytest.approx(0.01)
    assert (elsewhere.remark, elsewhere.differences) == (OTHER_IMAGES, {})
    warnings = " ".join(everything.warnings)
    assert f"their fingerprints differ from the baseline's in run {elsewhere.number}, and images are paired" in warnings
    assert "Intervals of 2 patients are too narrow" in warnings
    assert f"other images than the baseline: run {elsewhere.number}." in warnings
    assert f"which are not all: run {partly.number}." in warnings


def test_runs_without_scores_of_images_appear_with_the_numbers_they_have(everything):
    numbers, curve = entry_of(everything, "numbers only"), entry_of(everything, "curve only")
    assert (numbers.mean.estimate, numbers.mean.low, numbers.mean.high) == (0.8, 0.7, 0.85)
    assert numbers.small.estimate == 0.6
    assert np.isnan(numbers.small.low)
    assert (curve.mean.estimate, curve.source) == (0.72, "epoch 2, its best")
    assert np.isnan([curve.mean.low, curve.small.estimate]).all()
    assert {numbers.remark, curve.remark} == {NO_IMAGES}


def test_settings_that_differ_are_told_from_what_the_runs_were_made_with(store):
    comparison = compare_runs(store.client, EXPERIMENT, ["plain", "averaged", "elsewhere"])
    assert {setting.name: setting.values for setting in comparison.settings} == {
        "image_size": (None, "256", None),
        "loss": ("bce", "dice-focal", None),
    }
    assert {setting.name: setting.values for setting in comparison.environment} == {
        "data_fingerprint": ("aaaa", "aaaa", "bbbb")
    }


def test_named_runs_keep_their_order_and_the_first_is_the_baseline(store):
    comparison = compare_runs(store.client, EXPERIMENT, ["plain", store.ids["averaged"], "plain"])
    assert [entry.run.name for entry in comparison.entries] == ["plain", "averaged"]
    assert comparison.baseline.run.name == "plain"
    assert comparison.entries[0].remark == BASELINE


def test_a_baseline_takes_part_and_turns_the_sign(store):
    forth = compare_runs(store.client, EXPERIMENT, ["averaged"], baseline="plain").entries[1]
    back = compare_runs(store.client, EXPERIMENT, ["plain", "averaged"], baseline="averaged").entries[0]
    assert forth.differences["all"].gain.estimate == pytest.approx(-back.differences["all"].gain.estimate)


def test_folds_and_unfinished_runs_can_be_named(store):
    comparison = compare_runs(store.client, EXPERIMENT, ["fold 0", "unfinished"])
    assert comparison.entries[0].remark == BASELINE
    assert comparison.entries[1].run.minutes is None


def test_one_run_is_compared_with_nothing(store):
    comparison = compare_runs(store.client, EXPERIMENT, ["averaged"])
    assert comparison.entries[0].differences == {}
    assert comparison.settings == []


@pytest.mark.parametrize(
    ("experiment", "names", "baseline", "message"),
    [
        (EXPERIMENT, ["plane"], None, "did you mean 'plain'"),
        (EXPERIMENT, ["silent"], None, "'silent' has no scores; evaluate it"),
        (EXPERIMENT, ["earlier comparison"], None, "is a comparison itself"),
        (EXPERIMENT, ["plain"], "curve only", "'curve only' has no scores of images; choose"),
        (EXPERIMENT, None, "nobody", "no run of 'trials' has this name"),
        ("empty", None, None, r"no finished run with scores \(it is empty\)"),
        ("trails", None, None, "no experiment 'trails'; choose one of .*'trials'"),
    ],
)
def test_runs_that_cannot_be_compared_are_one_sentence(store, experiment, names, baseline, message):
    with pytest.raises(HandsegInputError, match=message):
        compare_runs(store.client, experiment, names, baseline)


def test_names_of_several_runs_ask_for_identifiers(store):
    experiment = make_experiment(store, "twins")
    identifiers = [store.client.create_run(experiment, run_name="twin").info.run_id for _ in "ab"]
    with pytest.raises(HandsegInputError, match="2 runs of 'twins' have this name") as caught:
        compare_runs(store.client, "twins", ["twin"])
    assert all(identifier in str(caught.value) for identifier in identifiers)


def test_damaged_scores_leave_a_run_out(store, tmp_path):
    run_id = store.client.create_run(make_experiment(store, "damaged", tmp_path), run_name="torn").info.run_id
    (tmp_path / "scores.csv").write_text("image_name,finger-1\na,b\n")
    store.client.log_artifact(run_id, str(tmp_path / "scores.csv"))
    store.client.set_terminated(run_id)
    with pytest.raises(HandsegInputError, match=r"no finished run with scores \(torn: cannot be read as scores"):
        compare_runs(store.client, "damaged")


def test_a_bone_that_is_in_no_image_has_no_difference(store, tmp_path):
    experiment = make_experiment(store, "without", tmp_path)
    dice = store.dice["plain"].copy()
    dice[:, CHANNEL["Ulna"]] = np.nan
    write_scores(tmp_path / "scores.csv", ImageScores(list(store.images), dice))
    for name in ("a", "b"):
        run_id = store.client.create_run(experiment, run_name=name).info.run_id
        store.client.log_artifact(run_id, str(tmp_path / "scores.csv"))
    entry = compare_runs(store.client, "without", ["a", "b"]).entries[1]
    assert np.isnan(entry.differences["Ulna"].gain.estimate)
    assert not entry.differences["Ulna"].is_certain
    assert entry.differences["all"].gain.estimate == 0


def make_experiment(store, name, folder=None):
    return store.client.create_experiment(name, artifact_location=None if folder is None else folder.as_uri())
