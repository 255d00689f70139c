"""Probabilities that are as often right as they say: scale and offset of the logit, bone by bone.

Source: J. Platt, Probabilistic outputs for support vector machines and comparisons to regularized likelihood methods,
Advances in Large Margin Classifiers, 1999.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.ensemble.selection.evidence import Evidence
from handseg_bundle_common.ensemble.selection.nested import FoldOf, Tuned, folds_and_all, shrink
from handseg_bundle_common.ensemble.selection.objective import Floats
from handseg_bundle_common.formats.probabilities import MAX_LEVEL
from handseg_bundle_common.metrics import bootstrap_interval

# Scale and offset that leave a logit as it is.
IDENTITY = (1.0, 0.0)

# Half a level: what is stored as 0 or 255 is no certainty.
_CLOSEST = 0.5 / MAX_LEVEL
# Networks are off by less; without bounds a bone that is never wrong would have an infinite scale.
_BOUNDS = ((0.1, 10.0), (-10.0, 10.0))


def fit_platt(logits: Floats, truth: NDArray[np.bool_]) -> tuple[float, float]:
    """Return scale and offset that make logits those of calibrated probabilities.

    The likelihood is Platt's, with targets of (n + 1) / (n + 2) and 1 / (m + 2) in place of 1 and 0 for the n pixels
    within and the m without. Where one kind is missing, the logits are left as they are.

    Args:
        logits: (n,).
        truth: (n,), whether the pixel belongs to the bone.
    """
    within = int(truth.sum())
    without = truth.size - within
    if not within or not without:
        return IDENTITY
    targets = np.where(truth, (within + 1) / (within + 2), 1 / (without + 2))

    def loss(parameters: Floats) -> tuple[float, Floats]:
        scaled = parameters[0] * logits + parameters[1]
        wrong = expit(scaled) - targets
        likelihood = np.logaddexp(0, scaled) - targets * scaled
        return float(likelihood.mean()), np.array([(wrong * logits).mean(), wrong.mean()])

    found = minimize(loss, IDENTITY, jac=True, method="TNC", bounds=_BOUNDS)
    scale, offset = found.x.tolist()
    return scale, offset


def calibrate(evidence: Evidence, weights: Tuned, fold_of: FoldOf, *, seed: int = 0) -> Tuned:
    """Calibrate the weighted mean of the probabilities, as measured by the log loss of pixels around the bones.

    Args:
        evidence: what the models predict.
        weights: those of `tune_weights`; each fold has its own.
        fold_of: fold of every image.
        seed: of the interval.

    Returns:
        Scales and offsets (2, 29); the gain is the decrease of the log loss in nats, averaged over bones.
    """
    levels, truth = evidence.samples()
    neutral = np.repeat(np.array(IDENTITY)[:, None], NUM_BONES, axis=1)
    gains = np.empty((len(fold_of), NUM_BONES))
    of_fold: dict[int, Floats] = {}
    for fold in folds_and_all(fold_of):
        is_held_out = fold_of == fold
        logits = _mean_logits(levels, weights.values(fold))
        fitted = [fit_platt(logits[~is_held_out, k].ravel(), truth[~is_held_out, k].ravel()) for k in range(NUM_BONES)]
        of_fold[fold] = shrink(np.array(fitted).T, neutral)
        own = logits[is_held_out], truth[is_held_out]
        gains[is_held_out] = _log_loss(*own, neutral) - _log_loss(*own, of_fold[fold])
    return Tuned(of_fold, neutral, bootstrap_interval(gains.mean(axis=1), evidence.patients, seed=seed))


def _mean_logits(levels: NDArray[np.uint8], weights: Floats) -> Floats:
    """Return the logits (N, 29, s) of weighted means of levels (N, 29, s, M)."""
    mean = np.einsum("nksm,mk->nks", levels, weights / MAX_LEVEL)
    return np.asarray(logit(mean.clip(_CLOSEST, 1 - _CLOSEST)))


def _log_loss(logits: Floats, truth: NDArray[np.bool_], calibration: Floats) -> Floats:
    """Return the mean log loss (N, 29) of logits (N, 29, s)."""
    scale, offset = calibration[..., None]
    scaled = scale * logits + offset
    return np.asarray((np.logaddexp(0, scaled) - truth * scaled).mean(axis=-1))
