"""Text in a configuration that names a place outside the bundle."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"[A-Za-z][\w+.-]*:[/\\]|[A-Za-z]:")
_DATABASE = "sqlite:///"  # MLflow's, beside which it keeps its files
_DATABASE_FILE = re.compile(r"[\w-][\w.-]*(?:/[\w-][\w.-]*)*")


def place_problem(text: str, root: str | None = None) -> str | None:
    """Return why a plain text is refused as a path or address, as a part of a sentence; None if it stays inside.

    Args:
        text: any value of a configuration; words are no paths and pass.
        root: absolute folder of the bundle, which the text may name.
    """
    if root is not None and (text == root or text.startswith(f"{root}/")):
        return None if not dots_only(text.removeprefix(root)) else f"leaves the bundle by {text!r}"
    path = _as_read(text)
    if is_database(path):
        return None
    if _ADDRESS.match(path) or path.startswith(("\\\\", "databricks")):
        return f"names the address {text!r}"
    if path.startswith(("/", "~", "\\")):
        return f"names the place {text!r}, which is outside the bundle"
    if dots_only(path):
        return f"leaves the bundle by {text!r}"
    return None


def is_database(text: str) -> bool:
    """Return whether a text is the address of an SQLite database below the working directory."""
    return text.startswith(_DATABASE) and _DATABASE_FILE.fullmatch(text.removeprefix(_DATABASE)) is not None


def dots_only(text: str) -> bool:
    """Return whether a part of a path is made of dots alone: `.`, `..`; Windows reads `.. ` like the latter."""
    return any("." in part and set(part) <= {".", " "} for part in re.split(r"[/\\]", text))


def _as_read(text: str) -> str:
    """Return a text as those read it who take out what cannot be seen, as parsers of addresses do."""
    return "".join(sign for sign in text if sign.isprintable()).strip()
