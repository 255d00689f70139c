"""Tversky losses, which may punish a lost pixel of a bone more than a false one."""

from __future__ import annotations

import torch
from torch import nn

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.losses.bones import BoneMean, BoneNumbers, BoneWeights, PerBone, in_single_precision


class TverskyLoss(nn.Module):
    """Mean over the bones of 1 - TP / (TP + alpha FP + beta FN), with sigmoid probabilities.

    With alpha = beta = 0.5 this is the Dice loss. `monai.losses.TverskyLoss` knows neither numbers per bone nor
    weights. Sums are taken in float32 at least, as in `DiceBCELoss`.

    Source: Salehi et al., Tversky loss function for image segmentation using 3D fully convolutional deep networks,
    arXiv:1706.05721, whose best alpha and beta are the defaults.

    Args:
        alpha: weight of false positives, one for all or one per bone.
        beta: weight of false negatives, likewise.
        bone_weights: weights of the mean over the bones, one per bone or by bone name; only their ratios count.
        batch: sum over the batch before the ratio, so that a window without a bone does not count as one lost.
        smooth: px added to both sides of the ratio, so that a bone that is absent and not predicted costs little, and
            one that is absent and predicted has a gradient.

    Raises:
        HandsegInputError: a number is negative, or a bone is unknown.
    """

    def __init__(
        self,
        alpha: PerBone = 0.3,
        beta: PerBone = 0.7,
        *,
        bone_weights: BoneWeights | None = None,
        batch: bool = True,
        smooth: float = 1.0,
    ) -> None:
        super().__init__()
        self.alpha = BoneNumbers("alpha", alpha)
        self.beta = BoneNumbers("beta", beta)
        self.over_bones = BoneMean(bone_weights)
        self.batch = batch
        self.smooth = smooth

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the loss, a scalar.

        Args:
            logits: (N, C, H, W).
            target: masks (N, C, H, W), bool, integer or floating-point in 0..1.
        """
        mean: torch.Tensor = self.over_bones(self._per_bone(*in_single_precision(logits, target)))
        return mean

    def _per_bone(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the loss of each bone, (1 or N, C, 1, 1)."""
        axes = (0, 2, 3) if self.batch else (2, 3)
        probability = logits.sigmoid()
        true_positive = (probability * target).sum(axes, keepdim=True)
        false_positive = probability.sum(axes, keepdim=True) - true_positive
        false_negative = target.sum(axes, keepdim=True) - true_positive
        # 1 - the Tversky index, without the cancellation of that difference.
        lost = self.alpha(logits) * false_positive + self.beta(logits) * false_negative
        loss: torch.Tensor = lost / (true_positive + lost + self.smooth)
        return loss


class FocalTverskyLoss(TverskyLoss):
    """Mean over the bones of (1 - Tversky index) ** (1 / gamma).

    The exponent is the reciprocal of gamma, as in the source, and acts on every bone before the mean: gamma above 1
    makes the loss steeper for bones that are nearly right.

    Source: Abraham and Khan, A Novel Focal Tversky Loss Function with Improved Attention U-Net for Lesion
    Segmentation, arXiv:1810.07842, with gamma = 4/3; their alpha is the weight of false negatives, here beta.

    Args:
        alpha: weight of false positives, one for all or one per bone.
        beta: weight of false negatives, likewise.
        gamma: reciprocal of the exponent, above 0, likewise; 1 makes it the Tversky loss.
        bone_weights: weights of the mean over the bones, one per bone or by bone name; only their ratios count.
        batch: sum over the batch before the ratio, so that a window without a bone does not count as one lost.
        smooth: px added to both sides of the ratio, so that a bone that is absent and not predicted costs little, and
            one that is absent and predicted has a gradient.

    Raises:
        HandsegInputError: a number is negative, gamma is 0, or a bone is unknown.
    """

    def __init__(
        self,
        alpha: PerBone = 0.3,
        beta: PerBone = 0.7,
        gamma: PerBone = 4 / 3,
        *,
        bone_weights: BoneWeights | None = None,
        batch: bool = True,
        smooth: float = 1.0,
    ) -> None:
        super().__init__(alpha, beta, bone_weights=bone_weights, batch=batch, smooth=smooth)
        self.gamma = BoneNumbers("gamma", gamma)
        if not self.gamma.numbers.all():
            raise HandsegInputError("gamma", "is 0", "choose a number above 0, such as 1.333")

    def _per_bone(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        loss = super()._per_bone(logits, target)
        # The slope of x ** 0.75 is infinite at 0, and 0 * infinity is NaN: a perfect bone gets no gradient instead.
        imperfect = loss > 0
        return torch.where(imperfect, torch.where(imperfect, loss, 1.0) ** (1 / self.gamma(logits)), 0.0)
