"""A bundle's inference configuration as one function from a file to masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigParser
from numpy.typing import NDArray
from torch import nn

from handseg_bundle_common.errors import HandsegInputError, causes, input_error
from handseg_bundle_common.files import read_json
from handseg_bundle_common.inference.loading import Loaded, load_radiograph
from handseg_bundle_common.inference.parts import CHECK_BUNDLE, PARTS, check_parts
from handseg_bundle_common.inference.precision import AUTO, autocast_type, compiled
from handseg_bundle_common.inference.runtimes import TORCH, Running, running
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.transforms import restore_masks
from handseg_bundle_common.weights import adopt_settings, find_bundle


@dataclass(frozen=True)
class Prediction:
    """What a network makes of one radiograph.

    Attributes:
        masks: packed masks (H, W) at the native size.
        logits: (29, h, w) at the working size, 0 being the decision where the threshold is 0.5.
        votes: packed masks that each member of an ensemble would have given, at most 1024 px large; empty for a single
            network.
    """

    masks: Packed
    logits: torch.Tensor
    votes: list[Packed]


@dataclass(frozen=True)
class Predictor:
    """A network with all that surrounds it, ready to segment.

    Attributes:
        network: in evaluation mode, on `device`.
        preprocessing: turns {"image": path} into an image (1, h, w) at the working size and its `native_size`.
        inferer: called with a batch (1, 1, h, w) and the network, returns logits (1, 29, h, w).
        threshold: probability above which a pixel belongs to a bone, one for all or one per bone.
        device: where the network runs.
        origin: bundle, weights and sizes, as plain values.
        precision: type in which the network multiplies, None for that of its weights; see `autocast_type`.
    """

    network: nn.Module
    preprocessing: Callable[[dict[str, Any]], dict[str, Any]]
    inferer: Callable[[torch.Tensor, nn.Module], torch.Tensor]
    threshold: float | list[float]
    device: torch.device
    origin: Mapping[str, Any]
    precision: torch.dtype | None = None

    def __call__(self, path: str | PathLike[str]) -> Packed:
        """Return the packed masks (H, W) of a radiograph at its native size; see `predict`."""
        return self.predict(path).masks

    def predict(self, path: str | PathLike[str]) -> Prediction:
        """Segment a radiograph.

        Raises:
            HandsegInputError: the radiograph cannot be read, or does not fit into the memory of the device.
        """
        loaded = self.load(path)
        logits, votes = self.infer(loaded)
        return self.restore(loaded, logits, votes)

    def load(self, path: str | PathLike[str]) -> Loaded:
        """Read a radiograph and prepare it for the network.

        Raises:
            HandsegInputError: it cannot be read.
        """
        return load_radiograph(path, self.preprocessing)

    def infer(self, loaded: Loaded) -> tuple[torch.Tensor, list[Packed]]:
        """Run the network; no other thread may do so at the same time.

        Returns:
            Logits (29, h, w) on the device, and what the members of an ensemble would have given, see `Prediction`.

        Raises:
            HandsegInputError: the radiograph does not fit into the memory of the device.
        """
        kind = self.device.type
        try:
            with torch.inference_mode(), torch.autocast(kind, self.precision, enabled=self.precision is not None):
                logits = self.inferer(loaded.image[None].to(self.device), self.network)
        except torch.OutOfMemoryError as error:
            problem = f"does not fit into the memory of {self.device}"
            raise HandsegInputError(loaded.path, problem, "use the CPU") from error
        # NumPy knows no bfloat16; a GPU hands its halves over faster than whole numbers.
        whole = logits[0].float() if kind == "cpu" else logits[0]
        return whole, votes_of_members(self.network, 1)[0]

    def restore(self, loaded: Loaded, logits: torch.Tensor, votes: list[Packed]) -> Prediction:
        """Return the masks that `infer`'s results mean, at the native size."""
        return Prediction(restore_masks(logits, loaded.size, self.threshold), logits, votes)

    def probabilities(self, prediction: Prediction) -> NDArray[np.float32]:
        """Return probabilities (29, h, w) at the working size, calibrated if the network is an ensemble."""
        calibrated = getattr(self.network, "probabilities", torch.sigmoid)
        probabilities: torch.Tensor = calibrated(prediction.logits[None].float())[0]
        return np.asarray(probabilities.cpu(), np.float32)


def votes_of_members(network: object, count: int) -> list[list[Packed]]:
    """Return what the members of an ensemble alone would have decided in its last call, image by image.

    Args:
        network: an ensemble; any other network gives no votes.
        count: number of images of the call.
    """
    passes = getattr(network, "votes_of_passes", [])
    return [[votes[number].cpu().numpy().astype(np.uint32) for votes in passes] for number in range(count)]


def load_predictor(
    bundle: str,
    *,
    device: str = "auto",
    image_size: int | None = None,
    weights: str | PathLike[str] | None = None,
    threshold: float | None = None,
    precision: str = AUTO,
    compile_network: bool = False,
    runtime: str = TORCH,
) -> Predictor:
    """Build what `configs/inference.json` of a bundle describes. This runs code that the configuration names.

    Args:
        bundle: the bundle's folder or name.
        device: "auto", "cpu", "cuda" or "cuda:1".
        image_size: longer side in px at which the network works, in place of that of the training.
        weights: file of weights in place of the bundle's own.
        threshold: probability in place of the bundle's own.
        precision: "auto", "float32" or "bfloat16", see `autocast_type`.
        compile_network: run the network through `torch.compile`, on a GPU only.
        runtime: "torch", "onnx" or "auto", see `running`.

    Raises:
        HandsegInputError: bundle, device, image size, weights, threshold, precision or runtime cannot be used.
    """
    if image_size is not None and image_size < 1:
        raise HandsegInputError("image_size", f"{image_size} px is no size", "take the size of the training")
    if threshold is not None and not 0 < threshold < 1:
        raise HandsegInputError("threshold", f"{threshold} is no probability", "choose a number between 0 and 1")
    root = find_bundle(bundle)
    path = Path(root, "configs", "inference.json")
    config = read_json(path, CHECK_BUNDLE)
    missing = [part for part in PARTS if not isinstance(config, dict) or part not in config]
    if missing:
        raise HandsegInputError(path, f"does not define {', '.join(missing)}", CHECK_BUNDLE)
    chosen = choose_device(device)
    autocast = autocast_type(precision, chosen)
    overrides = {
        "bundle_root": root,
        "device": chosen,
        "image_size": image_size,
        "weights": None if weights is None else str(Path(weights).absolute()),
        "threshold": threshold,
    }
    parser = ConfigParser({**config, **{name: value for name, value in overrides.items() if value is not None}})
    try:
        stored = parser.get_parsed_content("weights") if "weights" in parser else None
        if stored is not None:
            adopt_settings(parser, stored, overrides)
        parts = {part: parser.get_parsed_content(part) for part in PARTS}
        check_parts(path, parts)
        origin = _origin(parser, root)
    except Exception as error:  # a configuration may name any code
        raise _explained(path, error) from error
    parts["network"].eval()
    if compile_network:
        parts["network"] = compiled(parts["network"], chosen)
    runs = running(runtime, Running(parts["network"], autocast, TORCH), parts["inferer"], chosen, precision)
    parts["network"] = runs.network
    told = {} if runs.runtime == TORCH else {"runtime": runs.runtime}
    return Predictor(**parts, device=chosen, origin=origin | told, precision=runs.precision)


def _origin(parser: ConfigParser, root: str) -> dict[str, Any]:
    """Return bundle, weights and sizes of a configuration, those that it has."""
    names = ("weights", "image_size", "window_size", "overlap", "placement", "flip", "threshold")
    ensemble = ("members", "missing_members", "combine", "votes", "carpal_stage")
    origin = {name: parser.get_parsed_content(name) for name in (*names, *ensemble) if name in parser}
    taken = getattr(parser.get_parsed_content("network"), "fusion", None)
    return {"bundle": root, **origin, **({"took_part": list(taken.names)} if taken else {})}


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of a name; "auto" is the first GPU if there is one, else the CPU.

    Raises:
        HandsegInputError: the name is unknown or the GPU is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise HandsegInputError("device", f"{name!r} is not supported", "choose auto, cpu, cuda or cuda:1")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise HandsegInputError("device", f"{name!r} is not there", "choose auto or cpu")
    return device


def _explained(path: Path, error: BaseException) -> HandsegInputError:
    """Return the input error that MONAI wrapped, or one that gives the first cause."""
    found = input_error(error)
    if found is not None:
        return found
    *_, first = causes(error)
    reason = " ".join(f"{type(first).__name__}: {first}".split())
    return HandsegInputError(path, f"cannot be built ({reason})", CHECK_BUNDLE)
