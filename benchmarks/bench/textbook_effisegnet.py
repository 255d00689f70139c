"""EffiSegNet as its paper draws it, on MONAI's encoder: every layer a module, every level at full size."""

from __future__ import annotations

import torch
from monai.networks.nets import EfficientNetBNFeatures
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  the name that PyTorch's own documentation uses

from handseg_bundle_common.networks import EffiSegNet


class TextbookEffiSegNet(nn.Module):
    """The network with the weights of one of ours, for sizes that are multiples of 32.

    Source: Vezakis et al., EffiSegNet, arXiv:2407.16298.

    Args:
        network: whose weights are copied.
        model_name: its encoder.
    """

    def __init__(self, network: EffiSegNet, model_name: str) -> None:
        super().__init__()
        channels = network.head.in_channels
        norm = ("batch", {"eps": 1e-3, "momentum": 0.1})
        self.encoder = EfficientNetBNFeatures(model_name, False, in_channels=network.in_channels, norm=norm)
        self.levels = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(level[0].in_channels, channels, 3, padding=1, bias=False),
                nn.ReLU(),
                nn.BatchNorm2d(channels),
            )
            for level in network.levels
        )
        self.norm = nn.BatchNorm2d(channels)
        self.ghost1, self.ghost2 = _Ghost(channels), _Ghost(channels)
        self.head = nn.Conv2d(channels, network.head.out_channels, 1, bias=False)
        for block in (block for stack in self.encoder._blocks for block in stack):
            block.drop_connect_rate = 0.0
        state = {
            name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in network.state_dict().items()
        }
        left = self.load_state_dict(state, strict=False)
        if left.unexpected_keys or {name.split(".")[1] for name in left.missing_keys} != {"_conv_head", "_bn1", "_fc"}:
            raise AssertionError("the weights do not fit")

    def forward(self, image: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, classes, H, W)."""
        total: Tensor | int = 0
        for features, level in zip(self.encoder(image), self.levels, strict=True):
            total = total + F.interpolate(level(features), size=image.shape[-2:], mode="nearest")
        logits: Tensor = self.head(self.ghost2(self.ghost1(self.norm(total))))
        return logits


class _Ghost(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.primary_conv = nn.Conv2d(channels, half, 1, bias=False)
        self.primary_norm = nn.BatchNorm2d(half)
        self.cheap_conv = nn.Conv2d(half, half, 3, padding=1, groups=half, bias=False)
        self.cheap_norm = nn.BatchNorm2d(half)

    def forward(self, x: Tensor) -> Tensor:
        primary = self.primary_norm(F.relu(self.primary_conv(x)))
        cheap = self.cheap_norm(F.relu(self.cheap_conv(primary)))
        return torch.cat([primary, cheap], dim=1)
