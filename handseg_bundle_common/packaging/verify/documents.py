"""JSON and YAML of a bundle as plain values, refused where two readers could disagree on what they hold."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

CONFIGS = (".json", ".yaml", ".yml")
"""Suffixes that MONAI reads configurations from, in small letters."""

# A system whose encoding is not UTF-8 can take these signs for the second half of the letter before them.
_SWALLOWED = re.compile(r"[^\x00-\x7f][\\\[\]{}]")

MAX_BYTES = 5 * 2**20
MAX_DEPTH = 60


def read_document(path: Path) -> Any:
    """Return what a JSON or YAML file holds.

    Args:
        path: a file with one of the suffixes `CONFIGS`.

    Raises:
        ValueError: the file is too large or nested too deeply, is not UTF-8 or has signs that other encodings read
            otherwise, names a key twice, or is YAML with tags, anchors or several documents; the text is a part of a
            sentence.
        OSError: the file cannot be read.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"is larger than {MAX_BYTES:,} bytes")
    try:
        text = path.read_text(encoding="utf-8")
        if _SWALLOWED.search(text):
            raise ValueError("has a bracket or backslash right behind a letter that is not ASCII")
        document = _json(text) if path.name.lower().endswith(".json") else _yaml(text)
    except UnicodeDecodeError as error:
        raise ValueError("is not UTF-8") from error
    except (json.JSONDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"cannot be read ({error})") from error
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
    _check_depth(document)
    return document


def _json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that stands twice: one reader takes the first, another the last."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"names the key {key!r} twice")
        found[key] = value
    return found


def _yaml(text: str) -> Any:
    """Read YAML without tags, which can name Python objects, and anchors, which can grow a page into gigabytes."""
    for event in yaml.parse(text, yaml.SafeLoader):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise ValueError(f"has an anchor or alias in line {line}")
        if getattr(event, "tag", None):
            raise ValueError(f"has the tag {event.tag!r} in line {line}")
    return yaml.load(text, _UniqueLoader)  # noqa: S506  a SafeLoader


class _UniqueLoader(yaml.SafeLoader):
    """Refuses keys that stand twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        _unique([(key.value, None) for key, _ in node.value if isinstance(key.value, str)])
        return dict(super().construct_mapping(node, deep))


def _check_depth(document: Any) -> None:
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    raise ValueError(f"is nested more than {MAX_DEPTH} levels deep")


def _children(document: Any) -> list[Any]:
    if isinstance(document, dict):
        return list(document.values())
    return document if isinstance(document, list) else []
