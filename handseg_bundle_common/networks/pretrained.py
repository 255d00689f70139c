"""Published weights into an encoder: other names, other numbers of channels; what does not fit is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from torch import Tensor, nn

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.weights import load_state_dict_file

_MIN_SHARE = 0.95


def load_encoder(
    encoder: nn.Module,
    path: str,
    *,
    stem: str,
    published_name: Callable[[str], str] | None = None,
    prefix: str = "",
) -> None:
    """Load weights of a classifier of colour images into an encoder.

    Args:
        encoder: receives the weights.
        path: file with a state dictionary.
        stem: name of the first convolution's weight in the encoder; it is adapted to the number of input channels.
        published_name: gives the name in the file of a tensor of the encoder; the encoder's own name is tried first,
            and is the only one by default.
        prefix: stands before all these names in files in which the encoder is a part of a larger network.

    Raises:
        HandsegInputError: the file cannot be read, fits less than 95 % of the encoder's tensors, or is one of a deeper
            encoder, less than 95 % of whose tensors are used.
    """
    source = {name.removeprefix(prefix): tensor for name, tensor in load_state_dict_file(path).items()}
    target = encoder.state_dict()
    names = {name: name if name in source or published_name is None else published_name(name) for name in target}
    loaded = {}
    for name, tensor in target.items():
        weight = source.get(names[name])
        if weight is not None and name == stem and weight.ndim == 4:
            weight = _adapt_stem(weight, tensor.shape[1])
        if weight is not None and weight.shape == tensor.shape:
            loaded[name] = weight
    wanted = [name for name in target if _is_weight(name)]
    fitting = sum(name in loaded for name in wanted)
    if fitting < _MIN_SHARE * len(wanted):
        raise _misfit(path, f"fits only {fitting} of the encoder's {len(wanted)} tensors")
    given = _encoder_tensors(source, names.values())
    if len(wanted) < _MIN_SHARE * len(given):
        raise _misfit(path, f"holds {len(given)} tensors of a deeper encoder than this one of {len(wanted)}")
    encoder.load_state_dict(loaded, strict=False)


def _is_weight(name: str) -> bool:
    """Tell weights from counters of batches, which old files lack."""
    return not name.endswith("num_batches_tracked")


def _encoder_tensors(source: Mapping[str, Tensor], known: Iterable[str]) -> list[str]:
    """Return the weights of a file in those parts that an encoder has, which a classifier's head is not."""
    parts = {name.split(".")[0] for name in known}
    return [name for name in source if _is_weight(name) and name.split(".")[0] in parts]


def _misfit(path: str, problem: str) -> HandsegInputError:
    return HandsegInputError(path, problem, "give weights of the same encoder as model_name says")


def _adapt_stem(weight: Tensor, channels: int) -> Tensor:
    """Spread the first convolution over another number of channels, so that a grey image gives the same features.

    A grey image is one whose red, green and blue are equal, so a single channel takes the sum of the three kernels.
    """
    if weight.shape[1] == channels:
        return weight
    return weight.sum(dim=1, keepdim=True).repeat(1, channels, 1, 1) / channels
