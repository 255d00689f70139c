"""The loss by hand, on two pixels, and its gradient by finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from handseg_bundle_common.losses import DiceBCELoss

SMOOTH = 1e-5  # MONAI's smoothing term


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_one_bone_on_two_pixels_by_hand() -> None:
    logits, target = torch.tensor([[[[2.0, -1.0]]]]), torch.tensor([[[[1, 0]]]], dtype=torch.uint8)
    p, q = sigmoid(2), sigmoid(-1)
    dice_loss = 1 - (2 * p + SMOOTH) / (p + q + 1 + SMOOTH)
    bce = (-math.log(p) - math.log(1 - q)) / 2
    assert DiceBCELoss()(logits, target).item() == pytest.approx(dice_loss + bce, rel=1e-6)
    assert DiceBCELoss(dice_weight=0.25, bce_weight=3)(logits, target).item() == pytest.approx(
        0.25 * dice_loss + 3 * bce, rel=1e-6
    )


def test_weight_of_positive_pixels_is_per_bone() -> None:
    logits = torch.tensor([[[[1.0]], [[1.0]]]])
    target = torch.ones_like(logits)
    loss = DiceBCELoss(dice_weight=0, positive_weight=[2, 5])
    assert loss(logits, target).item() == pytest.approx((2 + 5) / 2 * softplus(-1.0), rel=1e-6)


def test_bones_do_not_compete() -> None:
    """A pixel of two bones costs nothing when both are certain: no softmax anywhere."""
    certain = torch.full((1, 3, 4, 4), 30.0)
    assert DiceBCELoss()(certain, torch.ones_like(certain)).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("batch", [True, False])
def test_batch_sums_over_the_images_before_the_ratio(batch: bool) -> None:
    rng = np.random.default_rng(0)
    logits, target = rng.normal(size=(2, 3, 4, 5)), rng.random((2, 3, 4, 5)) < 0.3
    p = 1 / (1 + np.exp(-logits))
    axes = (0, 2, 3) if batch else (2, 3)
    ratio = (2 * (p * target).sum(axes) + SMOOTH) / (p.sum(axes) + target.sum(axes) + SMOOTH)
    loss = DiceBCELoss(bce_weight=0, batch=batch)
    assert loss(torch.from_numpy(logits), torch.from_numpy(target)).item() == pytest.approx(np.mean(1 - ratio))


def test_gradient_matches_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((2, 3, 3, 2), dtype=torch.float64, generator=generator, requires_grad=True)
    target = torch.rand((2, 3, 3, 2), generator=generator) < 0.5
    assert torch.autograd.gradcheck(lambda x: DiceBCELoss(positive_weight=[1, 2, 3])(x, target), logits)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_sums_do_not_overflow(dtype: torch.dtype) -> None:
    logits = torch.full((1, 1, 400, 400), 20.0, dtype=dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = DiceBCELoss()(logits, torch.ones_like(logits))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(0, abs=1e-4)


def test_state_holds_no_weights() -> None:
    assert DiceBCELoss(positive_weight=[1.0] * 29).state_dict() == {}
