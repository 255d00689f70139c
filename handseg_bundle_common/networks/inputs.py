"""What every network does to its input: any size, any number of channels."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F  # noqa: N812  the name that PyTorch's own documentation uses


def fit_input(image: Tensor, in_channels: int, stride: int = 32, min_size: int = 0) -> Tensor:
    """Return images that a network takes; crop its output to the size of the original.

    A grey image feeds all channels, and the border is repeated below and to the right.

    Args:
        image: (N, in_channels or 1, H, W).
        in_channels: channels that the network has been built for.
        stride: height and width become multiples of it.
        min_size: least height and width, a multiple of `stride`.
    """
    if image.shape[1] == 1 and in_channels > 1:
        image = image.expand(-1, in_channels, -1, -1)
    height, width = image.shape[-2], image.shape[-1]
    below = max(-height % stride, min_size - height)
    right = max(-width % stride, min_size - width)
    if below + right > 0:
        image = F.pad(image, [0, right, 0, below], mode="replicate")
    return image
