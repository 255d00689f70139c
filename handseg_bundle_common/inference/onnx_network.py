"""A network that ONNX Runtime runs, from a file that is made once and kept in the cache folder."""

from __future__ import annotations

import logging
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from handseg_bundle_common import networks
from handseg_bundle_common.digests import code_digest
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import write_atomically
from handseg_bundle_common.networks.graph import (
    INPUT,
    OUTPUT,
    exported_graph,
    largest_difference,
    noise_images,
    onnx_graph,
)
from handseg_bundle_common.resources import cache_folder

TOLERANCE = 1e-4
"""Largest difference of logits from PyTorch's, as a part of the largest logit where that is above 1."""

_FOLDER = "onnx"
# A graph depends on all of them.
_PACKAGES = ("torch", "monai", "transformers", "onnx", "onnxscript", "onnxruntime", "numpy")

logger = logging.getLogger(__name__)


class OnnxNetwork(nn.Module):
    """A network whose logits ONNX Runtime calculates, with as many threads as PyTorch has when it is made.

    Images of another size than `side`, such as the glance of `BoneWindowInferer`, go to PyTorch.

    Args:
        network: the network in PyTorch, in evaluation mode on the CPU.
        content: path or bytes of its ONNX file.
        side: height and width in px of the images that the file takes.
    """

    def __init__(self, network: nn.Module, content: str | bytes, side: int) -> None:
        import onnxruntime  # noqa: PLC0415  an extra

        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 4  # what fails is raised as well
        self.network = network
        self.side = side
        self._session: Any = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def forward(self, image: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Map images (N, 1, H, W) to logits (N, 29, H, W), float32."""
        if image.shape[1:] != (1, self.side, self.side):
            other: Tensor = self.network(image, *args, **kwargs)
            return other
        # Windows may be MONAI's tensors, which carry more than numbers.
        given = np.ascontiguousarray(image.detach().as_subclass(Tensor).float().numpy())
        (logits,) = self._session.run([OUTPUT], {INPUT: given})
        return torch.from_numpy(logits)


def onnx_network(network: nn.Module, side: int) -> OnnxNetwork:
    """Return a network that ONNX Runtime runs; compiling it takes up to a minute when it is first asked for.

    The file is kept in `<cache>/onnx/`, see `cache_folder`, and made anew for other weights, other code or another
    version of a package. Whether its logits are PyTorch's is looked at on one image each time.

    Args:
        network: in evaluation mode on the CPU.
        side: height and width in px of the images that it will see.

    Raises:
        HandsegInputError: it cannot be compiled, its logits differ, or the file cannot be written.
    """
    path = cache_folder() / _FOLDER / f"{_digest(network, side)}.onnx"
    kept = _kept(network, path, side)
    if kept is not None:
        return kept
    logger.warning("compiling the network for ONNX Runtime, which takes up to a minute and is done once: %s", path)
    with write_atomically(path) as temporary:
        temporary.write_bytes(_compiled(network, side))
        made = OnnxNetwork(network, str(temporary), side)
        difference = _difference(made)
        if not difference <= TOLERANCE:
            problem = f"gives logits that differ from PyTorch's by {difference:.2g} of the largest"
            raise HandsegInputError("runtime", f"onnx {problem}", "leave it out")
    return made


def _kept(network: nn.Module, path: Path, side: int) -> OnnxNetwork | None:
    """Return the network of an earlier call, None if there is none or it is damaged."""
    if not path.is_file():
        return None
    try:
        kept = OnnxNetwork(network, str(path), side)
        return kept if _difference(kept) <= TOLERANCE else None
    except Exception:  # ONNX Runtime has a dozen exceptions for damaged files, without a common one
        return None


def _difference(made: OnnxNetwork) -> float:
    image = noise_images(1, made.side, made.side)
    with torch.inference_mode():
        return largest_difference(made(image), made.network(image))


def _compiled(network: nn.Module, side: int) -> bytes:
    try:
        with torch.no_grad(), _quiet():
            return onnx_graph(network, side)
    except Exception as error:  # compilers fail in many ways, and a network may be anybody's
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise HandsegInputError("runtime", f"onnx cannot run this network ({reason})", "leave it out") from error
    finally:
        exported_graph.cache_clear()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what compilers say of themselves."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _digest(network: nn.Module, side: int) -> str:
    """Return a name for the file of a network: weights, structure, code, versions, processor and size."""
    digest = sha256(code_digest(networks).encode())
    digest.update(f"{side} {platform.machine()} {list(map(_version, _PACKAGES))} {network!r}".encode())
    for name, values in network.state_dict().items():
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(np.ascontiguousarray(values.detach().numpy()).tobytes())
    return digest.hexdigest()[:32]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
