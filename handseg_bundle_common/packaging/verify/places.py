"""Text in a configuration that names a place outside the bundle."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"[A-Za-z][\w+.-]*:[/\\]")
_DATABASE = "sqlite:///"  # MLflow's, beside which it keeps its files


def place_problem(text: str, root: str) -> str | None:
    """Return why a plain text is refused as a path or address, as a part of a sentence; None if it stays inside.

    Args:
        text: any value of a configuration; words are no paths and pass.
        root: absolute folder of the bundle, which the text may name.
    """
    if text == root or text.startswith(f"{root}/"):
        return None if not dots_only(text.removeprefix(root)) else f"leaves the bundle by {text!r}"
    path = text.removeprefix(_DATABASE)
    if _ADDRESS.match(path) or path.startswith(("\\\\", "databricks")):
        return f"names the address {text!r}"
    if path.startswith(("/", "~", "\\")):
        return f"names the place {text!r}, which is outside the bundle"
    if dots_only(path):
        return f"leaves the bundle by {text!r}"
    return None


def dots_only(text: str) -> bool:
    """Return whether a part of a path is made of dots alone: `.`, `..`."""
    return any(part and set(part) == {"."} for part in re.split(r"[/\\]", text))
