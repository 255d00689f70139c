"""SegFormer: a Mix Transformer encoder under a decoder of point-wise layers."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  the name that PyTorch's own documentation uses
from torch.utils.checkpoint import checkpoint

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.networks.inputs import fit_input
from handseg_bundle_common.networks.pretrained import load_encoder
from handseg_bundle_common.networks.upsampling import upsample


class _Variant(NamedTuple):
    """Blocks and channels of the stages at strides 4, 8, 16 and 32, and channels of the decoder."""

    depths: tuple[int, int, int, int]
    widths: tuple[int, int, int, int]
    decoder_channels: int


# Table 6 of the paper, with the depths of the weights that were published with it.
_VARIANTS = {
    "segformer-b0": _Variant((2, 2, 2, 2), (32, 64, 160, 256), 256),
    "segformer-b1": _Variant((2, 2, 2, 2), (64, 128, 320, 512), 256),
    "segformer-b2": _Variant((3, 4, 6, 3), (64, 128, 320, 512), 768),
    "segformer-b3": _Variant((3, 4, 18, 3), (64, 128, 320, 512), 768),
    "segformer-b4": _Variant((3, 8, 27, 3), (64, 128, 320, 512), 768),
    "segformer-b5": _Variant((3, 6, 40, 3), (64, 128, 320, 512), 768),
}

_STEM = "stages.0.patch_embeddings.proj.weight"
_DROPOUT = 0.1

# Parts of a tensor's name in version 5 of transformers, and in the files published for version 4.
_RENAMED = (
    (r"^stages\.(\d)\.patch_embeddings", r"encoder.patch_embeddings.\1"),
    (r"^stages\.(\d)\.blocks", r"encoder.block.\1"),
    (r"^stages\.(\d)\.layer_norm", r"encoder.layer_norm.\1"),
    (r"attention\.q_proj", "attention.self.query"),
    (r"attention\.k_proj", "attention.self.key"),
    (r"attention\.v_proj", "attention.self.value"),
    (r"attention\.o_proj", "attention.output.dense"),
    (r"sequence_reduction\.sequence_reduction", "self.sr"),
    (r"sequence_reduction\.layer_norm", "self.layer_norm"),
    (r"mlp\.fc", "mlp.dense"),
    (r"layernorm_before", "layer_norm_1"),
    (r"layernorm_after", "layer_norm_2"),
)


class FusedLinear(nn.Linear):
    """A linear layer of each pixel's channels that is followed by another one; their product is applied at once."""

    def forward(self, x: Tensor, following: Tensor) -> Tensor:  # type: ignore[override]
        """Map (N, in_features, H, W) by way of a following matrix (C, out_features) to (N, C, H, W)."""
        # This leaves the channels last, which on a CPU takes a quarter off the time of the whole network.
        return F.linear(x.movedim(1, -1), following @ self.weight, following @ self.bias).movedim(-1, 1)


class AllMLPDecoder(nn.Module):
    """SegFormer's decoder: features of all levels by linear layers to one width, up-sampled, fused and classified.

    Nothing stands between the linear layer of a level and its share of the one that fuses them but an up-sampling,
    which commutes with both. So the product of both maps the features at their own size, and the concatenation of wide
    maps at full size is never made: the same numbers for a small part of the time and memory.

    Args:
        in_channels: channels of the levels' features, each at half the size of the one before.
        channels: width of the decoder.
        out_channels: classes.
    """

    def __init__(self, in_channels: tuple[int, ...], channels: int, out_channels: int) -> None:
        super().__init__()
        self.projections = nn.ModuleList(FusedLinear(width, channels) for width in in_channels)
        self.fuse = nn.Conv2d(len(in_channels) * channels, channels, kernel_size=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.dropout = nn.Dropout(_DROPOUT)
        self.classifier = nn.Conv2d(channels, out_channels, kernel_size=1)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Map features (N, C_k, H / 2^k, W / 2^k) to logits (N, out_channels, H, W)."""
        shares = torch.chunk(self.fuse.weight.flatten(1), len(features), dim=1)
        fused = self.projections[0](features[0], shares[0])
        for k in range(1, len(features)):
            fused = fused + upsample(self.projections[k](features[k], shares[k]), 2**k)
        logits: Tensor = self.classifier(self.dropout(F.relu(self.norm(fused))))
        return logits


class SegFormer(nn.Module):
    """SegFormer for images of any size and number of channels.

    A Mix Transformer gives features at strides 4, 8, 16 and 32, of which `AllMLPDecoder` makes logits at a quarter of
    the image's size; these are up-sampled to all of it. The encoder is that of transformers: `pip install
    "handseg[segformer]"`.

    Source: Xie et al., SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers,
    arXiv:2105.15203.

    Args:
        in_channels: channels of the images.
        out_channels: classes, one channel of logits each.
        model_name: `segformer-b0` to `segformer-b5`.
        decoder_channels: width of the decoder; by default the paper's, 256 for b0 and b1 and 768 for the others.
        drop_path_rate: probability of skipping the last residual branches in training; it falls linearly to 0 at the
            first (stochastic depth, arXiv:1603.09382).
        use_checkpoint: compute the encoder's stages again in the backward pass instead of keeping their activations.
        pretrained_path: file with SegFormer weights for the encoder, named as by transformers (`nvidia/mit-b0` to
            `nvidia/mit-b5`). Without it the encoder starts from random weights; nothing is ever downloaded.

    Raises:
        HandsegInputError: transformers is not installed; no such variant; a decoder without channels; or a file of
            weights that cannot be read or fits less than 95 % of the encoder.
    """

    def __init__(  # noqa: PLR0917  the order in which MONAI's networks take them
        self,
        in_channels: int = 1,
        out_channels: int = NUM_BONES,
        model_name: str = "segformer-b0",
        decoder_channels: int | None = None,
        drop_path_rate: float = 0.1,
        use_checkpoint: bool = False,
        pretrained_path: str | None = None,
    ) -> None:
        super().__init__()
        if model_name not in _VARIANTS:
            raise HandsegInputError("model_name", f"is {model_name!r}", f"choose one of {', '.join(_VARIANTS)}")
        variant = _VARIANTS[model_name]
        channels = variant.decoder_channels if decoder_channels is None else decoder_channels
        if channels < 1:
            raise HandsegInputError("decoder_channels", f"is {channels}", "choose a positive number, or none")
        self.in_channels = in_channels
        self.use_checkpoint = use_checkpoint
        self.encoder = _encoder(variant, in_channels, drop_path_rate)
        if pretrained_path is not None:
            load_encoder(self.encoder, pretrained_path, stem=_STEM, published_name=_published_name, prefix="segformer.")
        self.decoder = AllMLPDecoder(variant.widths, channels, out_channels)
        # Channels last suits the depthwise convolutions, whose input is a sequence of pixels.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Tensor) -> Tensor:
        """Map images (N, in_channels or 1, H, W) to logits (N, out_channels, H, W); a grey image feeds all channels."""
        height, width = image.shape[-2], image.shape[-1]
        logits = self.decoder(self._features(fit_input(image, self.in_channels)))
        return upsample(logits, 4)[:, :, :height, :width]

    def _features(self, x: Tensor) -> list[Tensor]:
        features = []
        for stage in self.encoder.get_submodule("stages").children():
            x = checkpoint(stage, x, use_reentrant=False) if self.use_checkpoint and self.training else stage(x)
            features.append(x)
        return features


def _encoder(variant: _Variant, in_channels: int, drop_path_rate: float) -> nn.Module:
    """Build the encoder of transformers, which takes seconds to import and only this network needs."""
    try:
        from transformers import SegformerConfig, SegformerModel  # noqa: PLC0415
    except ImportError as error:
        remedy = 'install it with pip install "handseg[segformer]"'
        raise HandsegInputError("transformers", "is not installed", remedy) from error
    config = SegformerConfig(
        num_channels=in_channels,
        depths=variant.depths,
        hidden_sizes=variant.widths,
        drop_path_rate=drop_path_rate,
    )
    encoder: nn.Module = SegformerModel(config)
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            _initialise(module)
    return encoder


def _initialise(conv: nn.Conv2d) -> None:
    """Draw the weights as the paper's authors do (He et al., arXiv:1502.01852, by fan-out).

    transformers draws them all with a standard deviation of 0.02. That is a twentieth for a depthwise convolution, and
    an encoder without pretrained weights learns much more slowly.
    """
    fan_out = conv.weight[0, 0].numel() * conv.out_channels // conv.groups
    nn.init.normal_(conv.weight, std=math.sqrt(2 / fan_out))


def _published_name(name: str) -> str:
    """Return a tensor's name in the published files, which stem from version 4 of transformers."""
    for present, published in _RENAMED:
        name = re.sub(present, published, name)
    return name
