"""What weights remember of their training, put into the configuration that uses them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from handseg_bundle_common.weights.storage import PathLike, stored_settings

if TYPE_CHECKING:  # loading weights does without MONAI
    from monai.bundle import ConfigParser


def adopt_settings(parser: ConfigParser, path: PathLike, explicit: Mapping[str, Any]) -> None:
    """Take image size, encoder and so on from a file of weights, where the configuration has an id of that name.

    Args:
        parser: a bundle's configuration; references are resolved anew afterwards.
        path: file of weights.
        explicit: values that somebody asked for; those that are not None win over the weights'.

    Raises:
        HandsegInputError: the file is missing, damaged, unsafe or of other bones.
    """
    for name, value in stored_settings(path).items():
        if name in parser and explicit.get(name) is None:
            parser[name] = value
    parser.parse(reset=True)
