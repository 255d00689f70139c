"""Intervals over patients, against loops and against what is known."""

from __future__ import annotations

import numpy as np
import pytest

from handseg_bundle_common.metrics.bootstrap import bootstrap_difference, bootstrap_interval, mean_over_bones


def naive_mean(scores: np.ndarray) -> float:
    """Mean over bones of their means over images, without NaN."""
    columns = [column[~np.isnan(column)] for column in scores.reshape(len(scores), -1).T]
    means = [column.mean() for column in columns if column.size]
    return np.mean(means) if means else np.nan


@pytest.fixture
def scores() -> np.ndarray:
    """Scores of 12 images and 5 bones of five patients, some of them missing."""
    rng = np.random.default_rng(0)
    values = rng.random((12, 5))
    values[rng.random(values.shape) < 0.2] = np.nan
    return values


PATIENTS = list("aabbbcddddee")


def test_weights_count_images_as_often_as_they_say(scores: np.ndarray) -> None:
    weights = np.random.default_rng(1).integers(0, 4, (50, 12)).astype(float)
    expected = [naive_mean(np.repeat(scores, row.astype(int), axis=0)) for row in weights]
    np.testing.assert_allclose(mean_over_bones(scores, weights), expected)


def test_the_estimate_is_the_mean_over_bones(scores: np.ndarray) -> None:
    assert bootstrap_interval(scores, PATIENTS).estimate == pytest.approx(naive_mean(scores))


def test_resamples_take_all_images_of_the_patients_drawn(scores: np.ndarray) -> None:
    """The same draws in a loop over patients, whose order is that of their names."""
    rng, names = np.random.default_rng(7), sorted(set(PATIENTS))
    found = []
    for counts in rng.multinomial(5, np.full(5, 0.2), size=200):
        rows = [row for name, count in zip(names, counts, strict=True) for row in _rows_of(scores, name) * count]
        found.append(naive_mean(np.array(rows)))
    interval = bootstrap_interval(scores, PATIENTS, resamples=200, seed=7, confidence=0.9)
    np.testing.assert_allclose((interval.low, interval.high), np.quantile(found, (0.05, 0.95)))


def _rows_of(scores: np.ndarray, patient: str) -> list[np.ndarray]:
    return [row for row, name in zip(scores, PATIENTS, strict=True) if name == patient]


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """400 samples of 40 patients with a mean of 0: 95 % of the intervals should hold it, 3.6 % less are too few."""
    rng = np.random.default_rng(3)
    patients = [str(n) for n in range(40)]
    intervals = [bootstrap_interval(rng.normal(size=40), patients, resamples=400, seed=n) for n in range(400)]
    assert np.mean([i.low <= 0 <= i.high for i in intervals]) > 0.914


def test_images_of_one_patient_make_no_interval_narrower() -> None:
    values = np.random.default_rng(4).normal(size=20)
    alone = bootstrap_interval(values, [str(n) for n in range(20)])
    tenfold = bootstrap_interval(np.repeat(values, 10), [str(n) for n in range(20) for _ in range(10)])
    assert (tenfold.low, tenfold.high) == pytest.approx((alone.low, alone.high))


def test_a_difference_cancels_what_both_models_find_hard() -> None:
    rng = np.random.default_rng(5)
    hardness = rng.normal(size=(30, 1))
    baseline = hardness + rng.normal(scale=0.01, size=(30, 4))
    patients = [str(n) for n in range(30)]
    gain = bootstrap_difference(baseline + 0.05, baseline, patients)
    assert gain.estimate == pytest.approx(0.05)
    assert gain.low == pytest.approx(0.05)
    assert bootstrap_interval(baseline, patients).high - bootstrap_interval(baseline, patients).low > 0.3


def test_a_difference_compares_what_both_models_have_a_score_for(scores: np.ndarray) -> None:
    """The other model is 0.1 better wherever it has a score; the bone that it lacks is the worst of all."""
    scores[:, 2] = 0
    other = scores + 0.1
    other[:, 2] = np.nan
    other[3] = np.nan
    assert naive_mean(other) - naive_mean(scores) > 0.15
    gain = bootstrap_difference(other, scores, PATIENTS)
    assert (gain.estimate, gain.low, gain.high) == pytest.approx((0.1, 0.1, 0.1))


def test_models_scored_on_other_images_are_not_compared(scores: np.ndarray) -> None:
    with pytest.raises(ValueError, match="shape"):
        bootstrap_difference(scores, scores[1:], PATIENTS)


def test_another_statistic_may_be_asked_for(scores: np.ndarray) -> None:
    def first_image(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return np.full(len(weights), values[0, 0])

    interval = bootstrap_interval(scores, PATIENTS, first_image)
    assert (interval.estimate, interval.low, interval.high) == (scores[0, 0],) * 3


def test_one_patient_has_no_interval(scores: np.ndarray) -> None:
    interval = bootstrap_interval(scores, ["a"] * 12)
    assert interval.estimate == pytest.approx(naive_mean(scores))
    assert np.isnan([interval.low, interval.high]).all()


def test_nothing_scored_gives_nan() -> None:
    interval = bootstrap_interval(np.full((3, 2), np.nan), ["a", "b", "c"])
    assert np.isnan([interval.estimate, interval.low, interval.high]).all()


@pytest.mark.parametrize(
    ("values", "patients", "confidence"),
    [(np.ones(3), ["a"], 0.95), (np.ones(0), [], 0.95), (np.ones(1), ["a"], 1.0)],
    ids=["patients missing", "no images", "no confidence"],
)
def test_what_makes_no_sense_is_refused(values: np.ndarray, patients: list[str], confidence: float) -> None:
    with pytest.raises(ValueError, match=r"patients|confidence"):
        bootstrap_interval(values, patients, confidence=confidence)
