"""Windows where bone is: a glance at the whole radiograph tells where to look closely."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.data.utils import compute_importance_map
from monai.utils import convert_to_dst_type
from torch.nn import functional

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.windows.inferers import Network, WindowInferer
from handseg_bundle_common.windows.placement import Axis, Cells, place_windows

# What no window has seen has this logit, a probability of 2e-9.
_NO_BONE = -20.0

# Logit, a probability of 0.1, above which a glance takes a pixel for bone: a window too many costs less than a bone.
_GLANCE_LEVEL = -2.2

Starts = list[tuple[int, int]]


class BoneWindowInferer(WindowInferer):
    """Windows that are placed on bone, coarse to fine, in place of a fixed grid.

    The network glances at the whole radiograph, shrunk to `glance_size`. As few windows are placed as see each bone
    that it finds off their rims. Where a window finds bone that lies off the rim of none, windows are added until there
    is no such bone. Windows are blended as logits with Gaussian weights. Without `window_size`, or
    where one window sees the whole radiograph, this is `WindowInferer`; so it is where the glance finds no bone.

    Args:
        image_size: longer side of the radiograph in px.
        window_size: side of the windows in px; None takes the whole radiograph.
        overlap: fraction of a window that its neighbour covers in the grid where there is no bone.
        sw_batch_size: windows that the network gets at once.
        flip: average the logits of every window with those of its left-right mirror image.
        glance_size: longer side in px at which the whole radiograph is seen first; half a window if None.
        margin: share of a window's side at whose rim bones do not count as seen, 0 to less than 0.45.

    Attributes:
        evaluations: windows that the network got in the last call; a glance counts by its area.

    Raises:
        HandsegInputError: a value is out of range.
    """

    def __init__(
        self,
        image_size: int,
        window_size: int | None = None,
        overlap: float = 0.25,
        sw_batch_size: int = 1,
        *,
        flip: bool = False,
        glance_size: int | None = None,
        margin: float = 0.1,
    ) -> None:
        super().__init__(image_size, window_size, overlap, sw_batch_size, flip=flip)
        if not 0 <= margin < 0.45:
            raise HandsegInputError("margin", f"{margin} is no share of a window's rim", "choose 0 to less than 0.45")
        if glance_size is not None and glance_size < 1:
            raise HandsegInputError("glance_size", f"{glance_size} is too small", "choose 1 or more")
        self.side = window_size or image_size
        self.margin = round(margin * self.side)
        self.glance_size = glance_size or max(self.side // 2, 1)
        self.evaluations = 0.0
        self._glance = WindowInferer(self.glance_size)

    def __call__(self, inputs: torch.Tensor, network: Network, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return logits (N, C, H, W) of images (N, channels, H, W)."""
        self.evaluations = 0.0
        if max(inputs.shape[2:]) <= self.side:
            return self._on_grid(inputs, network, *args, **kwargs)

        def called(windows: torch.Tensor) -> torch.Tensor:
            return network(windows, *args, **kwargs)

        images = inputs.as_tensor() if isinstance(inputs, MetaTensor) else inputs
        logits = [self._of_image(image[None], called) for image in images]
        blended: torch.Tensor = convert_to_dst_type(torch.cat(logits), inputs)[0]
        return blended

    def _on_grid(self, inputs: torch.Tensor, network: Network, *args: Any, **kwargs: Any) -> torch.Tensor:
        def counted(windows: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            self.evaluations += len(windows)
            return network(windows, *args, **kwargs)

        return super().__call__(inputs, counted, *args, **kwargs)

    def _of_image(self, image: torch.Tensor, network: Network) -> torch.Tensor:
        """Return the logits (1, C, H, W) of one image."""
        height, width = image.shape[2:]
        # A window that is higher or wider than the radiograph sees black beside it, as in training.
        below, right = max(self.side - height, 0), max(self.side - width, 0)
        top, left = below // 2, right // 2
        canvas = functional.pad(image, (left, right - left, top, below - top))
        needed = self._glance_at(canvas, network)
        if not needed.any():
            return self._on_grid(image, network)
        logits = self._of_canvas(canvas, needed, network)
        return logits[..., top : top + height, left : left + width]

    def _glance_at(self, canvas: torch.Tensor, network: Network) -> Cells:
        """Return which cells (h, w) of a canvas hold bone, as far as can be told from a small picture of it."""
        share = self.glance_size / max(canvas.shape[2:])
        size = [max(round(length * share), 1) for length in canvas.shape[2:]]
        small = functional.interpolate(canvas, size, mode="area")
        self.evaluations += (self.glance_size / self.side) ** 2
        best = self._glance(small, network)[0].amax(0)
        return np.asarray((best > _GLANCE_LEVEL).cpu())

    def _of_canvas(self, canvas: torch.Tensor, needed: Cells, network: Network) -> torch.Tensor:
        """Return the logits (1, C, H, W) of windows on the needed cells of a canvas and on what these find."""
        rows, columns = (
            Axis(length, cells, self.side, self.margin)
            for length, cells in zip(canvas.shape[2:], needed.shape, strict=True)
        )
        blend = _Blend(canvas, self.side)
        seen = np.zeros_like(needed)
        while (needed & ~seen).any():
            starts = place_windows(needed & ~seen, rows, columns)
            for top, left in starts:
                seen[rows.core(top), columns.core(left)] = True
            for first in range(0, len(starts), self.sw_batch_size):
                batch = starts[first : first + self.sw_batch_size]
                logits = network(blend.windows(batch))
                self.evaluations += len(batch)
                blend.add(batch, logits)
                for (top, left), of_window in zip(batch, logits, strict=True):
                    y, x = np.nonzero(np.asarray((of_window.amax(0) > 0).cpu()))
                    needed[(y + top) * rows.cells // rows.length, (x + left) * columns.cells // columns.length] = True
        return blend.blended()


class _Blend:
    """Logits of windows anywhere on a canvas, blended by Gaussian weights.

    Args:
        canvas: image (1, channels, H, W).
        side: side of the windows in px.
    """

    def __init__(self, canvas: torch.Tensor, side: int) -> None:
        self.canvas, self.side = canvas, side
        self._importance = compute_importance_map((side, side), mode="gaussian", device=canvas.device)
        self._weights = canvas.new_zeros(canvas.shape[2:], dtype=torch.float32)
        self._sum = self._weights[None, None, :0]

    def windows(self, starts: Starts) -> torch.Tensor:
        """Return windows (n, channels, side, side) of the canvas."""
        return torch.cat([self.canvas[(slice(None), slice(None), *self._place(start))] for start in starts])

    def add(self, starts: Starts, logits: torch.Tensor) -> None:
        """Add the logits (n, C, side, side) of windows."""
        if self._sum.numel() == 0:
            self._sum = self._weights.new_zeros((1, logits.shape[1], *self._weights.shape))
        for start, of_window in zip(starts, logits, strict=True):
            place = self._place(start)
            self._sum[(0, slice(None), *place)] += of_window.float() * self._importance
            self._weights[place] += self._importance

    def blended(self) -> torch.Tensor:
        """Return the mean logits (1, C, H, W), and no bone where no window was."""
        blended = self._sum.div_(self._weights)
        return blended.masked_fill_(self._weights == 0, _NO_BONE)

    def _place(self, start: tuple[int, int]) -> tuple[slice, slice]:
        top, left = start
        return slice(top, top + self.side), slice(left, left + self.side)
