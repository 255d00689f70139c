"""A network as a graph that runs without its Python code: `torch.export`'s, and ONNX made of it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

INPUT, OUTPUT = "image", "pred"
"""Names of a graph's input and output, those of metadata.json."""

# With one image, compilers would take the length 1 for a constant.
_EXAMPLE_BATCH = 2


def noise_images(batch: int, height: int, width: int) -> Tensor:
    """Return images (batch, 1, height, width) of seeded noise, 0 to 1."""
    return torch.rand((batch, 1, height, width), generator=torch.Generator().manual_seed(batch))


@lru_cache(maxsize=1)
def exported_graph(network: nn.Module, side: int) -> torch.export.ExportedProgram:
    """Return a network's graph for any number of images of one size, without the places of its source code.

    Args:
        network: in evaluation mode; takes images (N, 1, side, side).
        side: height and width of the images in px.
    """
    batch = torch.export.Dim("batch", min=1, max=1024)
    example = (noise_images(_EXAMPLE_BATCH, side, side),)
    program = torch.export.export(network, example, dynamic_shapes=({0: batch},), strict=False)
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)
    return program


def onnx_graph(network: nn.Module, side: int) -> bytes:
    """Return the content of an ONNX file; the arguments are those of `exported_graph`.

    Needs the packages onnx and onnxscript. Names and places of the source code are left out.
    """
    program = torch.onnx.export(
        exported_graph(network, side),
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    if program is None:
        raise AssertionError("dynamo gives a program")
    model = program.model_proto
    _forget_places(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def largest_difference(found: Tensor, expected: Tensor) -> float:
    """Return the largest difference of logits, as a part of the largest expected one where that is above 1."""
    if found.shape != expected.shape or not found.isfinite().all():
        return float("inf")
    return (found - expected).abs().max().item() / max(1.0, expected.abs().max().item())


def _forget_places(message: Any) -> None:
    """Clear all comments of an ONNX model, which hold names and places of the source code."""
    for field, value in message.ListFields():
        if field.name in ("metadata_props", "doc_string"):
            message.ClearField(field.name)
        elif field.message_type is not None and field.name not in ("initializer", "raw_data"):
            for part in value if isinstance(value, (list, tuple)) or hasattr(value, "add") else [value]:
                _forget_places(part)
