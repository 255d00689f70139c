"""Losses for overlapping masks: every bone is a binary problem of its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai import losses
from torch import nn
from torch.nn import functional


class DiceBCELoss(nn.Module):
    """Weighted sum of the sigmoid Dice loss and binary cross-entropy, both per bone.

    `monai.losses.DiceCELoss` takes a softmax over the channels for its cross-entropy, which forbids overlaps.
    Sums are taken in float32 at least, also under autocast: a half-precision sum over a window overflows at 65,504.

    Args:
        dice_weight: weight of the Dice loss.
        bce_weight: weight of the binary cross-entropy.
        positive_weight: weight of pixels inside a bone in the cross-entropy, one for all or one per bone.
        batch: sum over the batch before the Dice ratio, so that a window without a bone does not count as one lost.
    """

    positive_weight: torch.Tensor

    def __init__(
        self,
        dice_weight: float = 1.0,
        bce_weight: float = 1.0,
        positive_weight: float | Sequence[float] = 1.0,
        batch: bool = True,
    ) -> None:
        super().__init__()
        self.dice_weight = dice_weight
        self.bce_weight = bce_weight
        weight = torch.as_tensor(positive_weight, dtype=torch.float32)
        self.register_buffer("positive_weight", weight.reshape(-1, 1, 1), persistent=False)
        self.dice = losses.DiceLoss(include_background=True, sigmoid=True, batch=batch)

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the loss, a scalar.

        Args:
            logits: (N, C, H, W).
            target: masks (N, C, H, W), bool, integer or floating-point in 0..1.
        """
        logits, target = _in_single_precision(logits, target)
        weight = self.positive_weight.to(logits)
        bce = functional.binary_cross_entropy_with_logits(logits, target, pos_weight=weight)
        # A Dice of no weight would still take several copies of all masks.
        dice = self.dice(logits, target) if self.dice_weight else 0.0
        loss: torch.Tensor = self.dice_weight * dice + self.bce_weight * bce
        return loss


class DiceFocalLoss(losses.DiceFocalLoss):
    """MONAI's sum of Dice and focal loss with what overlapping masks need: sigmoid, and channel 0 counts.

    Sums are taken in float32 at least, as in `DiceBCELoss`; MONAI's own are NaN in float16 over a window.

    Source: Lin et al., Focal Loss for Dense Object Detection, arXiv:1708.02002; Milletari et al., V-Net,
    arXiv:1606.04797.

    Args:
        dice_weight: weight of the Dice loss.
        focal_weight: weight of the focal loss.
        gamma: exponent of the focal loss; 0 makes it binary cross-entropy.
        batch: sum over the batch before the Dice ratio, so that a window without a bone does not count as one lost.
    """

    def __init__(
        self, dice_weight: float = 1.0, focal_weight: float = 1.0, gamma: float = 2.0, batch: bool = True
    ) -> None:
        super().__init__(
            include_background=True,
            sigmoid=True,
            batch=batch,
            gamma=gamma,
            lambda_dice=dice_weight,
            lambda_focal=focal_weight,
        )

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the loss, a scalar.

        Args:
            logits: (N, C, H, W).
            target: masks (N, C, H, W), bool, integer or floating-point in 0..1.
        """
        loss: torch.Tensor = super().forward(*_in_single_precision(logits, target))
        return loss


def _in_single_precision(logits: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return both in float32, or in the logits' type if that is wider."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return logits, target.to(logits)
