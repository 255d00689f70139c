"""EffiSegNet's forward pass for inference on a CPU: the same weights and the same logits, in less time and memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  the name that PyTorch's own documentation uses

from handseg_bundle_common.networks.effisegnet_encoder import encode
from handseg_bundle_common.networks.folding import cast, fold_before, pointwise
from handseg_bundle_common.networks.strips import Strip, strips

if TYPE_CHECKING:
    from handseg_bundle_common.networks.effisegnet import EffiSegNet


def can_take(network: nn.Module, image: Tensor) -> bool:
    """Return whether `infer` may take the place of a network's forward pass.

    Not where gradients or statistics of a batch are asked for, nor on a GPU, whose memory needs no strips. Compilers
    get the plain graph: they would unroll the strips, and fold for themselves.
    """
    if torch.is_grad_enabled() or image.device.type != "cpu":
        return False
    if torch.jit.is_tracing() or torch.compiler.is_compiling():  # type: ignore[attr-defined, no-untyped-call]
        return False
    return not any(module.training for module in network.modules())


def infer(network: EffiSegNet, image: Tensor) -> Tensor:
    """Return the logits (N, out_channels, H, W) of images (N, in_channels, H, W), multiples of 32 px in size.

    Every normalisation is folded into a convolution beside it, but for the two whose output is padded with zeros. From
    the features to the first Ghost module everything but ReLU is linear and point-wise: each level is reduced at its
    own size to what it adds to that module's first map, with half the channels. Whatever has the size of the image is
    made in strips.
    """
    finest, *coarser = encode(network.encoder, image)
    levels, bias = _level_weights(network)
    convs = [cast(level[0].weight) for level in network.levels]  # type: ignore[index]
    total: Tensor | None = None
    for features, conv, weight in reversed(list(zip(coarser, convs[1:], levels[1:], strict=True))):
        own = pointwise(F.conv2d(features, conv, padding=1).relu_(), weight)
        total = own if total is None else own.add_(_twice(total))
    if total is None:
        raise AssertionError("there are five levels")
    decoder = _Decoder(network, levels[0], bias)
    height, width = finest.shape[2:]
    # One bone after the other, as thresholds and enlargement take them.
    logits = finest.new_empty((len(finest), network.head.out_channels, 2 * height, 2 * width))
    row_values = 4 * len(finest) * network.head.in_channels * width
    for start, stop in strips(height, row_values, multiple=2):
        decoder(finest, total, start, stop, logits[:, :, 2 * start : 2 * stop])
    return logits


def _level_weights(network: EffiSegNet) -> tuple[list[Tensor], Tensor]:
    """Return kernels (half, channels, 1, 1) from each level's ReLU to the first Ghost module's, and their bias."""
    kernel, bias = fold_before(network.ghost1.primary_conv.weight, network.norm)
    weights = []
    for level in network.levels:
        weight, shift = fold_before(kernel, level[2])  # type: ignore[index]
        weights.append(cast(weight))
        bias = bias + shift
    return weights, bias


class _Decoder:
    """The decoder from the sum of the levels to the logits, for some rows at a time."""

    def __init__(self, network: EffiSegNet, level_weight: Tensor, level_bias: Tensor) -> None:
        first, second, head = network.ghost1, network.ghost2, network.head.weight
        half = first.primary_conv.out_channels
        primary = second.primary_conv.weight
        from_cheap, bias = fold_before(primary[:, half:], first.cheap_norm)
        head_of_cheap, head_bias = fold_before(head[:, half:], second.cheap_norm)
        self._level_conv = cast(network.levels[0][0].weight)  # type: ignore[index]
        self._level, self._level_bias = level_weight, cast(level_bias)
        self._norms = first.primary_norm, second.primary_norm
        self._depthwise = cast(first.cheap_conv.weight), cast(second.cheap_conv.weight)
        self._from_primary, self._from_cheap, self._bias = map(cast, (primary[:, :half], from_cheap, bias))
        self._head = cast(torch.cat([head[:, :half], head_of_cheap], dim=1).flatten(1))
        self._head_bias = cast(head_bias[:, None])

    def __call__(self, finest: Tensor, coarser: Tensor, start: int, stop: int, logits: Tensor) -> None:
        """Compute logits of rows 2 start to 2 stop - 1.

        Args:
            finest: features at half the size of the image.
            coarser: what all other levels add to the first Ghost module, at a quarter of the size.
            start: an even number of a row at half the size.
            stop: another one, or the number of rows.
            logits: where these rows go, (N, classes, 2 (stop - start), W).
        """
        height = finest.shape[2]
        # Each of the two depthwise convolutions reaches one row further, and rows come in pairs.
        first, last = max(start - 2, 0), min(stop + 2, height)
        features = Strip(finest, 0, height).rows(first - 1, last + 1)
        level = F.conv2d(features, self._level_conv, padding=(0, 1)).relu_()
        x = pointwise(level, self._level, self._level_bias).add_(_twice(coarser[:, :, first // 2 : last // 2]))
        primary = Strip(_twice(self._norms[0](x.relu_())), 2 * first, 2 * height)

        first, last = max(2 * start - 1, 0), min(2 * stop + 1, 2 * height)
        cheap = _depthwise(self._depthwise[0], primary, first, last)
        x = pointwise(primary.rows(first, last), self._from_primary, self._bias)
        x.add_(pointwise(cheap, self._from_cheap))
        primary = Strip(self._norms[1](x.relu_()), first, 2 * height)

        first, last = 2 * start, 2 * stop
        cheap = _depthwise(self._depthwise[1], primary, first, last)
        x = torch.cat([primary.rows(first, last), cheap], dim=1).permute(0, 2, 3, 1)
        for pixels, of_image in zip(x, logits, strict=True):
            out = of_image.view(len(of_image), -1)
            torch.addmm(self._head_bias, self._head, pixels.flatten(0, 1).t(), out=out)


def _depthwise(weight: Tensor, strip: Strip, start: int, stop: int) -> Tensor:
    """Return rows start to stop - 1 of a depthwise 3 x 3 convolution with ReLU after it."""
    return F.conv2d(strip.rows(start - 1, stop + 1), weight, padding=(0, 1), groups=len(weight)).relu_()


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
