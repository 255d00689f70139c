"""A bundle's configurations as they run where nothing but the exported bundle is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from handseg_bundle_common import __version__
from handseg_bundle_common.weights import PACKAGE

START = "start"
"""Id of what an exported bundle does first, in place of `initialize`."""


def exported_config(
    document: Mapping[str, Any], name: str, members: Sequence[Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """Return a configuration for an exported bundle.

    MONAI adds a bundle's folder to Python's search path after `initialize` and before it runs anything. So what
    `initialize` does moves to `start`, with which everything that is run begins; before that nothing may name the
    package that the bundle carries. The bundle's folder is the one that the configuration lies in.

    Args:
        document: `train.json`, `inference.json` or what is laid over them.
        name: the bundle's name.
        members: descriptions of an ensemble's members in place of those that the document has.
    """
    config: dict[str, Any] = {START if key == "initialize" else key: value for key, value in document.items()}
    if "network_def" in config:
        config.setdefault(START, [])
    config = {key: _begun(value) if _is_run(value) else value for key, value in config.items()}
    if "bundle_root" in config:
        finder = {"_target_": f"{PACKAGE}.weights.find_bundle", "name": name, "exported_with": __version__}
        config["bundle_root"] = finder
    if members is not None and "members" in config:
        config["members"] = [dict(member) for member in members]
    return config


def _is_run(value: object) -> bool:
    """Return whether a value is a list of expressions that MONAI runs by its id."""
    is_list = isinstance(value, list) and all(isinstance(item, str) and item[:1] in {"$", "@"} for item in value)
    return is_list and any(item.endswith(".run()") for item in value)  # type: ignore[attr-defined]  # a list of text


def _begun(expressions: list[str]) -> list[str]:
    return expressions if f"@{START}" in expressions else [f"@{START}", *expressions]
