"""Which bone is taken for which: the confusion matrix of overlapping masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from monai.metrics import CumulativeIterationMetric
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONE_NAMES, NUM_BONES
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.metrics.crops import Masks
from handseg_bundle_common.metrics.label_sets import label_sets

BACKGROUND = NUM_BONES
CONFUSION_LABELS: tuple[str, ...] = (*BONE_NAMES, "background")


@dataclass(frozen=True, eq=False)
class Confusion:
    """Confusion matrix of one image, or of several whose matrices were added.

    Rows are labels of the reference, columns those of the prediction, both `CONFUSION_LABELS`: bones in channel order,
    then the background, which is the label of a pixel without a bone.

    Attributes:
        counts: int64 (30, 30); entry (i, i) has the pixels of label i that were found, entry (i, j) those that were
            taken for j, in place of i or besides it.
        pixels: pixels of every label in the reference, int64 (30,).
    """

    counts: NDArray[np.int64]
    pixels: NDArray[np.int64]

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(self.counts + other.counts, self.pixels + other.pixels)

    def rates(self) -> NDArray[np.float64]:
        """Return the counts as shares of the pixels of their row's label, (30, 30); NaN for a label without any.

        The diagonal is the sensitivity. A row sums to more than 1 where its pixels have labels too many.
        """
        shares = np.full(self.counts.shape, np.nan)
        np.divide(self.counts, self.pixels[:, None], out=shares, where=self.pixels[:, None] > 0)
        return shares


def multi_label_confusion(prediction: Masks, reference: Masks) -> Confusion:
    """Return the multi-label confusion matrix of one image; bones that rightly overlap are no error.

    Of a pixel's labels, those in both sets are right and count on the diagonal. Every missed label is confused with
    every surplus one, or with the background if there is none. Where no label is missed, a surplus one lies falsely
    over all labels of the pixel: {triquetrum} predicted as {triquetrum, pisiform} counts as (triquetrum, triquetrum)
    and (triquetrum, pisiform). Source: M. Heydarian, T. E. Doyle, R. Samavi, MLCM: Multi-Label Confusion Matrix,
    IEEE Access 10 (2022), whose extra row and column, "no true label" and "no predicted label", are the background.
    Two things differ: their program takes missed labels for the first surplus one only and lays the others over all
    labels, so that the order of labels matters; and it normalises by a row's sum, which counts a pixel several times,
    `Confusion.rates` by pixels.

    Args:
        prediction: packed masks (H, W) uint32, or masks (29, H, W), bool or integer; packed is fastest.
        reference: masks of the same picture in either form.

    Raises:
        ValueError: the sizes of the pictures differ, or there are not 29 bones.
        TypeError: a mask is floating-point.
    """
    sets = label_sets(prediction, reference)
    predicted, expected = _labels(sets.predicted), _labels(sets.expected)
    missed, surplus = expected & ~predicted, predicted & ~expected
    none_missed, any_surplus = ~missed.any(1, keepdims=True), surplus.any(1, keepdims=True)
    confused = missed | (expected & none_missed & any_surplus)
    taken_for = surplus | (~any_surplus & (np.arange(len(CONFUSION_LABELS)) == BACKGROUND))
    counts = confused.T @ (taken_for * sets.pixels[:, None])
    counts += np.diag(sets.pixels @ (predicted & expected))
    return Confusion(counts, sets.pixels @ expected)


def _labels(sets: Packed) -> NDArray[np.bool_]:
    """Return which labels every set has, (n, 30)."""
    bones = (sets[:, None] >> np.arange(NUM_BONES, dtype=np.uint32) & 1).astype(bool)
    return np.column_stack((bones, ~bones.any(1)))


class MultiLabelConfusion(CumulativeIterationMetric):
    """Cumulative form of `multi_label_confusion`, for MONAI loops and `monai.handlers.IgniteMetricHandler`.

    The buffers, which the handler keeps as the details, are the counts (N, 30, 30) and pixels (N, 30) of every image.

    Args:
        as_rates: aggregate to `Confusion.rates` in place of its counts.
    """

    def __init__(self, as_rates: bool = False) -> None:
        super().__init__()
        self.as_rates = as_rates

    def _compute_tensor(self, y_pred: torch.Tensor, y: torch.Tensor | None = None) -> list[torch.Tensor]:
        if y is None:
            raise ValueError("a reference is needed")
        images = [multi_label_confusion(prediction, reference) for prediction, reference in zip(y_pred, y, strict=True)]
        arrays = np.stack([image.counts for image in images]), np.stack([image.pixels for image in images])
        return [torch.as_tensor(array, device=y_pred.device) for array in arrays]

    def aggregate(self) -> torch.Tensor:
        """Return the matrix of all images collected so far, (30, 30): int64 counts or float64 rates."""
        counts, pixels = (buffer.sum(0).cpu().numpy() for buffer in self.get_buffer())
        together = Confusion(counts, pixels)
        return torch.from_numpy(together.rates() if self.as_rates else together.counts)
