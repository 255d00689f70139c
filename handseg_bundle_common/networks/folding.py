"""Convolutions with the normalisations around them folded in, which is exact where these use stored statistics.

Folding is done anew in every forward pass: it costs about a millisecond, and nothing can become stale when weights are
loaded, averaged or fine-tuned.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  the name that PyTorch's own documentation uses


def scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return scale and shift (C,) with which a normalisation by stored statistics is `scale * x + shift`.

    Raises:
        ValueError: the normalisation has no stored statistics.
    """
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("a normalisation without stored statistics cannot be folded")
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return scale, norm.bias - norm.running_mean * scale


def fold_after(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a convolution without bias that does what a normalisation after it does as well."""
    scale, shift = scale_and_shift(norm)
    return cast(conv.weight * scale[:, None, None, None]), cast(shift)


def fold_before(weight: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a point-wise convolution that does what a normalisation before it does as well.

    Args:
        weight: (out, in, 1, 1), applied to the output of `norm`.
        norm: of `in` channels.
    """
    scale, shift = scale_and_shift(norm)
    return weight * scale[:, None, None], (weight[:, :, 0, 0] * shift).sum(1)


def cast(weight: Tensor) -> Tensor:
    """Return a weight in the precision that autocast would give it on a CPU, once for all strips."""
    return weight.to(torch.get_autocast_dtype("cpu")) if torch.is_autocast_enabled("cpu") else weight


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve maps (N, C, H, W) with a kernel (out, C, 1, 1).

    Dilation changes nothing in a kernel of one pixel. With it PyTorch takes oneDNN on one thread as well, which is
    twice as fast as what it takes otherwise.
    """
    return F.conv2d(x, weight, bias, dilation=2)
