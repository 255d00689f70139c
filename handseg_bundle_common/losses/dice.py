"""Sums of the Dice loss and a loss of every pixel, whose weights may change over the epochs."""

from __future__ import annotations

import torch
from monai import losses
from torch import nn
from torch.nn import functional

from handseg_bundle_common.losses.bones import BoneMean, BoneNumbers, BoneWeights, PerBone, in_single_precision
from handseg_bundle_common.losses.schedule import EpochWeight, WeightSchedule


class _DiceSum(nn.Module):
    """Weighted sum of the sigmoid Dice loss and a loss of every pixel, both averaged over the bones."""

    def __init__(
        self, dice: WeightSchedule, pixels: WeightSchedule, bone_weights: BoneWeights | None, batch: bool
    ) -> None:
        super().__init__()
        self.schedules = (dice, pixels)
        self.set_epoch(1)
        self.over_bones = BoneMean(bone_weights)
        self.dice = losses.DiceLoss(include_background=True, sigmoid=True, reduction="none", batch=batch)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 1 on, whose weights the loss has from now on; `LossSchedule` calls it."""
        self.dice_weight, self.pixel_weight = (schedule(epoch) for schedule in self.schedules)

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the loss, a scalar.

        Args:
            logits: (N, C, H, W).
            target: masks (N, C, H, W), bool, integer or floating-point in 0..1.
        """
        logits, target = in_single_precision(logits, target)
        # A Dice of no weight would still take several copies of all masks.
        dice = self.over_bones(self.dice(logits, target)) if self.dice_weight else 0.0
        loss: torch.Tensor = self.dice_weight * dice + self.pixel_weight * self._pixel_loss(logits, target)
        return loss

    def _pixel_loss(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the mean over pixels and bones."""
        raise NotImplementedError


class DiceBCELoss(_DiceSum):
    """Weighted sum of the sigmoid Dice loss and binary cross-entropy, both per bone.

    `monai.losses.DiceCELoss` takes a softmax over the channels for its cross-entropy, which forbids overlaps.
    Sums are taken in float32 at least, also under autocast: a half-precision sum over a window overflows at 65,504.

    Args:
        dice_weight: weight of the Dice loss, a number or points [epoch, weight] between which it changes linearly.
        bce_weight: weight of the binary cross-entropy, likewise.
        positive_weight: weight of pixels inside a bone in the cross-entropy, one for all or one per bone.
        batch: sum over the batch before the Dice ratio, so that a window without a bone does not count as one lost.
        bone_weights: weights of the mean over the bones in both terms, one per bone or by bone name; only their
            ratios count.

    Raises:
        HandsegInputError: a weight is negative, the epochs are not in order, or a bone is unknown.
    """

    def __init__(
        self,
        dice_weight: EpochWeight = 1.0,
        bce_weight: EpochWeight = 1.0,
        positive_weight: PerBone = 1.0,
        batch: bool = True,
        bone_weights: BoneWeights | None = None,
    ) -> None:
        dice, bce = WeightSchedule("dice_weight", dice_weight), WeightSchedule("bce_weight", bce_weight)
        super().__init__(dice, bce, bone_weights, batch)
        self.positive_weight = BoneNumbers("positive_weight", positive_weight)

    def _pixel_loss(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return functional.binary_cross_entropy_with_logits(
            logits, target, weight=self.over_bones.factors(logits), pos_weight=self.positive_weight(logits)
        )


class DiceFocalLoss(_DiceSum):
    """Weighted sum of the sigmoid Dice loss and MONAI's focal loss, both per bone.

    Sums are taken in float32 at least, as in `DiceBCELoss`; those of `monai.losses.DiceFocalLoss` are NaN in float16
    over a window.

    Source: Lin et al., Focal Loss for Dense Object Detection, arXiv:1708.02002; Milletari et al., V-Net,
    arXiv:1606.04797.

    Args:
        dice_weight: weight of the Dice loss, a number or points [epoch, weight] between which it changes linearly.
        focal_weight: weight of the focal loss, likewise.
        gamma: exponent of the focal loss; 0 makes it binary cross-entropy.
        batch: sum over the batch before the Dice ratio, so that a window without a bone does not count as one lost.
        bone_weights: weights of the mean over the bones in both terms, one per bone or by bone name; only their
            ratios count.

    Raises:
        HandsegInputError: a weight is negative, the epochs are not in order, or a bone is unknown.
    """

    def __init__(
        self,
        dice_weight: EpochWeight = 1.0,
        focal_weight: EpochWeight = 1.0,
        gamma: float = 2.0,
        batch: bool = True,
        bone_weights: BoneWeights | None = None,
    ) -> None:
        dice, focal = WeightSchedule("dice_weight", dice_weight), WeightSchedule("focal_weight", focal_weight)
        super().__init__(dice, focal, bone_weights, batch)
        self.focal = losses.FocalLoss(gamma=gamma, reduction="none")

    def _pixel_loss(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        mean: torch.Tensor = self.over_bones(self.focal(logits, target))
        return mean
