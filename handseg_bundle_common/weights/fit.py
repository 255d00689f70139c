"""Weights into a network: whole, or as much of them as fits, with a report of the rest."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor, nn

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import write_atomically
from handseg_bundle_common.weights.storage import PathLike, check_bones, read_content, state_dict_of, unwrapped

logger = logging.getLogger(__name__)

Network = TypeVar("Network", bound=nn.Module)
Shape = tuple[int, ...]

_NAMED = 3  # so many tensors of a kind are named in a sentence


@dataclass(frozen=True)
class Fit:
    """How a state dictionary fits a network.

    Attributes:
        expected: number of the network's tensors.
        share: fraction of the network's values, 0 to 1, that have their tensor in the state dictionary.
        missing: names of the network's tensors that the state dictionary lacks.
        unexpected: names of its tensors that the network does not have.
        other_shape: names of tensors that differ in shape, with the shape found and the one expected.
        classes: number of classes found and expected, if that is how the head differs.
    """

    expected: int
    share: float
    missing: list[str]
    unexpected: list[str]
    other_shape: dict[str, tuple[Shape, Shape]]
    classes: tuple[int, int] | None

    def problem(self) -> str | None:
        """Return counts and first names as a part of a sentence; None if everything fits."""
        parts = []
        if self.classes:
            parts.append("predicts {} classes instead of {}".format(*self.classes))
        if self.missing:
            parts.append(f"lacks {len(self.missing)} of the network's {self.expected} tensors {_few(self.missing)}")
        if self.unexpected:
            parts.append(f"holds {_tensors(self.unexpected)} that the network does not have {_few(self.unexpected)}")
        if self.other_shape:
            shapes = [f"{name} with {found} for {wanted}" for name, (found, wanted) in self.other_shape.items()]
            parts.append(f"has {_tensors(shapes)} of another shape {_few(shapes)}")
        return ", ".join(parts) or None

    def listing(self) -> dict[str, Any]:
        """Return every tensor that does not fit, as plain values."""
        other_shape = {name: {"file": list(a), "network": list(b)} for name, (a, b) in self.other_shape.items()}
        return {
            "share": self.share,
            "missing": self.missing,
            "unexpected": self.unexpected,
            "other_shape": other_shape,
        }


def load_weights(
    network: Network,
    path: PathLike,
    *,
    sha256: str | None = None,
    settings: Mapping[str, Any] | None = None,
    strict: bool = True,
    min_share: float = 0.5,
    report: PathLike | None = None,
) -> Network:
    """Load weights into a network and return it.

    Args:
        network: receives the weights in its own precision and on its own device.
        path: what `save_weights` wrote, or a plain state dictionary.
        sha256: expected hexadecimal digest of the file.
        settings: plain values in use now, such as the image size; a warning names those that the training stored
            with another value.
        strict: refuse weights that do not fit the network tensor by tensor. Otherwise those that fit are loaded, and
            the others keep their values.
        min_share: fraction of the network's values that has to fit when `strict` is false.
        report: JSON file for the fraction that fits and every tensor that does not; these are logged without it.

    Raises:
        HandsegInputError: the file is missing, damaged, unsafe or not the one expected; or its bones, number of
            classes or tensors are not the network's; or a number in it is not finite.
    """
    content = read_content(path, sha256)
    check_bones(content, path)
    state = state_dict_of(content, path)
    target = unwrapped(network)
    _warn_of_settings(content.get("settings"), settings or {}, path)
    fit = _compare(target.state_dict(), state)
    _write_report(fit, path, report)
    problem = fit.problem()
    if problem is not None:
        if strict:
            raise _misfit(path, problem, report, hint=', or load what fits with "strict": false')
        if fit.share < min_share:
            problem = f"fills {fit.share:.0%} of the network instead of {min_share:.0%} or more: it {problem}"
            raise _misfit(path, problem, report)
        logger.warning("%s fills %.1f %% of the network, the rest starts anew: it %s", path, 100 * fit.share, problem)
    _require_finite(state, path)
    unfit = {*fit.unexpected, *fit.other_shape}
    target.load_state_dict({name: tensor for name, tensor in state.items() if name not in unfit}, strict=strict)
    return network


def _require_finite(state: Mapping[str, Tensor], path: PathLike) -> None:
    broken = next((name for name, tensor in state.items() if not tensor.isfinite().all()), None)
    if broken is not None:
        problem = f"holds numbers that are not finite (in {broken})"
        raise HandsegInputError(path, problem, "train again with a smaller learning rate")


def _warn_of_settings(stored: object, current: Mapping[str, Any], path: PathLike) -> None:
    for name, value in current.items():
        if isinstance(stored, dict) and stored.get(name, value) != value:
            logger.warning("%s was trained with %s %s and is used with %s", path, name, stored[name], value)


def _compare(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> Fit:
    common = [name for name in expected if name in found]
    fitting = [name for name in common if found[name].shape == expected[name].shape]
    # The head stands last in every network, and its output channels are the classes.
    head = list(expected)[-1]
    shapes = {name: (tuple(found[name].shape), tuple(expected[name].shape)) for name in common}
    return Fit(
        expected=len(expected),
        share=sum(expected[name].numel() for name in fitting) / sum(tensor.numel() for tensor in expected.values()),
        missing=[name for name in expected if name not in found],
        unexpected=[name for name in found if name not in expected],
        other_shape={name: shapes[name] for name in common if name not in fitting},
        classes=_other_classes(*shapes[head]) if head in common else None,
    )


def _other_classes(found: Shape, expected: Shape) -> tuple[int, int] | None:
    """Return the leading sizes of two shapes that differ in nothing else."""
    if found == expected or len(found) != len(expected) or found[1:] != expected[1:]:
        return None
    return found[0], expected[0]


def _write_report(fit: Fit, path: PathLike, report: PathLike | None) -> None:
    listing = fit.listing()
    if report is not None:
        with write_atomically(report) as temporary:
            temporary.write_text(json.dumps({"weights": str(path), **listing}, indent=4) + "\n")
    elif fit.problem() is not None:
        logger.info("%s against the network: %s", path, json.dumps(listing))


def _misfit(path: PathLike, problem: str, report: PathLike | None, hint: str = "") -> HandsegInputError:
    remedy = "use weights of the same architecture and settings"
    return HandsegInputError(path, problem, remedy if report is None else f"{remedy}{hint} ({report} lists all)")


def _tensors(names: list[str]) -> str:
    return f"{len(names)} tensor{'s' * (len(names) > 1)}"


def _few(names: list[str]) -> str:
    """Name the first of many."""
    return f"({', '.join(names[:_NAMED])}{', ...' * (len(names) > _NAMED)})"
