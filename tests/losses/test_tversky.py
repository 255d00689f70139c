"""Tversky and focal Tversky loss by hand, on two pixels, and their gradients by finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from monai import losses

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.losses import FocalTverskyLoss, TverskyLoss

SMOOTH = 1.0  # px
P, Q = 1 / (1 + math.exp(-2)), 1 / (1 + math.exp(1))  # sigmoid of 2 and -1
LOGITS, TARGET = torch.tensor([[[[2.0, -1.0]]]]), torch.tensor([[[[1, 0]]]], dtype=torch.uint8)


def tversky_index(alpha: float, beta: float) -> float:
    """Return that of two pixels, of which the first belongs to the bone."""
    return (P + SMOOTH) / (P + alpha * Q + beta * (1 - P) + SMOOTH)


def random_case(dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((2, 3, 5, 4), generator=generator, dtype=dtype, requires_grad=True)
    return logits, torch.rand((2, 3, 5, 4), generator=generator) < 0.4


@pytest.mark.parametrize(("alpha", "beta"), [(0.3, 0.7), (0.9, 0.2), (0.0, 1.0)])
def test_one_bone_on_two_pixels_by_hand(alpha: float, beta: float) -> None:
    expected = 1 - tversky_index(alpha, beta)
    assert TverskyLoss(alpha, beta)(LOGITS, TARGET).item() == pytest.approx(expected, rel=1e-6)
    for gamma in (4 / 3, 1, 0.5):
        focal = FocalTverskyLoss(alpha, beta, gamma)(LOGITS, TARGET).item()
        assert focal == pytest.approx(expected ** (1 / gamma), rel=1e-6)


def test_defaults_are_those_of_the_papers() -> None:
    expected = 1 - tversky_index(0.3, 0.7)
    assert TverskyLoss()(LOGITS, TARGET).item() == pytest.approx(expected, rel=1e-6)
    assert FocalTverskyLoss()(LOGITS, TARGET).item() == pytest.approx(expected**0.75, rel=1e-6)


@pytest.mark.parametrize("batch", [True, False])
def test_tversky_loss_is_monais(batch: bool) -> None:
    logits, target = random_case()
    expected = losses.TverskyLoss(sigmoid=True, alpha=0.2, beta=0.6, batch=batch, smooth_nr=1, smooth_dr=1)(
        logits, target.float()
    )
    torch.testing.assert_close(TverskyLoss(0.2, 0.6, batch=batch)(logits, target), expected)


def test_half_and_half_is_the_dice_loss() -> None:
    logits, target = random_case()
    expected = losses.DiceLoss(sigmoid=True, batch=True)(logits, target.float())
    torch.testing.assert_close(TverskyLoss(0.5, 0.5, smooth=1e-5)(logits, target), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("batch", [True, False])
def test_numbers_and_weights_per_bone(batch: bool) -> None:
    """The exponent acts on every bone before the mean, which another place of it would not give."""
    alpha, beta, gamma, weights = [0.1, 0.5, 0.9], [0.9, 0.5, 0.4], [0.75, 4 / 3, 2.0], [1.0, 4.0, 0.5]
    logits, target = random_case(torch.float64)
    p, t = logits.detach().sigmoid().numpy(), target.numpy()
    axes = (0, 2, 3) if batch else (2, 3)
    tp, fp, fn = (p * t).sum(axes), (p * ~t).sum(axes), ((1 - p) * t).sum(axes)
    lost = 1 - (tp + SMOOTH) / (tp + np.array(alpha) * fp + np.array(beta) * fn + SMOOTH)
    plain = TverskyLoss(alpha, beta, bone_weights=weights, batch=batch)(logits, target).item()
    focal = FocalTverskyLoss(alpha, beta, gamma, bone_weights=weights, batch=batch)(logits, target).item()
    assert plain == pytest.approx(np.average(lost, axis=-1, weights=weights).mean(), rel=1e-6)
    powers = lost ** (1 / np.array(gamma))
    assert focal == pytest.approx(np.average(powers, axis=-1, weights=weights).mean(), rel=1e-6)


def test_exponent_comes_before_the_mean() -> None:
    """One bone perfect, one lost: half of 1, not (1 / 2) ** (3 / 4)."""
    logits = torch.tensor([[[[40.0]], [[-40.0]]]])
    assert FocalTverskyLoss(smooth=1e-5)(logits, torch.ones_like(logits)).item() == pytest.approx(0.5, abs=1e-4)


def test_a_bone_that_is_absent_and_predicted_is_unlearned() -> None:
    """In no window of the batch, and predicted faintly everywhere: every pixel has a gradient worth a step."""
    logits = torch.full((1, 1, 64, 64), -5.0, requires_grad=True)
    for loss in (TverskyLoss(), FocalTverskyLoss()):
        (gradient,) = torch.autograd.grad(loss(logits, torch.zeros_like(logits)), logits)
        assert gradient.min() > 1e-6


@pytest.mark.parametrize("gamma", [4 / 3, 3.0, 0.5])
@pytest.mark.parametrize("certainty", [1e4, 40.0, 15.0])
def test_gradient_of_a_perfect_prediction_is_finite(gamma: float, certainty: float) -> None:
    """The first bone is right everywhere, the second absent and not predicted, the third half right."""
    target = torch.zeros((1, 3, 2, 2))
    target[:, ::2] = 1
    logits = (2 * target - 1) * certainty
    logits[:, 2, 0] = 0.0
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(FocalTverskyLoss(gamma=gamma)(logits, target), logits)
    assert gradient.isfinite().all()
    assert gradient[:, 2, 0].abs().min() > 0


@pytest.mark.parametrize(
    "loss",
    [TverskyLoss(), FocalTverskyLoss([0.2, 0.3, 0.4], gamma=[4 / 3, 1, 2], bone_weights=[1, 2, 3], batch=False)],
    ids=["Tversky", "focal"],
)
def test_gradient_matches_finite_differences(loss: torch.nn.Module) -> None:
    logits, target = random_case(torch.float64)
    assert torch.autograd.gradcheck(lambda x: loss(x, target), logits)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"alpha": -0.1}, "alpha: -0.1 is not a number of 0 or more"),
        ({"beta": "high"}, "beta: 'high' is not a number of 0 or more"),
        ({"gamma": [1, 0]}, "gamma: is 0; choose a number above 0"),
        ({"bone_weights": {"ulna": 2}}, "bone_weights: 'ulna' is no bone; did you mean Ulna"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, object], expected: str) -> None:
    with pytest.raises(HandsegInputError, match=expected):
        FocalTverskyLoss(**arguments)


def test_as_many_numbers_as_bones() -> None:
    with pytest.raises(HandsegInputError, match="gamma: has 2 numbers for 3 bones"):
        FocalTverskyLoss(gamma=[1, 2])(*random_case())
