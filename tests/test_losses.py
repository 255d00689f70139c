"""The losses by hand, on two pixels, and their gradients by finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from handseg_bundle_common.losses import DiceBCELoss, DiceFocalLoss

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


def test_focal_loss_on_two_pixels_by_hand() -> None:
    """A pixel counts by (1 - the probability of its truth) ** gamma."""
    logits, target = torch.tensor([[[[2.0, -1.0]]]]), torch.tensor([[[[1, 0]]]], dtype=torch.uint8)
    p, q = sigmoid(2), sigmoid(-1)
    dice_loss = 1 - (2 * p + SMOOTH) / (p + q + 1 + SMOOTH)
    focal = (-((1 - p) ** 2) * math.log(p) - q**2 * math.log(1 - q)) / 2
    assert DiceFocalLoss()(logits, target).item() == pytest.approx(dice_loss + focal, rel=1e-6)
    cubic = (-((1 - p) ** 3) * math.log(p) - q**3 * math.log(1 - q)) / 2
    weighted = DiceFocalLoss(dice_weight=0.25, focal_weight=3, gamma=3)
    assert weighted(logits, target).item() == pytest.approx(0.25 * dice_loss + 3 * cubic, rel=1e-6)


def test_focal_loss_with_gamma_0_is_cross_entropy() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((2, 3, 5, 4), generator=generator)
    target = torch.rand((2, 3, 5, 4), generator=generator) < 0.4
    torch.testing.assert_close(DiceFocalLoss(gamma=0)(logits, target), DiceBCELoss()(logits, target))


@pytest.mark.parametrize("loss", [DiceBCELoss(), DiceFocalLoss()], ids=lambda loss: type(loss).__name__)
def test_bones_do_not_compete(loss: torch.nn.Module) -> None:
    """A pixel of two bones costs nothing when both are certain: no softmax anywhere."""
    certain = torch.full((1, 3, 4, 4), 30.0)
    assert loss(certain, torch.ones_like(certain)).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("loss", [DiceBCELoss(), DiceFocalLoss()], ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("channel", [0, 1, 2])
def test_every_channel_counts_the_first_too(loss: torch.nn.Module, channel: int) -> None:
    target = torch.ones((1, 3, 4, 4))
    logits = torch.full((1, 3, 4, 4), 30.0)
    logits[:, channel] = -3.0
    assert loss(logits, target).item() > 0.3


def test_gradient_of_the_focal_loss_is_that_of_its_formula() -> None:
    """MONAI computes it in float32, too coarse for finite differences."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((2, 3, 3, 2), dtype=torch.float64, generator=generator, requires_grad=True)
    target = torch.rand((2, 3, 3, 2), generator=generator) < 0.5
    truth = torch.where(target, logits.sigmoid(), 1 - logits.sigmoid())
    (expected,) = torch.autograd.grad((-((1 - truth) ** 2) * truth.log()).mean(), logits)
    (found,) = torch.autograd.grad(DiceFocalLoss(dice_weight=0)(logits, target), logits)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("loss", [DiceBCELoss, DiceFocalLoss])
@pytest.mark.parametrize("batch", [True, False])
def test_batch_sums_over_the_images_before_the_ratio(loss: type[torch.nn.Module], batch: bool) -> None:
    rng = np.random.default_rng(0)
    logits, target = rng.normal(size=(2, 3, 4, 5)), rng.random((2, 3, 4, 5)) < 0.3
    p = 1 / (1 + np.exp(-logits))
    axes = (0, 2, 3) if batch else (2, 3)
    ratio = (2 * (p * target).sum(axes) + SMOOTH) / (p.sum(axes) + target.sum(axes) + SMOOTH)
    dice = loss(1.0, 0.0, batch=batch)
    assert dice(torch.from_numpy(logits), torch.from_numpy(target)).item() == pytest.approx(np.mean(1 - ratio))


@pytest.mark.parametrize("loss", [DiceBCELoss(positive_weight=[1, 2, 3]), DiceBCELoss(dice_weight=0)])
def test_gradient_matches_finite_differences(loss: torch.nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((2, 3, 3, 2), dtype=torch.float64, generator=generator, requires_grad=True)
    target = torch.rand((2, 3, 3, 2), generator=generator) < 0.5
    assert torch.autograd.gradcheck(lambda x: loss(x, target), logits)


@pytest.mark.parametrize("loss", [DiceBCELoss(), DiceFocalLoss()], ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_sums_do_not_overflow(loss: torch.nn.Module, dtype: torch.dtype) -> None:
    logits = torch.full((1, 1, 400, 400), 20.0, dtype=dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(logits, torch.ones_like(logits))
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(0, abs=1e-4)


def test_state_holds_no_weights() -> None:
    assert DiceBCELoss(positive_weight=[1.0] * 29).state_dict() == {}
