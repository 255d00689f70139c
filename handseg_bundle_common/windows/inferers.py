"""Windows at evaluation: how a network that sees a part of a radiograph at a time predicts the whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from monai.inferers import SlidingWindowInferer

from handseg_bundle_common.errors import HandsegInputError

Network = Callable[..., torch.Tensor]


class WindowInferer(SlidingWindowInferer):
    """MONAI's sliding windows by the settings of a bundle: square, blended as logits with Gaussian weights.

    Without `window_size` one window is the whole radiograph at its working size, black beside its longer side as in
    training.

    Args:
        image_size: longer side of the radiograph in px.
        window_size: side of the windows in px; None takes the whole radiograph.
        overlap: fraction of a window that its neighbour covers too, 0 to less than 1.
        sw_batch_size: windows that the network gets at once.
        flip: average the logits of every window with those of its left-right mirror image. This doubles the time.

    Raises:
        HandsegInputError: a size, the overlap or the batch size is out of range.
    """

    def __init__(
        self,
        image_size: int,
        window_size: int | None = None,
        overlap: float = 0.25,
        sw_batch_size: int = 1,
        *,
        flip: bool = False,
    ) -> None:
        for name, value in {
            "image_size": image_size,
            "window_size": window_size,
            "sw_batch_size": sw_batch_size,
        }.items():
            if value is not None and value < 1:
                raise HandsegInputError(name, f"{value} is too small", "choose 1 or more")
        if not 0 <= overlap < 1:
            raise HandsegInputError("overlap", f"{overlap} is no share of a window", "choose from 0 up to less than 1")
        side = window_size or image_size
        super().__init__((side, side), sw_batch_size, overlap, mode="gaussian")
        self.flip = flip

    def __call__(self, inputs: torch.Tensor, network: Network, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return logits (N, C, H, W) of images (N, channels, H, W)."""
        logits: torch.Tensor = super().__call__(
            inputs, _with_mirror_image(network) if self.flip else network, *args, **kwargs
        )
        return logits


class CanvasInferer(SlidingWindowInferer):
    """MONAI's sliding windows with a single one, the whole image; for networks that cut windows themselves."""

    def __init__(self) -> None:
        super().__init__((1, 1), mode="constant")

    def __call__(self, inputs: torch.Tensor, network: Network, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return logits (N, C, H, W) of images (N, channels, H, W), of which the network gets all at once."""
        self.roi_size, self.sw_batch_size = tuple(inputs.shape[2:]), len(inputs)
        logits: torch.Tensor = super().__call__(inputs, network, *args, **kwargs)
        return logits


def _with_mirror_image(network: Network) -> Network:
    """Return a function that gives the mean logits of windows and their mirror images.

    Mirroring window by window needs no second copy of the logits of the whole radiograph.
    """

    def mean_logits(windows: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        mirrored = network(windows.flip(-1), *args, **kwargs).flip(-1)
        return (network(windows, *args, **kwargs) + mirrored) / 2

    return mean_logits
