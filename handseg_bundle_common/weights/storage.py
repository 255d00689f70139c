"""Weights and checkpoints as files that hold tensors and plain values, and nothing that could run.

Every load goes through `torch.load(weights_only=True)`, which builds tensors and plain values only, so that a file
from elsewhere cannot run code. A file that needs more is refused; there is no unsafe second attempt.
"""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from handseg_bundle_common.anatomy import BONE_NAMES, NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import write_atomically
from handseg_bundle_common.weights.bounds import hidden_size, oversized_tensor
from handseg_bundle_common.weights.declared import declared_digest

PathLike = str | os.PathLike[str]


def save_weights(
    network: nn.Module,
    path: PathLike,
    *,
    half_precision: bool = False,
    settings: Mapping[str, Any] | None = None,
    **info: Any,
) -> None:
    """Write a network's weights with the bones they belong to; the file is either complete or absent.

    Args:
        network: the network; wrappers for parallel training, averaging and compilation are taken off.
        path: file to write.
        half_precision: store convolution and linear weights as float16, half the size. Tensors of one dimension or
            none, among them all normalisation statistics, keep their type.
        settings: plain values that the weights belong to, such as image size and encoder; see `stored_settings`.
        info: plain values to store beside the weights, such as the epoch.

    Raises:
        HandsegInputError: the file cannot be written, or `info` holds something other than plain values.
    """
    state = {name: tensor.detach().cpu() for name, tensor in unwrapped(network).state_dict().items()}
    if half_precision:
        state = {name: t.half() if t.is_floating_point() and t.ndim > 1 else t for name, t in state.items()}
    save_checkpoint(path, {**info, "settings": dict(settings or {}), "model": state})


def stored_settings(path: PathLike) -> dict[str, Any]:
    """Return the settings that a file of weights was saved with; none for a plain state dictionary.

    Raises:
        HandsegInputError: the file is missing, damaged, unsafe or of other bones, or a setting is code.
    """
    content = read_content(path, None, device="meta")
    check_bones(content, path)
    settings = content.get("settings") if isinstance(content, dict) else None
    if not isinstance(settings, dict):
        return {}
    code = next((name for name, value in settings.items() if _is_path(name) or _is_code(value)), None)
    if code is not None:
        problem = f"has the setting {str(code)[:40]!r}, which a configuration would run as code"
        raise HandsegInputError(path, problem, "fetch the file from where you trust, or train again")
    return dict(settings)


def _is_path(name: object) -> bool:
    """Return whether a setting's name is no id at the top of a configuration, but leads to what is called there."""
    return isinstance(name, str) and not name.isidentifier()


def _is_code(value: object) -> bool:
    """Return whether MONAI would evaluate a value that `adopt_settings` puts into a configuration."""
    if isinstance(value, str):
        return value.startswith(("$", "@", "%"))
    if isinstance(value, (list, tuple)):
        return any(map(_is_code, value))
    return isinstance(value, dict)


def save_checkpoint(path: PathLike, state: Mapping[str, Any]) -> None:
    """Write training state with the names of the bones; the file is either complete or absent.

    Args:
        path: file to write.
        state: state dictionaries and plain values by name.

    Raises:
        HandsegInputError: the file cannot be written, or holds objects that `load_checkpoint` would refuse.
    """
    with write_atomically(path) as temporary:
        try:
            # By the name of a file, PyTorch would name its archive: equal weights are to be equal bytes.
            with temporary.open("wb") as file:
                torch.save({**state, "bones": list(BONE_NAMES)}, file)
            torch.load(temporary, weights_only=True, map_location="meta", mmap=True)
        except (pickle.PickleError, AttributeError, TypeError) as error:
            problem = f"cannot be saved so that it loads safely again ({_refused(error) or error})"
            raise HandsegInputError(path, problem, "keep to tensors, numbers, text, lists and dictionaries") from error
        except RuntimeError as error:  # how PyTorch's writer reports a full disk
            raise OSError(errno.EIO, "writing failed, perhaps for lack of space") from error


def load_checkpoint(path: PathLike, *, sha256: str | None = None) -> dict[str, Any]:
    """Return what `save_checkpoint` wrote, with all tensors on the CPU.

    Args:
        path: file to read.
        sha256: expected hexadecimal digest of the file.

    Raises:
        HandsegInputError: the file is missing, damaged, unsafe, not the one expected or of other bones.
    """
    content = read_content(path, sha256)
    if not isinstance(content, dict):
        raise _not_a_checkpoint(path, f"it holds a {type(content).__name__}")
    check_bones(content, path)
    return content


def load_state_dict_file(path: PathLike, *, sha256: str | None = None) -> dict[str, Tensor]:
    """Return the tensors of a file by name, for pre-trained encoders.

    Args:
        path: a state dictionary, or a dictionary that holds one as "model".
        sha256: expected hexadecimal digest of the file.

    Raises:
        HandsegInputError: the file is missing, damaged, unsafe, not the one expected or holds no tensors.
    """
    return state_dict_of(read_content(path, sha256), path)


def read_content(path: PathLike, sha256: str | None, device: str = "cpu") -> Any:
    """Load a file safely, after checking its digest through the same open file; `meta` leaves the values out.

    A file that came with a bundle is held to the digest in the bundle's metadata, whoever loads it.
    """
    declared = declared_digest(path) if sha256 is None else None
    try:
        file = Path(path).expanduser().open("rb")
    except OSError as error:
        raise HandsegInputError(
            path, f"cannot be read ({error.strerror})", "train the bundle first, or name a file of weights"
        ) from error
    with file:
        expected = sha256 or declared
        found = None if expected is None else hashlib.file_digest(file, "sha256").hexdigest()
        if expected is not None and found != expected.lower():
            raise _wrong_digest(path, f"expected {expected}, found {found}", declared=declared is not None)
        return _load(file, path, device)


def _load(file: BinaryIO, path: PathLike, device: str) -> Any:
    try:
        hidden = hidden_size(file)
        if hidden is None:
            file.seek(0)
            return torch.load(file, weights_only=True, map_location=device)
    except Exception as error:  # a damaged file fails in any of a dozen ways
        refused = _refused(error)
        if refused is None:
            raise _not_a_checkpoint(path, "it is empty, truncated or of another kind") from error
        problem = f"holds {refused}, which could run code and is not loaded"
        raise HandsegInputError(path, problem, "save its state dictionary alone") from error
    raise _not_a_checkpoint(path, f"it {hidden}")


def _wrong_digest(path: PathLike, digests: str, *, declared: bool) -> HandsegInputError:
    if declared:
        problem = f"is not the file whose SHA-256 digest stands in the bundle's metadata.json ({digests})"
        remedy = "fetch it again; handseg install-weights FILE --bundle BUNDLE makes other weights the bundle's own"
        return HandsegInputError(path, problem, remedy)
    return HandsegInputError(path, f"does not have the expected SHA-256 digest ({digests})", "fetch the file again")


def _refused(error: Exception) -> str | None:
    """Return the name of the class or function that a safe load refused, if that was the reason."""
    found = re.search(r"GLOBAL (\S+)", str(error))
    return found and found[1]


def _not_a_checkpoint(path: PathLike, reason: str) -> HandsegInputError:
    return HandsegInputError(path, f"is no checkpoint ({reason})", "name a .pt file that a training wrote")


def state_dict_of(content: Any, path: PathLike) -> dict[str, Tensor]:
    """Return the state dictionary that a file's content is or holds as "model"."""
    state = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise _not_a_checkpoint(path, "it holds no state dictionary of a network")
    oversized = oversized_tensor(state)
    if oversized is not None:
        problem = f"holds {oversized[:80]!r}, which is sparse, quantised or larger than the file"
        raise HandsegInputError(path, problem, "fetch the file from where you trust, or train again")
    return state


def check_bones(content: Any, path: PathLike) -> None:
    """Refuse content that names other bones, or the same in another order; a plain state dictionary names none."""
    if not isinstance(content, dict) or "bones" not in content:
        return
    bones = content["bones"]
    if not isinstance(bones, list) or len(bones) != NUM_BONES:
        problem = f"is for {len(bones) if isinstance(bones, list) else 'unnamed'} bones instead of {NUM_BONES}"
    elif bones != list(BONE_NAMES):
        channel = next(k for k in range(NUM_BONES) if bones[k] != BONE_NAMES[k])
        problem = f"has {bones[channel]!r} instead of {BONE_NAMES[channel]!r} in channel {channel}"
    else:
        return
    raise HandsegInputError(path, problem, "use weights trained for the bones of handseg in their order")


def unwrapped(network: nn.Module) -> nn.Module:
    """Take off the wrappers of compilation, parallel training and weight averaging."""
    network = getattr(network, "_orig_mod", network)
    while isinstance(network, (DataParallel, DistributedDataParallel, AveragedModel)):
        network = network.module
    return network
