"""What a bundle's inference configuration builds, held to what prediction does with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.errors import HandsegInputError

PARTS = ("network", "preprocessing", "inferer", "threshold")
"""Ids of a configuration without which nothing can be predicted."""

CHECK_BUNDLE = "compare the bundle with bundles/effisegnet"


def check_parts(path: Path, parts: Mapping[str, Any]) -> None:
    """Refuse parts that a configuration has built and that are not what their names promise.

    Args:
        path: the configuration.
        parts: what stands under each of `PARTS`.

    Raises:
        HandsegInputError: the network is none of PyTorch's, preprocessing or inferer cannot be called, or the threshold
            is neither one probability nor one per bone, each above 0 and below 1.
    """
    demands = {
        "network": (isinstance(parts["network"], nn.Module), "a torch.nn.Module"),
        "preprocessing": (callable(parts["preprocessing"]), "something to call"),
        "inferer": (callable(parts["inferer"]), "something to call"),
        "threshold": (_is_threshold(parts["threshold"]), f"a number between 0 and 1 or {NUM_BONES} of them"),
    }
    for name, (met, demand) in demands.items():
        if not met:
            given = " ".join(repr(parts[name]).split())[:40]
            raise HandsegInputError(path, f"has the {name} {given}, which is not {demand}", CHECK_BUNDLE)


def _is_threshold(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return len(value) == NUM_BONES and all(map(_is_probability, value))
    return _is_probability(value)


def _is_probability(value: object) -> bool:
    return isinstance(value, (int, float)) and 0 < value < 1
