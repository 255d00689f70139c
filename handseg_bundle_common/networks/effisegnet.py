"""EffiSegNet: an EfficientNet encoder whose features are summed at full size and refined by Ghost modules."""

from __future__ import annotations

import re

import torch
from monai.networks.nets.efficientnet import EfficientNetBNFeatures, MBConvBlock
from torch import Tensor, nn
from torch.jit import is_scripting  # type: ignore[attr-defined]
from torch.nn import functional as F  # noqa: N812  the name that PyTorch's own documentation uses

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.networks.effisegnet_fast import can_take, infer
from handseg_bundle_common.networks.inputs import fit_input
from handseg_bundle_common.networks.pretrained import load_encoder

# EfficientNet's epsilon with PyTorch's usual momentum: the paper's 0.01 is for hundreds of epochs on ImageNet, and
# leaves running statistics behind the weights when a network is trained from scratch for a few thousand steps.
_NORM = ("batch", {"eps": 1e-3, "momentum": 0.1})


class PointwiseConv(nn.Conv2d):
    """A 1 x 1 convolution without bias of maps concatenated by channel, which are never copied into one.

    Their sum of convolutions is the same; it needs less memory, and its gradients stay contiguous.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size=1, bias=False)

    def forward(self, maps: list[Tensor]) -> Tensor:  # type: ignore[override]
        """Map tensors (N, C_k, H, W), whose C_k sum to in_channels, to (N, out_channels, H, W)."""
        weights = torch.split(self.weight, [x.shape[1] for x in maps], dim=1)
        output = F.conv2d(maps[0], weights[0])
        for k in range(1, len(maps)):
            output = output + F.conv2d(maps[k], weights[k])
        return output


class GhostModule(nn.Module):
    """Half of the channels by a point-wise convolution, the other half from these by a depthwise one.

    Source: Han et al., GhostNet: More Features from Cheap Operations, CVPR 2020 (arXiv:1911.11907), with ReLU before
    the normalisation as in EffiSegNet.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output, an even number.
        scale: nearest-neighbour up-sampling of the input. It is applied after the point-wise layers, where it gives
            the same result for a quarter of the work at scale 2.
    """

    def __init__(self, in_channels: int, out_channels: int, scale: int = 1) -> None:
        super().__init__()
        half = out_channels // 2
        self.scale = scale
        self.primary_conv = PointwiseConv(in_channels, half)
        self.primary_norm = nn.BatchNorm2d(half)
        self.cheap_conv = nn.Conv2d(half, half, kernel_size=3, padding=1, groups=half, bias=False)
        self.cheap_norm = nn.BatchNorm2d(half)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Map tensors (N, C_k, H, W) to the output's two halves (N, out_channels / 2, scale * H, scale * W)."""
        primary = self.primary_norm(F.relu(self.primary_conv(maps), inplace=True))
        if self.scale > 1:
            primary = F.interpolate(primary, scale_factor=float(self.scale), mode="nearest")
        cheap = self.cheap_norm(F.relu(self.cheap_conv(primary), inplace=True))
        return [primary, cheap]


class EffiSegNet(nn.Module):
    """EffiSegNet for images of any size and number of channels.

    The features of an EfficientNet at strides 2, 4, 8, 16 and 32 each pass a 3 x 3 convolution, ReLU and batch
    normalisation, and are up-sampled to full size and summed; after a further normalisation two Ghost modules and a
    point-wise convolution give the logits.

    Source: Vezakis et al., EffiSegNet, arXiv:2407.16298. There the output has the encoder's native size; here it has
    the input's. Nearest-neighbour up-sampling by two commutes with sums and point-wise layers, so the sum is built
    from coarse to fine and everything before the first depthwise convolution of the decoder runs at half the size.
    Outputs and gradients are the same in exact arithmetic; only the running variances of the sum and of the first
    Ghost module's point-wise half differ, by a relative 3 / (4 n) of Bessel's correction for n pixels at half size.
    Without gradients, a CPU takes a faster way to the same logits (`effisegnet_fast`).

    Args:
        in_channels: channels of the images.
        out_channels: classes, one channel of logits each.
        model_name: the encoder, `efficientnet-b0` to `efficientnet-b8` or `efficientnet-l2`.
        decoder_channels: channels of the decoder, an even number.
        drop_connect_rate: probability of skipping the last residual block in training; it falls linearly to 0 at the
            first (EfficientNet's stochastic depth, arXiv:1603.09382).
        pretrained_path: file with EfficientNet weights for the encoder, named as by EfficientNet-PyTorch or MONAI.
            Without it the encoder starts from random weights; nothing is ever downloaded.

    Raises:
        HandsegInputError: no such encoder, an odd number of decoder channels, or a file of weights that cannot be
            read or fits less than 95 % of the encoder.
    """

    def __init__(  # noqa: PLR0917  the order in which MONAI's networks take them
        self,
        in_channels: int = 1,
        out_channels: int = NUM_BONES,
        model_name: str = "efficientnet-b0",
        decoder_channels: int = 32,
        drop_connect_rate: float = 0.2,
        pretrained_path: str | None = None,
    ) -> None:
        super().__init__()
        if decoder_channels < 2 or decoder_channels % 2:
            raise HandsegInputError("decoder_channels", f"is {decoder_channels}", "choose an even number from 2 up")
        self.in_channels = in_channels
        self.encoder = _encoder(model_name, in_channels, drop_connect_rate)
        if pretrained_path is not None:
            load_encoder(self.encoder, pretrained_path, stem="_conv_stem.weight", published_name=_published_name)
        self.levels = nn.ModuleList(_level(width, decoder_channels) for width in _feature_widths(self.encoder))
        self.norm = nn.BatchNorm2d(decoder_channels)
        self.ghost1 = GhostModule(decoder_channels, decoder_channels, scale=2)
        self.ghost2 = GhostModule(decoder_channels, decoder_channels)
        self.head = PointwiseConv(decoder_channels, out_channels)
        # Channels last suits depthwise convolutions on a CPU and the half precision of a GPU's tensor cores.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Tensor) -> Tensor:
        """Map images (N, in_channels or 1, H, W) to logits (N, out_channels, H, W); a grey image feeds all channels."""
        height, width = image.shape[-2], image.shape[-1]
        image = fit_input(image, self.in_channels)
        # TorchScript leaves out what stands below this condition alone, and could not compile it.
        if not is_scripting():  # noqa: SIM102
            if can_take(self, image):
                return infer(self, image)[:, :, :height, :width]
        features = self.encoder(image)
        maps = [level(features[k]) for k, level in enumerate(self.levels)]
        total = maps[-1]
        for k in range(len(maps) - 2, -1, -1):
            total = maps[k] + F.interpolate(total, scale_factor=2.0, mode="nearest")
        logits: Tensor = self.head(self.ghost2(self.ghost1([self.norm(total)])))
        return logits[:, :, :height, :width]


def _encoder(model_name: str, in_channels: int, drop_connect_rate: float) -> EfficientNetBNFeatures:
    """Build MONAI's encoder without its classification head, which no feature depends on."""
    try:
        encoder = EfficientNetBNFeatures(model_name, pretrained=False, in_channels=in_channels, norm=_NORM)
    except ValueError as error:
        raise HandsegInputError("model_name", str(error), "choose one of these") from error
    for unused in ("_conv_head", "_conv_head_padding", "_bn1", "_avg_pooling", "_dropout", "_fc"):
        delattr(encoder, unused)
    blocks = [block for stack in encoder._blocks for block in stack]
    for depth, block in enumerate(blocks):
        block.drop_connect_rate = drop_connect_rate * depth / len(blocks)
        _fold_padding(block)
    return encoder


def _fold_padding(block: MBConvBlock) -> None:
    """Let a depthwise convolution do its symmetric padding itself, which saves a copy of its input.

    MONAI pads as TensorFlow's "same" would at the encoder's native size. With stride 1 that is symmetric; with stride
    2 it is one less than the kernel's size or two, and either gives exactly half of an even size, so that every image
    size divisible by 32 has features of exactly 1/2 to 1/32.
    """
    padding = getattr(block._depthwise_conv_padding, "padding", (0, 1))
    if len(set(padding)) == 1:
        block._depthwise_conv.padding = (padding[0], padding[0])
        block._depthwise_conv_padding = nn.Identity()


def _feature_widths(encoder: EfficientNetBNFeatures) -> list[int]:
    """Return the channels at strides 2, 4, 8, 16 and 32: those of the last block before each reduction and the end."""
    return [encoder._blocks[stack - 1][-1].out_channels for stack in encoder.extract_stacks]


def _level(in_channels: int, out_channels: int) -> nn.Sequential:
    """Bring the features of one level to the decoder's channels."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False),
        nn.ReLU(inplace=True),
        nn.BatchNorm2d(out_channels),
    )


def _published_name(name: str) -> str:
    """Return a tensor's name in EfficientNet-PyTorch, which counts blocks through where MONAI nests them in stacks."""
    return re.sub(r"^_blocks\.\d+\.(\d+\.)", r"_blocks.\1", name)
