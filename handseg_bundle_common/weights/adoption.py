"""What weights remember of their training, put into the configuration that uses them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.weights.storage import PathLike, stored_settings

if TYPE_CHECKING:  # loading weights does without MONAI
    from monai.bundle import ConfigParser

logger = logging.getLogger(__name__)

_LARGEST = 2**13
"""No network of the bundles is wider, and no radiograph has more than 80 million pixels."""


def adopt_settings(parser: ConfigParser, path: PathLike, explicit: Mapping[str, Any]) -> None:
    """Take image size, encoder and so on from a file of weights, where the configuration has an id of that name.

    Weights decide what stands in `ADOPTABLE` and nothing else: folders, devices and files stay as they were.

    Args:
        parser: a bundle's configuration; references are resolved anew afterwards.
        path: file of weights.
        explicit: values that somebody asked for; those that are not None win over the weights'.

    Raises:
        HandsegInputError: the file is missing, damaged, unsafe or of other bones, or a setting is out of range.
    """
    for name, value in stored_settings(path).items():
        if name not in parser or explicit.get(name) is not None:
            continue
        if name not in ADOPTABLE:
            logger.warning("%s has the setting %s, which weights do not decide; it is passed over", path, name)
            continue
        if not ADOPTABLE[name](value):
            problem = f"has the setting {name} {str(value)[:40]!r}, which is not possible"
            raise HandsegInputError(path, problem, "fetch the file from where you trust, or train again")
        parser[name] = value
    parser.parse(reset=True)


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _LARGEST


def _are_widths(value: object) -> bool:
    """Return whether a value is one width, one for each row of a decoder, or the network's own choice."""
    return value is None or _is_size(value) or (isinstance(value, (list, tuple)) and all(map(_is_size, value)))


ADOPTABLE: Mapping[str, Callable[[Any], bool]] = MappingProxyType(
    {
        "image_size": _is_size,
        "window_size": lambda value: value is None or _is_size(value),
        "overlap": lambda value: isinstance(value, (int, float)) and 0 <= value < 1,
        "model_name": lambda value: isinstance(value, str),
        "in_channels": _is_size,
        "decoder_channels": _are_widths,
        "feature_size": _is_size,
        "deep_supervision": lambda value: isinstance(value, bool),
    }
)
"""Settings that the shape of a network and what it sees of a radiograph depend on, and what they may be."""
