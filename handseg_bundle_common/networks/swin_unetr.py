"""SwinUNETR: MONAI's network for radiographs of any size."""

from __future__ import annotations

from monai.networks import nets
from torch import Tensor

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.networks.inputs import fit_input

# Instance normalisation needs more than the one pixel that is left of 32 x 32 at stride 32.
_MIN_SIZE = 64


class SwinUNETR(nets.SwinUNETR):
    """MONAI's SwinUNETR in two dimensions, for images of any size and number of channels.

    Windows of a Swin Transformer attend to each other in turns, and residual convolutions bring its features at
    strides 2 to 32 back to full size. The names of its tensors are MONAI's. There are no published weights for images:
    those of MONAI are for volumes.

    Source: Hatamizadeh et al., Swin UNETR, arXiv:2201.01266.

    Args:
        in_channels: channels of the images.
        out_channels: classes, one channel of logits each.
        feature_size: channels at full size and at stride 2, a multiple of 12; they double with each later stride.
        drop_path_rate: probability of skipping the last residual branches in training; it falls linearly to 0 at the
            first (stochastic depth, arXiv:1603.09382).
        use_checkpoint: compute the transformer's blocks again in the backward pass instead of keeping their
            activations.

    Raises:
        HandsegInputError: a feature size that is no multiple of 12.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = NUM_BONES,
        feature_size: int = 24,
        drop_path_rate: float = 0.0,
        use_checkpoint: bool = False,
    ) -> None:
        if feature_size < 12 or feature_size % 12:
            raise HandsegInputError("feature_size", f"is {feature_size}", "choose a multiple of 12, such as 24")
        super().__init__(
            in_channels,
            out_channels,
            feature_size=feature_size,
            dropout_path_rate=drop_path_rate,
            use_checkpoint=use_checkpoint,
            spatial_dims=2,
        )
        self.in_channels = in_channels

    def forward(self, image: Tensor) -> Tensor:
        """Map images (N, in_channels or 1, H, W) to logits (N, out_channels, H, W); a grey image feeds all channels."""
        height, width = image.shape[-2], image.shape[-1]
        logits: Tensor = super().forward(fit_input(image, self.in_channels, min_size=_MIN_SIZE))
        return logits[:, :, :height, :width]
