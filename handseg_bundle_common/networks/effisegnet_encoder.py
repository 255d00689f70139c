"""EfficientNet's features for inference on a CPU: folded and in strips, equal to those of MONAI's encoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from monai.networks.nets.efficientnet import EfficientNetBNFeatures, MBConvBlock
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  the name that PyTorch's own documentation uses

from handseg_bundle_common.networks.folding import fold_after, pointwise
from handseg_bundle_common.networks.strips import Strip, strips

Rows = Callable[[int, int], Strip]
"""Computes rows start to stop - 1 of a map, as far as they are inside it."""


def encode(encoder: EfficientNetBNFeatures, image: Tensor) -> list[Tensor]:
    """Return what `encoder(image)` gives in evaluation mode: features at strides 2, 4, 8, 16 and 32.

    Args:
        encoder: with normalisations that use stored statistics.
        image: (N, C, H, W), height and width multiples of 32.
    """
    blocks = [(number, block) for number, stack in enumerate(encoder._blocks, 1) for block in stack]
    x = _first_block(encoder, blocks[0][1], image)
    features: dict[int, Tensor] = {1: x}
    for stack, block in blocks[1:]:
        x = _block(block, x)
        features[stack] = x
    return [features[stack] for stack in encoder.extract_stacks]


def _first_block(encoder: EfficientNetBNFeatures, block: MBConvBlock, image: Tensor) -> Tensor:
    """Return the first block's output; the stem takes the place of its expansion, which it lacks."""
    stem = _Convolution(encoder._conv_stem, encoder._bn0, encoder._conv_stem_padding)
    whole = Strip(image, 0, image.shape[2])
    height, width = image.shape[2] // 2, image.shape[3] // 2

    def rows(start: int, stop: int) -> Strip:
        first, last = max(start, 0), min(stop, height)
        return Strip(F.silu(stem(whole, first, last), inplace=True), first, height)

    return _after_expansion(block, rows, len(image) * block._bn1.num_features * width, height)


def _block(block: MBConvBlock, x: Tensor) -> Tensor:
    weight, bias = fold_after(block._expand_conv, block._bn0) if block.expand_ratio != 1 else (None, None)
    height = x.shape[2]

    def rows(start: int, stop: int) -> Strip:
        first, last = max(start, 0), min(stop, height)
        taken = x[:, :, first:last]
        if weight is not None:
            taken = F.silu(pointwise(taken, weight, bias), inplace=True)
        return Strip(taken, first, height)

    y = _after_expansion(block, rows, len(x) * block._bn1.num_features * x.shape[3], height)
    return y.add_(x) if block.id_skip and block.stride == 1 and block.in_channels == block.out_channels else y


def _after_expansion(block: MBConvBlock, expanded: Rows, row_values: int, height: int) -> Tensor:
    """Return a block's output before the skip connection.

    Args:
        block: whose depthwise convolution, squeeze-and-excitation and projection are applied.
        expanded: gives rows of the expanded map.
        row_values: values in such a row.
        height: number of such rows.
    """
    depthwise = _Convolution(block._depthwise_conv, block._bn1, block._depthwise_conv_padding)
    parts = []
    for start, stop in strips(height // block.stride, row_values * block.stride):
        parts.append(F.silu(depthwise(expanded(*depthwise.reach(start, stop)), start, stop), inplace=True))
    area = sum(part.shape[2] for part in parts) * parts[0].shape[3]
    if block.has_se:
        sums = [part.sum((2, 3), keepdim=True).to(block._se_reduce.weight.dtype) for part in parts]
        squeezed = F.silu(block._se_reduce(torch.stack(sums).sum(0) / area))
        gate = torch.sigmoid(block._se_expand(squeezed))
        parts = [part.mul_(gate) for part in parts]
    weight, bias = fold_after(block._project_conv, block._bn2)
    projected = [pointwise(part, weight, bias) for part in parts]
    return torch.cat(projected, dim=2) if len(projected) > 1 else projected[0]


class _Convolution:
    """A convolution with its padding and the normalisation after it, for some rows at a time."""

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d, padding: nn.Module) -> None:
        self._weight, self._bias = fold_after(conv, norm)
        self._stride, self._groups = int(conv.stride[0]), conv.groups
        own: Any = (conv.padding[1], conv.padding[1], conv.padding[0], conv.padding[0])
        left, self._beside, self._top, _ = getattr(padding, "padding", own)
        # PyTorch pads both sides alike; a column of zeros in the kernel saves a copy of the input.
        self._weight = F.pad(self._weight, (self._beside - left, 0))

    def reach(self, start: int, stop: int) -> tuple[int, int]:
        """Return first row and end of the input, padding included, that rows start to stop - 1 of the output need."""
        first = start * self._stride - self._top
        return first, (stop - 1 - start) * self._stride + first + self._weight.shape[2]

    def __call__(self, strip: Strip, start: int, stop: int) -> Tensor:
        """Return rows start to stop - 1 of the output."""
        x = strip.rows(*self.reach(start, stop))
        return F.conv2d(x, self._weight, self._bias, self._stride, (0, self._beside), 1, self._groups)
