"""Networks with their shipped weights at the size that these were trained at: ONNX Runtime against PyTorch.

The first time, each network is compiled, which takes up to a minute.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from comparison import Comparison
from torch import Tensor, nn

from handseg_bundle_common.inference import load_predictor
from handseg_bundle_common.inference.onnx_network import TOLERANCE, onnx_network
from handseg_bundle_common.networks.graph import largest_difference, noise_images

_BUNDLES = ("effisegnet", "segformer", "swin_unetr", "unetplusplus")


def comparisons(_: int) -> list[Comparison]:
    """Return one row a bundle; the size of the images is the bundle's."""
    return [_of_bundle(bundle) for bundle in _BUNDLES]


def _of_bundle(bundle: str) -> Comparison:
    predictor = load_predictor(bundle, device="cpu", precision="float32")
    side = int(predictor.inferer.roi_size[0])  # type: ignore[attr-defined]  # windows'
    compiled = onnx_network(predictor.network, side)
    image = noise_images(1, side, side)
    name = f"{bundle} {side} px, ONNX Runtime against PyTorch"
    return Comparison(name, _forward(compiled.network, image), _forward(compiled, image), _equal_logits, weigh=False)


def _forward(network: nn.Module, image: Tensor) -> Callable[[], Tensor]:
    def run() -> Tensor:
        with torch.inference_mode():
            logits: Tensor = network(image)
        return logits

    return run


def _equal_logits(textbook: Tensor, ours: Tensor) -> str:
    difference = largest_difference(ours, textbook)
    if difference > TOLERANCE:
        raise AssertionError(f"logits differ by {difference:.2g} of the largest")
    return f"logits to {difference:.0e}"
