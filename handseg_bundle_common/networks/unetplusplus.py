"""UNet++: a U-Net whose skip connections are grids of convolutions, on the branches of an HRNet."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.networks.hrnet import HRNetEncoder
from handseg_bundle_common.networks.inputs import fit_input
from handseg_bundle_common.networks.pretrained import load_encoder
from handseg_bundle_common.networks.upsampling import upsample

# A convolution at half of the image's size costs four times as much as at a quarter, so this row is kept narrow.
_FINEST_ROW_WIDTH = 16


class UNetPlusPlus(nn.Module):
    """UNet++ with an HRNet encoder for images of any size and number of channels.

    The encoder's features at strides 2 to 32 are the nodes X[0, 0] to X[4, 0] of a triangular grid. Node X[i, j]
    concatenates all earlier nodes of its row i with the node X[i + 1, j - 1] of the coarser row below, up-sampled by
    two, and passes two 3 x 3 convolutions, each with batch normalisation and ReLU. A point-wise convolution of the
    last node of the finest row, X[0, 4], gives the logits at half of the image's size, which are up-sampled to all of
    it. Every up-sampling in the decoder is bilinear.

    Source: Zhou et al., UNet++: A Nested U-Net Architecture for Medical Image Segmentation, arXiv:1807.10165.

    Args:
        in_channels: channels of the images.
        out_channels: classes, one channel of logits each.
        model_name: the encoder, see `HRNetEncoder`.
        decoder_channels: channels of the nodes at strides 2, 4, 8 and 16; by default 16 and those of the encoder's
            branches.
        deep_supervision: put a head on each of X[0, 1] to X[0, 4]. In training the network returns the logits of all
            of them, for a loss on each (`monai.losses.DeepSupervisionLoss`), and in evaluation their mean, which is
            the paper's accurate mode.
        pretrained_path: file with HRNet weights for the encoder, named as by HRNet-Image-Classification or timm.
            Without it the encoder starts from random weights; nothing is ever downloaded.

    Raises:
        HandsegInputError: no such encoder, widths that are not four positive whole numbers, or a file of weights that
            cannot be read or fits less than 95 % of the encoder.
    """

    def __init__(  # noqa: PLR0917  the order in which MONAI's networks take them
        self,
        in_channels: int = 1,
        out_channels: int = NUM_BONES,
        model_name: str = "hrnet-w18-small-v2",
        decoder_channels: Sequence[int] | None = None,
        deep_supervision: bool = False,
        pretrained_path: str | None = None,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.encoder = HRNetEncoder(in_channels, model_name)
        if pretrained_path is not None:
            load_encoder(self.encoder, pretrained_path, stem="conv1.weight")
        features = self.encoder.widths
        widths = [_FINEST_ROW_WIDTH, *features[1:-1]] if decoder_channels is None else _checked(decoder_channels)
        self.rows = nn.ModuleList(_row(features, widths, row) for row in range(len(widths)))
        auxiliary = len(widths) - 1 if deep_supervision else 0
        self.auxiliary_heads = nn.ModuleList(nn.Conv2d(widths[0], out_channels, 1) for _ in range(auxiliary))
        self.head = nn.Conv2d(widths[0], out_channels, kernel_size=1)
        # Channels last suits the small convolutions on a CPU and the half precision of a GPU's tensor cores.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Map images to logits; a grey image feeds all channels.

        Args:
            image: (N, in_channels or 1, H, W).

        Returns:
            Logits (N, out_channels, H, W). In training with deep supervision a list of these, one a head, the last of
            them that of X[0, 4].
        """
        height, width = image.shape[-2], image.shape[-1]
        finest = self._finest_row(self.encoder(fit_input(image, self.in_channels)))
        heads = [*self.auxiliary_heads, self.head]
        logits = [head(x) for head, x in zip(heads, finest[-len(heads) :], strict=True)]
        if self.training and len(heads) > 1:
            return [upsample(x)[:, :, :height, :width] for x in logits]
        return upsample(sum(logits) / len(logits))[:, :, :height, :width]

    def _finest_row(self, features: list[Tensor]) -> list[Tensor]:
        """Return X[0, 0] to X[0, 4], computing the grid column by column."""
        grid = [[x] for x in features]
        for column in range(1, len(grid)):
            for row in range(len(grid) - column):
                below = upsample(grid[row + 1][column - 1])
                node = self.rows[row][column - 1]  # type: ignore[index]
                grid[row].append(node(torch.cat([*grid[row], below], dim=1)))
        return grid[0]


def _checked(decoder_channels: Sequence[int]) -> list[int]:
    """Return the widths of the four rows, which a user may have typed."""
    widths = list(decoder_channels) if isinstance(decoder_channels, Sequence) else []
    if len(widths) != 4 or not all(isinstance(width, int) and width > 0 for width in widths):
        remedy = "give four positive whole numbers, such as [16, 18, 36, 72], or none"
        raise HandsegInputError("decoder_channels", f"is {decoder_channels!r}", remedy)
    return widths


def _row(features: list[int], widths: list[int], row: int) -> nn.ModuleList:
    """Return the nodes X[row, 1] to the last, from the channels of X[i, 0] and of the later nodes of every row i."""
    nodes = nn.ModuleList()
    for column in range(1, len(features) - row):
        below = features[row + 1] if column == 1 else widths[row + 1]
        nodes.append(_node(features[row] + (column - 1) * widths[row] + below, widths[row]))
    return nodes


def _node(in_channels: int, out_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (in_channels, out_channels):
        conv = nn.Conv2d(channels, out_channels, kernel_size=3, padding=1, bias=False)
        layers += [conv, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
