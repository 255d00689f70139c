"""The common part of MONAI metrics that give one score a bone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from monai.metrics import CumulativeIterationMetric
from monai.utils import MetricReduction
from numpy.typing import NDArray

ImageScore = Callable[[torch.Tensor, torch.Tensor], torch.Tensor | NDArray[np.float64]]


class CumulativeBoneMetric(CumulativeIterationMetric):
    """Collects the scores of every image and bone, for MONAI loops and `monai.handlers.IgniteMetricHandler`.

    Args:
        score: function of the prediction and the reference of one image, (C, H, W), that returns (C,).
    """

    def __init__(self, score: ImageScore) -> None:
        super().__init__()
        self.score = score

    def _compute_tensor(self, y_pred: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        if y is None:
            raise ValueError("a reference is needed")
        scores = [self.score(prediction, reference) for prediction, reference in zip(y_pred, y, strict=True)]
        return torch.stack([torch.as_tensor(score, device=y_pred.device) for score in scores])

    def aggregate(self, reduction: MetricReduction | str = MetricReduction.MEAN) -> torch.Tensor:
        """Reduce the scores collected so far; NaN is left out.

        Args:
            reduction: "mean" over images, then over bones, as the competition does (a scalar); "mean_batch" over
                images (C,); "none" (N, C).
        """
        scores: torch.Tensor = self.get_buffer()
        if reduction == MetricReduction.NONE:
            return scores
        bones = scores.nanmean(dim=0)
        if reduction == MetricReduction.MEAN_BATCH:
            return bones
        if reduction == MetricReduction.MEAN:
            return bones.nanmean()
        raise ValueError(f'reduction {reduction!r} is not one of "mean", "mean_batch" and "none"')
