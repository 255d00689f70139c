"""Dice with cross-entropy or focal loss by hand, on two pixels, and their gradients by finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from monai import losses
from torch.nn import functional

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.losses import DiceBCELoss, DiceFocalLoss

SMOOTH = 1e-5  # MONAI's smoothing term


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def random_case(channels: int = 3, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((2, channels, 5, 4), generator=generator, dtype=dtype, requires_grad=True)
    return logits, torch.rand((2, channels, 5, 4), generator=generator) < 0.4


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
    logits, target = random_case()
    torch.testing.assert_close(DiceFocalLoss(gamma=0)(logits, target), DiceBCELoss()(logits, target))


def test_without_bone_weights_the_losses_are_those_of_the_libraries_to_the_last_bit() -> None:
    logits, target = random_case()
    mask = target.float()
    dice = losses.DiceLoss(sigmoid=True, batch=True)(logits, mask)
    bce = functional.binary_cross_entropy_with_logits(logits, mask, pos_weight=torch.tensor(3.0))
    assert DiceBCELoss(0.7, 5.0, 3.0)(logits, target).item() == (0.7 * dice + 5.0 * bce).item()
    focal = losses.DiceFocalLoss(sigmoid=True, batch=True, gamma=1.5, lambda_dice=0.7, lambda_focal=5.0)
    assert DiceFocalLoss(0.7, 5.0, 1.5)(logits, target).item() == focal(logits, mask).item()


def test_bone_weights_by_hand() -> None:
    """Bones of one pixel each; weights 3 to 1 in both terms."""
    logits, target = torch.tensor([[[[2.0]], [[-1.0]]]]), torch.tensor([[[[1.0]], [[0.0]]]])
    p, q = sigmoid(2), sigmoid(-1)
    dice = [1 - (2 * p + SMOOTH) / (p + 1 + SMOOTH), 1 - SMOOTH / (q + SMOOTH)]
    bce = [-math.log(p), -math.log(1 - q)]
    focal = [(1 - p) ** 2 * bce[0], q**2 * bce[1]]
    for loss, pixels in ((DiceBCELoss, bce), (DiceFocalLoss, focal)):
        expected = (3 * (0.5 * dice[0] + 2 * pixels[0]) + 0.5 * dice[1] + 2 * pixels[1]) / 4
        found = loss(0.5, 2.0, bone_weights=[3, 1])(logits, target).item()
        assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("batch", [True, False])
def test_bones_of_weight_0_do_not_count(batch: bool) -> None:
    logits, target = random_case()
    for loss in (DiceBCELoss, DiceFocalLoss):
        only_last = loss(batch=batch, bone_weights=[0, 0, 7])(logits, target)
        torch.testing.assert_close(only_last, loss(batch=batch)(logits[:, 2:], target[:, 2:]))


@pytest.mark.parametrize("loss", [DiceBCELoss, DiceFocalLoss])
def test_weights_follow_the_epochs(loss: type[torch.nn.Module]) -> None:
    logits, target = random_case()
    scheduled = loss([[2, 1.0], [6, 3.0]], [[1, 4.0], [5, 0.0]])
    torch.testing.assert_close(scheduled(logits, target), loss(1.0, 4.0)(logits, target))
    for epoch, dice_weight, pixel_weight in ((1, 1.0, 4.0), (3, 1.5, 2.0), (6, 3.0, 0.0), (2, 1.0, 3.0)):
        scheduled.set_epoch(epoch)
        torch.testing.assert_close(scheduled(logits, target), loss(dice_weight, pixel_weight)(logits, target))


@pytest.mark.parametrize("loss", [DiceBCELoss, DiceFocalLoss])
def test_a_dice_of_no_weight_is_not_computed(loss: type[torch.nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(losses.DiceLoss, "forward", lambda *_: calls.append(1) or torch.zeros(()))
    scheduled = loss([[1, 0.0], [2, 1.0]])
    scheduled(*random_case())
    assert not calls
    scheduled.set_epoch(2)
    scheduled(*random_case())
    assert calls


def test_a_wrong_argument_is_named() -> None:
    with pytest.raises(HandsegInputError, match="bce_weight: -1 is negative"):
        DiceBCELoss(bce_weight=-1)
    with pytest.raises(HandsegInputError, match="focal_weight: the epochs are not in order"):
        DiceFocalLoss(focal_weight=[[2, 1], [1, 1]])
    with pytest.raises(HandsegInputError, match="positive_weight: has 2 numbers for 3 bones"):
        DiceBCELoss(positive_weight=[1, 2])(*random_case())
    with pytest.raises(HandsegInputError, match="bone_weights: has 29 numbers for 3 bones"):
        DiceFocalLoss(bone_weights={"Pisiform": 2.0})(*random_case())


def test_gradient_of_the_focal_loss_is_that_of_its_formula() -> None:
    """MONAI computes it in float32, too coarse for finite differences."""
    logits, target = random_case(dtype=torch.float64)
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


@pytest.mark.parametrize(
    "loss",
    [DiceBCELoss(positive_weight=[1, 2, 3], bone_weights=[2, 0.5, 1]), DiceBCELoss(dice_weight=0)],
    ids=["weighted", "without Dice"],
)
def test_gradient_matches_finite_differences(loss: torch.nn.Module) -> None:
    logits, target = random_case(dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: loss(x, target), logits)
