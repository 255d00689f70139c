"""The network of a bundle against what its metadata says goes in and comes out."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import read_json
from handseg_bundle_common.inference import load_predictor
from handseg_bundle_common.packaging.verify.findings import Check, Finding, error
from handseg_bundle_common.weights import METADATA

_MAX_SIDE = 4096
_SIDE = re.compile(r"\*|(?:\d{1,5}|[np])(?:\s*\*\*?\s*(?:\d{1,5}|[np]))*")


def network_findings(root: Path) -> list[Finding]:
    """Build the bundle's network, load its weights strictly and run it once on the CPU.

    Call this only after the configurations have been scanned: they say what is built.

    Args:
        root: the bundle's folder, clean otherwise.
    """
    name = METADATA.as_posix()
    metadata = read_json(root / METADATA, "fetch the bundle again")["network_data_format"]
    try:
        network = load_predictor(str(root), device="cpu").network
    except HandsegInputError as reason:
        return [error(Check.NETWORK, "", f"cannot be built ({reason})", "fetch the bundle again")]
    inside, outside = (next(iter(metadata[side].values())) for side in ("inputs", "outputs"))
    try:
        shape, expected = ((1, one["num_channels"], *sides(one["spatial_shape"])) for one in (inside, outside))
    except ValueError as problem:
        return [error(Check.NETWORK, name, f"describes a shape that is none ({problem})", "correct spatial_shape")]
    try:
        with torch.inference_mode():
            found = torch.as_tensor(network(torch.rand(shape)))
    except Exception as problem:  # a network may fail in any way
        return [error(Check.NETWORK, name, f"cannot take {shape} ({problem})", "correct inputs")]
    return _compared(found, expected, outside)


def sides(shape: Sequence[int | str], n: int = 2, p: int = 1) -> list[int]:
    """Return a spatial shape in px, with numbers for the letters of expressions such as `32*n`.

    Args:
        shape: a number of px, `*` for any, or a product of numbers, `n`, `p` and powers of them, a side.
        n: factor.
        p: exponent.

    Raises:
        ValueError: an entry is none of these, or larger than 4096 px.
    """
    return [_side(str(side), {"n": n, "p": p}) for side in shape]


def _side(text: str, values: Mapping[str, int]) -> int:
    if not _SIDE.fullmatch(text):
        raise ValueError(f"{text!r} is no size")
    if text == "*":
        return 64
    logarithm, side = 0.0, 1
    for power in re.split(r"(?<!\*)\*(?!\*)", text):
        base, *exponents = (values.get(part.strip()) or int(part) for part in power.split("**"))
        exponent = math.prod(exponents)
        logarithm += exponent * math.log(max(base, 1))
        if base < 1 or logarithm > math.log(_MAX_SIDE) + 1e-9:
            raise ValueError(f"{text!r} is no size up to {_MAX_SIDE} px")
        side *= base**exponent
    return side


def _compared(found: torch.Tensor, expected: tuple[int, ...], declared: Mapping[str, Any]) -> list[Finding]:
    problems = []
    if tuple(found.shape) != expected:
        problems.append(f"returns {tuple(found.shape)} instead of {expected}")
    if str(found.dtype).removeprefix("torch.") != declared["dtype"]:
        problems.append(f"returns {found.dtype} instead of {declared['dtype']}")
    if not found.isfinite().all():
        problems.append("returns numbers that are not finite")
    name = METADATA.as_posix()
    return [error(Check.NETWORK, name, f"says otherwise: the network {one}", "correct outputs") for one in problems]
