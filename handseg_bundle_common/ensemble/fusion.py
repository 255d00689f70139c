"""How an ensemble weighs its members, bone by bone: the few numbers that are its own weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import torch
from torch import Tensor, nn

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.weights import load_checkpoint, save_checkpoint

# Probabilities are kept this far from 0 and 1, so that their logits stay finite in float32.
EPS = 1e-6

_SELECT_AGAIN = "run handseg select-members for these members, or set weights to null in the configuration"


class Fusion(nn.Module):
    """Weights of the members, thresholds and calibration, one of each for every bone.

    Attributes:
        weights: (members, 29), summing to 1 over the members.
        thresholds: (29,), probability above which a pixel belongs to the bone.
        calibration: (29, 2), scale and offset that turn the logit of the mean probability into that of a calibrated
            one (J. Platt, Probabilistic outputs for support vector machines, 1999).

    Args:
        names: the members.
    """

    weights: Tensor
    thresholds: Tensor
    calibration: Tensor

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.register_buffer("weights", torch.full((len(names), NUM_BONES), 1 / len(names)))
        self.register_buffer("thresholds", torch.full((NUM_BONES,), 0.5))
        self.register_buffer("calibration", torch.tensor([1.0, 0.0]).repeat(NUM_BONES, 1))

    def set(self, weights: Tensor, thresholds: Tensor, calibration: Tensor) -> None:
        """Replace all numbers, after checking them.

        Raises:
            HandsegInputError: a shape differs, or a number is out of range.
        """
        given = {"weights": weights, "thresholds": thresholds, "calibration": calibration}
        for name, tensor in given.items():
            own = getattr(self, name)
            if tensor.shape != own.shape or not torch.isfinite(tensor).all():
                problem = f"has {name} of shape {tuple(tensor.shape)} instead of {tuple(own.shape)}, or not finite"
                raise HandsegInputError("ensemble", problem, _SELECT_AGAIN)
        if (weights < 0).any() or not torch.allclose(weights.sum(0).float(), torch.ones(NUM_BONES), atol=1e-4):
            raise HandsegInputError("ensemble", "has weights that are negative or do not sum to 1", _SELECT_AGAIN)
        if ((thresholds.float() <= EPS) | (thresholds.float() >= 1 - EPS)).any():
            raise HandsegInputError("ensemble", "has a threshold that is no probability", _SELECT_AGAIN)
        for name, tensor in given.items():
            getattr(self, name).copy_(tensor)

    def keep(self, names: Sequence[str]) -> None:
        """Forget all members but these; their weights sum to 1 again.

        Bones to which the members left have given no weight are shared equally by those kept.
        """
        weights = self.weights[[self.names.index(name) for name in names]]
        sums = weights.sum(dim=0)
        self.weights = torch.where(sums > 0, weights / sums.clamp(min=1e-12), 1 / len(names))
        self.names = tuple(names)


def save_fusion(fusion: Fusion, path: str | PathLike[str], settings: Mapping[str, Any] | None = None) -> None:
    """Write an ensemble's own weights, a few kilobytes; its members keep theirs.

    Args:
        fusion: the numbers.
        path: file to write.
        settings: plain values that belong to them, such as the ensemble's `image_size`.

    Raises:
        HandsegInputError: the file cannot be written.
    """
    tensors = {name: tensor.detach().cpu() for name, tensor in fusion.state_dict().items()}
    save_checkpoint(path, {"members": list(fusion.names), "settings": dict(settings or {}), "model": tensors})


def load_fusion(fusion: Fusion, path: str | PathLike[str]) -> None:
    """Read what `save_fusion` wrote, for the same members in any order.

    Raises:
        HandsegInputError: the file cannot be used, or is for other members.
    """
    content = load_checkpoint(path)
    names, tensors = content.get("members"), content.get("model")
    if not isinstance(names, list) or not isinstance(tensors, dict) or set(tensors) != set(fusion.state_dict()):
        raise HandsegInputError(path, "holds no weights of an ensemble", "name a file that select-members wrote")
    if sorted(map(str, names)) != sorted(fusion.names):
        problem = f"is for the members {', '.join(map(str, names))}, not {', '.join(fusion.names)}"
        raise HandsegInputError(path, problem, _SELECT_AGAIN)
    rows = [names.index(name) for name in fusion.names]
    try:
        fusion.set(tensors["weights"][rows], tensors["thresholds"], tensors["calibration"])
    except (HandsegInputError, IndexError) as error:
        raise HandsegInputError(path, f"cannot be used ({error})", _SELECT_AGAIN) from error
