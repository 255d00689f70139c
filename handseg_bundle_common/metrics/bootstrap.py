"""How sure a score is: bootstrap intervals over patients, whose images are not independent of each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Scores = NDArray[np.float64]
# Scores and the weight of every image, (resamples, N), to one number a resample.
Statistic = Callable[[Scores, Scores], Scores]

_CHUNK = 256


@dataclass(frozen=True)
class Interval:
    """An estimate with its bootstrap interval.

    Attributes:
        estimate: the statistic of the images as they are.
        low: lower end of the interval, NaN where there is none.
        high: upper end of the interval, NaN where there is none.
    """

    estimate: float
    low: float
    high: float


def mean_over_bones(scores: Scores, weights: Scores) -> Scores:
    """Return the mean over bones of their weighted means over images, as the competition averages; NaN is left out.

    Args:
        scores: (N,) or (N, bones).
        weights: how often each image counts, (resamples, N).

    Returns:
        (resamples,), NaN where nothing can be averaged.
    """
    columns = scores.reshape(len(scores), -1)
    valid = ~np.isnan(columns)
    counted = weights @ valid
    sums = weights @ np.where(valid, columns, 0)
    means = np.divide(sums, counted, out=np.full_like(sums, np.nan), where=counted > 0)
    return np.asarray(np.ma.masked_invalid(means).mean(axis=1).filled(np.nan), np.float64)


def bootstrap_interval(
    values: ArrayLike,
    patients: Sequence[str],
    statistic: Statistic = mean_over_bones,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return a statistic of scores with its percentile bootstrap interval.

    Patients are drawn with replacement and all their images are taken, because images of one patient resemble each
    other. Source: B. Efron, R. Tibshirani, An Introduction to the Bootstrap (1993), chapter 13; for clusters C. Field,
    A. Welsh, Bootstrapping clustered data, J. R. Stat. Soc. B 69 (2007). Resamples whose statistic is not defined, for
    lack of images with a score, are left out. One patient tells nothing of others: its interval is NaN.

    Args:
        values: scores (N,) or (N, bones); NaN is not scored.
        patients: whose image each of the N is.
        statistic: called with the scores and the weights (resamples, N) of the images, returns (resamples,).
        confidence: share of the resamples that lie inside.
        resamples: number of them.
        seed: the same seed gives the same interval.

    Raises:
        ValueError: there are no images, the number of patients differs, or the confidence is not between 0 and 1.
    """
    scores = np.asarray(values, np.float64)
    _check(scores, patients, confidence)
    found = [statistic(scores, weights) for weights in _weights(tuple(patients), resamples, seed)]
    tail = (1 - confidence) / 2
    drawn = np.concatenate(found)
    drawn = drawn[~np.isnan(drawn)]
    (estimate,) = statistic(scores, np.ones((1, len(scores))))
    is_known = drawn.size and len(set(patients)) > 1
    low, high = np.quantile(drawn, (tail, 1 - tail)) if is_known else (np.nan, np.nan)
    return Interval(float(estimate), float(low), float(high))


def bootstrap_difference(
    values: ArrayLike,
    baseline: ArrayLike,
    patients: Sequence[str],
    statistic: Statistic = mean_over_bones,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return the difference of a statistic between two models on the same images, with its interval.

    Both are resampled together, so that what makes an image hard for both does not widen the interval, and compared on
    the same images and bones: what one of them has no score for is left out for both.

    Args:
        values: scores (N,) or (N, bones) of one model.
        baseline: those of the other, of the same shape.
        patients: whose image each of the N is.
        statistic: as in `bootstrap_interval`.
        confidence: as there.
        resamples: as there.
        seed: as there.

    Raises:
        ValueError: as there, or the shapes differ.
    """
    pair = np.asarray(values, np.float64), np.asarray(baseline, np.float64)
    if pair[0].shape != pair[1].shape:
        raise ValueError(f"scores of shape {pair[0].shape} cannot be compared with {pair[1].shape}")

    def difference(stacked: Scores, weights: Scores) -> Scores:
        return statistic(stacked[..., 0], weights) - statistic(stacked[..., 1], weights)

    stacked = np.stack(pair, axis=-1)
    stacked[np.isnan(stacked).any(axis=-1)] = np.nan
    return bootstrap_interval(stacked, patients, difference, confidence=confidence, resamples=resamples, seed=seed)


def _check(scores: Scores, patients: Sequence[str], confidence: float) -> None:
    if not len(scores) or len(patients) != len(scores):
        raise ValueError(f"{len(patients)} patients are named for {len(scores)} images")
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence of {confidence} is not between 0 and 1")


@lru_cache(maxsize=2)
def _weights(patients: tuple[str, ...], resamples: int, seed: int) -> list[Scores]:
    """Return how often each image is drawn, in chunks of resamples that fit into memory.

    Drawing takes longer than averaging, and one bone after the other asks for the same draws.
    """
    rng = np.random.default_rng(seed)
    names, of_image = np.unique(np.asarray(patients, str), return_inverse=True)
    equal = np.full(len(names), 1 / len(names))
    sizes = [min(_CHUNK, resamples - start) for start in range(0, resamples, _CHUNK)]
    return [rng.multinomial(len(names), equal, size=size)[:, of_image].astype(np.float64) for size in sizes]
