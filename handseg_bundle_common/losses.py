"""Losses that MONAI lacks for overlapping masks: every bone is a binary problem of its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.losses import DiceLoss
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
        self.dice = DiceLoss(include_background=True, sigmoid=True, batch=batch)

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the loss, a scalar.

        Args:
            logits: (N, C, H, W).
            target: masks (N, C, H, W), bool, integer or floating-point in 0..1.
        """
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        target = target.to(logits)
        bce = functional.binary_cross_entropy_with_logits(logits, target, pos_weight=self.positive_weight.to(logits))
        loss: torch.Tensor = self.dice_weight * self.dice(logits, target) + self.bce_weight * bce
        return loss
