"""Gradient clipping once per optimiser step."""

from __future__ import annotations

from typing import Any

import torch
from ignite.engine import Engine


class GradientClipping:
    """Clip the total gradient norm right before each step of the optimiser.

    A step hook sees what the optimiser sees: gradients summed over all accumulated batches and already divided by
    the scale of a `GradScaler`. A handler on MONAI's BACKWARD_COMPLETED would clip every partial sum instead.

    Args:
        optimizer: the optimiser whose parameters are clipped.
        max_norm: largest allowed Euclidean norm over all gradients.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, max_norm: float) -> None:
        self.max_norm = max_norm
        self.optimizer = optimizer
        self._attached = False

    def attach(self, engine: Engine) -> None:
        """Register the hook; attaching again changes nothing."""
        if not self._attached:
            self.optimizer.register_step_pre_hook(self._clip)
            self._attached = True

    def _clip(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        torch.nn.utils.clip_grad_norm_(parameters, self.max_norm)
