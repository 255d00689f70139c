"""Dice of overlapping masks, over the whole radiograph and where bones overlap."""

from __future__ import annotations

from functools import partial

import torch
from monai.utils import convert_to_tensor

from handseg_bundle_common.metrics.cumulative import CumulativeBoneMetric
from handseg_bundle_common.metrics.empty import COMPETITION, OVERLAP_ZONE, EmptyMasks

# The smoothing term of the competition's formula (boostcamp hand bone segmentation, 29 classes).
COMPETITION_EPS = 1e-4


def dice(
    prediction: torch.Tensor,
    reference: torch.Tensor,
    *,
    eps: float = COMPETITION_EPS,
    empty: EmptyMasks = COMPETITION,
) -> torch.Tensor:
    """Return the Dice coefficient of every bone, (2 |A and B| + eps) / (|A| + |B| + eps).

    Source: L. R. Dice, Measures of the amount of ecologic association between species, Ecology 26 (1945), with
    the competition's smoothing. Pixels are counted in integers, so the result is exact at any image size.

    Args:
        prediction: masks (C, H, W) or (N, C, H, W), bool or integer; what is not 0 is inside.
        reference: masks of the same shape.
        eps: smoothing term.
        empty: scores where a mask has no pixel.

    Returns:
        float64 (C,) or (N, C).

    Raises:
        ValueError: the shapes differ.
        TypeError: a mask is floating-point: probabilities must pass a threshold first.

    Example:
        >>> a = torch.tensor([[[1, 1, 0]]], dtype=torch.bool)
        >>> b = torch.tensor([[[0, 1, 1]]], dtype=torch.bool)
        >>> round(dice(a, b).item(), 4)
        0.5
    """
    prediction, reference = _checked(prediction, reference)
    predicted, expected = _count(prediction), _count(reference)
    shared = _count(prediction & reference)
    scores = (2 * shared.double() + eps) / ((predicted + expected).double() + eps)
    return empty.apply(scores, predicted, expected)


def overlap_zone_dice(
    prediction: torch.Tensor,
    reference: torch.Tensor,
    *,
    eps: float = COMPETITION_EPS,
    empty: EmptyMasks = OVERLAP_ZONE,
) -> torch.Tensor:
    """Return the Dice coefficient of every bone over the pixels that belong to two bones or more in the reference.

    Args:
        prediction: masks (C, H, W) or (N, C, H, W), bool or integer.
        reference: masks of the same shape.
        eps: smoothing term.
        empty: scores where a mask has no pixel in the zone; as it stands, a bone whose reference has none is NaN.

    Returns:
        float64 (C,) or (N, C).

    Raises:
        ValueError: the shapes differ.
        TypeError: a mask is floating-point.
    """
    prediction, reference = _checked(prediction, reference)
    zone = reference.sum(dim=-3, keepdim=True, dtype=torch.uint8) >= 2
    return dice(prediction & zone, reference & zone, eps=eps, empty=empty)


def _checked(prediction: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return both as plain bool tensors of one shape."""
    if prediction.shape != reference.shape:
        raise ValueError(f"prediction {tuple(prediction.shape)} and reference {tuple(reference.shape)} differ in shape")
    if prediction.is_floating_point() or reference.is_floating_point():
        raise TypeError("masks must be bool or integer; threshold probabilities first")
    plain = (convert_to_tensor(masks, track_meta=False).bool() for masks in (prediction, reference))
    return next(plain), next(plain)


def _count(masks: torch.Tensor) -> torch.Tensor:
    """Count the pixels of every mask; mask by mask, because a sum over an axis would copy all to int64."""
    counts = [torch.count_nonzero(mask) for mask in masks.flatten(0, -3)]
    return torch.stack(counts).reshape(masks.shape[:-2])


class BoneDice(CumulativeBoneMetric):
    """Cumulative form of `dice`, for MONAI loops and `monai.handlers.IgniteMetricHandler`.

    Args:
        eps: smoothing term.
        empty: scores where a mask has no pixel; the competition's as it stands.
    """

    def __init__(self, eps: float = COMPETITION_EPS, empty: EmptyMasks = COMPETITION) -> None:
        super().__init__(partial(dice, eps=eps, empty=empty))


class OverlapZoneDice(CumulativeBoneMetric):
    """Cumulative form of `overlap_zone_dice`.

    Args:
        eps: smoothing term.
        empty: scores where a mask has no pixel in the zone; as it stands, a bone whose reference has none is left out.
    """

    def __init__(self, eps: float = COMPETITION_EPS, empty: EmptyMasks = OVERLAP_ZONE) -> None:
        super().__init__(partial(overlap_zone_dice, eps=eps, empty=empty))
