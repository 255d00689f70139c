"""EffiSegNet with its shipped weights: forward pass and training step against the paper's."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from comparison import Comparison
from textbook_effisegnet import TextbookEffiSegNet
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  the name that PyTorch's own documentation uses

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.datasets import find_images
from handseg_bundle_common.formats.radiograph import read_radiograph
from handseg_bundle_common.networks import EffiSegNet
from handseg_bundle_common.packaging.compiled import TOLERANCE
from handseg_bundle_common.resources import shared_path
from handseg_bundle_common.weights import find_bundle, load_weights, stored_settings

Check = Callable[[Any, Any], str]

# Side in px of the image with which gradients are compared in double precision.
_SMALL = 256
# Largest difference of gradients, as a part of their length.
_SINGLE, _DOUBLE = 0.1, 1e-9


def comparisons(size: int) -> list[Comparison]:
    """Return the rows for one radiograph of size x size px."""
    weights = Path(find_bundle("effisegnet"), "models", "model.pt")
    stored = stored_settings(weights)
    settings = {name: stored[name] for name in ("in_channels", "model_name", "decoder_channels")}
    ours = load_weights(EffiSegNet(**settings, drop_connect_rate=0.0), weights).eval()
    textbook = TextbookEffiSegNet(ours, settings["model_name"]).eval()
    image, small = _radiograph(size), _radiograph(_SMALL)
    name = f"EffiSegNet {settings['model_name'].removeprefix('efficientnet-')}"
    masks, small_masks = ((x > x.mean()).float().expand(-1, NUM_BONES, -1, -1) for x in (image, small))
    channels_last = TextbookEffiSegNet(ours, settings["model_name"]).eval().to(memory_format=torch.channels_last)
    slow, fast = _forward(textbook, image), _forward(ours, image)
    half, slow_half = (_forward(network, image, torch.bfloat16) for network in (ours, textbook))
    steps = _step(textbook, image, masks), _step(ours, image, masks)
    equal_gradients = _equal_gradients(textbook, ours, small, small_masks)
    return [
        Comparison(f"{name} forward", slow, fast, _equal_logits, target=4, memory_target=0.45),
        Comparison(f"{name} forward, textbook in channels-last", _forward(channels_last, image), fast, _equal_logits),
        Comparison(f"{name} forward, ours in bfloat16", slow, half, _as_near_as(slow_half), target=8),
        Comparison(f"{name} training step", *steps, equal_gradients, target=1.5),
    ]


def _radiograph(size: int) -> Tensor:
    """Return the first hand of the sample, (1, 1, size, size)."""
    path = find_images(shared_path("data/sample", "take a radiograph of your own"))[0]
    return F.interpolate(torch.from_numpy(read_radiograph(path))[None], (size, size), mode="bilinear", antialias=True)


def _forward(network: nn.Module, image: Tensor, precision: torch.dtype | None = None) -> Callable[[], Tensor]:
    """Return what computes logits of an image, by autocast in another precision if one is given."""

    def run() -> Tensor:
        network.eval()
        with torch.inference_mode(), torch.autocast("cpu", precision, enabled=precision is not None):
            logits: Tensor = network(image)
        return logits

    return run


def _step(network: nn.Module, image: Tensor, masks: Tensor) -> Callable[[], dict[str, Tensor]]:
    """Return what computes the gradients of the loss on an image."""

    def run() -> dict[str, Tensor]:
        network.train()
        network.zero_grad()
        F.binary_cross_entropy_with_logits(network(image), masks).backward()
        return {name: weight.grad for name, weight in network.named_parameters() if weight.grad is not None}

    return run


def _equal_logits(textbook: Tensor, ours: Tensor) -> str:
    """Compare all logits together; a single one may be off by more, because the network enlarges rounding."""
    difference = textbook - ours
    together = (difference.norm() / textbook.norm()).item()
    largest = (difference.abs().max() / textbook.abs().max()).item()
    if not together <= TOLERANCE:
        raise AssertionError(f"logits differ by {together:.2g} of their length")
    return f"logits to {together:.0e} of their length, {largest:.0e} of the largest"


def _as_near_as(reference: Callable[[], Tensor]) -> Check:
    """Return what checks that ours is about as near to the textbook in float32 as the textbook in half precision."""

    def check(textbook: Tensor, ours: Tensor) -> str:
        found, allowed = (((x - textbook).norm() / textbook.norm()).item() for x in (ours, reference()))
        if not found <= 1.5 * allowed:
            raise AssertionError(f"logits differ by {found:.2g} of their length, the textbook's by {allowed:.2g}")
        return f"logits to {found:.0e} of their length, the textbook's in bfloat16 to {allowed:.0e}"

    return check


def _equal_gradients(textbook: nn.Module, ours: nn.Module, image: Tensor, masks: Tensor) -> Check:
    """Return what compares the gradients of all weights together, those of single ones may be rounding alone.

    In double precision they have to be the same. In single precision PyTorch sums the statistics of a batch less
    exactly for channels-last maps, which ours are, than for others.
    """

    def check(expected: dict[str, Tensor], found: dict[str, Tensor]) -> str:
        exact = [
            _step(copy.deepcopy(network).double(), image.double(), masks.double())() for network in (textbook, ours)
        ]
        single, double = _distance(expected, found), _distance(*exact)
        if not (single <= _SINGLE and double <= _DOUBLE):
            raise AssertionError(f"gradients differ by {double:.2g} of their length, in float32 by {single:.2g}")
        return f"gradients to {double:.0e} of their length in float64, {single:.0e} in float32"

    return check


def _distance(expected: dict[str, Tensor], found: dict[str, Tensor]) -> float:
    """Return the length of the difference of all gradients as a part of their own."""
    if expected.keys() != found.keys():
        raise AssertionError("other weights have gradients")
    one, other = (torch.cat([grads[name].flatten() for name in expected]) for grads in (expected, found))
    return ((one - other).norm() / one.norm()).item()
