"""What the losses know of each bone: its weight, and other numbers of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
import torch
from torch import nn

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.errors import HandsegInputError

PerBone = float | Sequence[float]
BoneWeights = Sequence[float] | Mapping[str, float]


class BoneNumbers(nn.Module):
    """One number for all bones or one for each, which no checkpoint holds.

    Args:
        name: what the recipe calls them, for messages.
        numbers: 0 or more each.

    Raises:
        HandsegInputError: they are no such numbers.
    """

    numbers: torch.Tensor

    def __init__(self, name: str, numbers: PerBone) -> None:
        super().__init__()
        self.name = name
        self.register_buffer("numbers", _checked(name, numbers).reshape(-1, 1, 1), persistent=False)

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the numbers for logits (..., C, H, W) as (C, 1, 1) or (1, 1, 1), in their type and on their device.

        Raises:
            HandsegInputError: there are several numbers, and not C.
        """
        if len(self.numbers) not in (1, logits.shape[-3]):
            problem = f"has {len(self.numbers)} numbers for {logits.shape[-3]} bones"
            raise HandsegInputError(self.name, problem, "give one number for all bones or one for each")
        return self.numbers.to(logits)


class BoneMean(nn.Module):
    """Mean over the bones of what the loss finds in each, with the weights of a recipe.

    Args:
        weights: one for each bone in channel order, or by bone name, where bones that are not named have 1; only
            their ratios count. None weighs all alike.

    Raises:
        HandsegInputError: a name is unknown, a weight is negative, or none is positive.
    """

    def __init__(self, weights: BoneWeights | None = None) -> None:
        super().__init__()
        self.weights = None if weights is None else BoneNumbers("bone_weights", _with_mean_1(weights))

    def factors(self, logits: torch.Tensor) -> torch.Tensor | None:
        """Return weights (C, 1, 1) of mean 1 for logits (..., C, H, W); None if all bones count alike."""
        factors: torch.Tensor | None = None if self.weights is None else self.weights(logits)
        return factors

    def forward(self, losses: torch.Tensor) -> torch.Tensor:
        """Return the mean, a scalar, of losses (..., C, H, W), H and W possibly 1."""
        factors = self.factors(losses)
        return losses.mean() if factors is None else (losses * factors).mean()


def in_single_precision(logits: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return both in float32, or in the logits' type if that is wider."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return logits, target.to(logits)


def _checked(name: str, numbers: Any) -> torch.Tensor:
    try:
        values = np.atleast_1d(np.asarray(numbers, dtype=np.float32))
    except (TypeError, ValueError):
        values = np.empty(0, np.float32)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all() or values.min() < 0:
        problem = f"{numbers!r} is not a number of 0 or more, or a list of such"
        raise HandsegInputError(name, problem, "give one number for all bones or one for each")
    return torch.from_numpy(values)


def _with_mean_1(weights: BoneWeights) -> list[float]:
    values = _checked("bone_weights", _in_channel_order(weights) if isinstance(weights, Mapping) else weights).double()
    if not values.any():
        raise HandsegInputError("bone_weights", "are all 0", "give the bones that count a weight above 0")
    return (values / values.mean()).tolist()


def _in_channel_order(weights: Mapping[str, float]) -> list[float]:
    for name in weights:
        if name not in BONE_NAMES:
            similar = get_close_matches(str(name), BONE_NAMES, n=1)
            remedy = f"did you mean {similar[0]}" if similar else "take the data set's names, such as finger-1 or Ulna"
            raise HandsegInputError("bone_weights", f"{name!r} is no bone", remedy)
        _checked(f"bone_weights of {name}", weights[name])
    return [weights.get(name, 1.0) for name in BONE_NAMES]
