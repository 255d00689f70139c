"""How decoders enlarge their features."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F  # noqa: N812  the name that PyTorch's own documentation uses


def upsample(x: Tensor, scale: int = 2) -> Tensor:
    """Map (N, C, H, W) to (N, C, scale * H, scale * W), bilinear between the centres of pixels."""
    return F.interpolate(x, scale_factor=float(scale), mode="bilinear", align_corners=False)
