"""The forms that a network is exported to, and what is known of each file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from handseg_bundle_common.errors import HandsegInputError

TOLERANCE = 1e-4
"""Largest difference of logits from PyTorch's, as a part of the largest logit where that is above 1."""

_NEEDED = {"onnx": ("onnx", "onnxscript", "onnxruntime")}


class Form(StrEnum):
    """How a network is written; the values are the command line's options."""

    TORCHSCRIPT = "torchscript"
    PT2 = "pt2"
    ONNX = "onnx"

    @property
    def file(self) -> str:
        """Path in the bundle."""
        return {"torchscript": "models/model.ts", "pt2": "models/model.pt2", "onnx": "models/model.onnx"}[self]


@dataclass(frozen=True)
class Compiled:
    """A network in one form.

    Attributes:
        form: which one.
        path: the file.
        made_by: how PyTorch came to it, such as "scripting".
        size: height and width in px of the images that it takes; None for every size that the network takes.
        difference: largest difference of its logits from PyTorch's, as `TOLERANCE` counts it.
    """

    form: Form
    path: Path
    made_by: str
    size: int | None
    difference: float


def require_packages(forms: Iterable[Form]) -> None:
    """Refuse forms whose packages are not installed.

    Raises:
        HandsegInputError: a package is missing.
    """
    for form in forms:
        missing = [name for name in _NEEDED.get(form, ()) if find_spec(name) is None]
        if missing:
            raise HandsegInputError(
                f"--{form}", f"needs {', '.join(missing)}", f'run pip install "handseg[{form}]" first'
            )
