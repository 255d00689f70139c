"""What runs a network on a CPU: PyTorch, or ONNX Runtime with the same weights and the same logits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.inference.onnx_network import onnx_network
from handseg_bundle_common.inference.precision import BFLOAT16

AUTO, TORCH, ONNX = "auto", "torch", "onnx"
RUNTIMES = (TORCH, ONNX, AUTO)


@dataclass(frozen=True)
class Speed:
    """How many times as fast as PyTorch ONNX Runtime is, where PyTorch multiplies in one type or the other."""

    float32: float
    bfloat16: float

    def against(self, precision: torch.dtype | None) -> float:
        """Return the ratio for a type, None being float32."""
        return self.float32 if precision is None else self.bfloat16


# On one thread, at the size of the shipped weights; measured by `python benchmarks/runtimes.py`, see docs/speed.md.
SPEEDS: Mapping[str, Speed] = {
    "EffiSegNet": Speed(2.7, 1.9),
    "SegFormer": Speed(1.4, 1.15),
    "SwinUNETR": Speed(1.7, 1.15),
    "UNetPlusPlus": Speed(1.08, 0.7),
}
# Less is not worth the compilation.
_WORTH = 1.1

_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True)
class Running:
    """A network as it runs.

    Attributes:
        network: called like the one that was given.
        precision: type in which PyTorch multiplies, None for that of the weights.
        runtime: "torch" or "onnx", which an ensemble has if any member runs so.
    """

    network: nn.Module
    precision: torch.dtype | None
    runtime: str


def running(runtime: str, given: Running, inferer: Any, device: torch.device, precision: str) -> Running:
    """Let a network run on a runtime.

    ONNX Runtime works in float32 on the CPU. It is handed the members of an ensemble one by one.

    Args:
        runtime: "torch"; "onnx"; or "auto", which is "onnx" for networks that were measured to be faster so, where its
            packages are installed and bfloat16 is not asked for, and "torch" elsewhere.
        given: the network as PyTorch runs it.
        inferer: what cuts the windows that it sees.
        device: where it runs.
        precision: what was asked for, see `autocast_type`.

    Raises:
        HandsegInputError: the runtime is unknown or not installed, does not go with device or precision, or cannot run
            the network.
    """
    if runtime not in RUNTIMES:
        raise HandsegInputError("runtime", f"{runtime!r} is unknown", f"choose {', '.join(RUNTIMES)}")
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if runtime == TORCH or (runtime == AUTO and (missing or precision == BFLOAT16 or device.type != "cpu")):
        return given
    if device.type != "cpu":
        raise HandsegInputError(
            "runtime", f"onnx runs on the CPU, not on {device}", "choose the device cpu or leave it out"
        )
    if precision == BFLOAT16:
        raise HandsegInputError("runtime", "onnx works in float32", "leave out runtime or precision")
    if missing:
        raise HandsegInputError("runtime", f"onnx needs {', '.join(missing)}", 'run pip install "handseg[onnx]" first')
    return _on_onnx(given, inferer, only_if_worth=runtime == AUTO) or given


def _on_onnx(given: Running, inferer: Any, *, only_if_worth: bool) -> Running | None:
    """Return a network, or an ensemble whose members, run in ONNX Runtime; None if it is not worth it for any."""
    members = getattr(given.network, "members", None)
    parts = [(given.network, inferer)] if members is None else [(member.network, member.inferer) for member in members]
    chosen = [not only_if_worth or _is_worth(part, given.precision) for part, _ in parts]
    if not any(chosen):
        return None
    swapped = [
        onnx_network(part, _side(windows)) if is_chosen else part
        for (part, windows), is_chosen in zip(parts, chosen, strict=True)
    ]
    precision = None if all(chosen) else given.precision
    if members is None:
        return Running(swapped[0], precision, ONNX)
    for member, part in zip(members, swapped, strict=True):
        member.network = part
    return Running(given.network, precision, ONNX)


def _is_worth(network: nn.Module, precision: torch.dtype | None) -> bool:
    speed = SPEEDS.get(type(network).__name__)
    return speed is not None and speed.against(precision) >= _WORTH


def _side(inferer: Any) -> int:
    """Return the side in px of the windows that a network sees."""
    sides = set(getattr(inferer, "roi_size", ()))
    if len(sides) != 1:
        problem = "onnx cannot run a network whose bundle names no square windows"
        raise HandsegInputError("runtime", problem, "leave it out")
    return int(sides.pop())
