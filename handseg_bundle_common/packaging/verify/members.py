"""Members of an ensemble: how its configurations name them, and the look at those that lie outside its folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handseg_bundle_common.packaging.verify.archive import MAX_PART
from handseg_bundle_common.packaging.verify.contents import bundle_files, suffix_of
from handseg_bundle_common.packaging.verify.documents import CONFIGS, read_document
from handseg_bundle_common.packaging.verify.places import dots_only

MEMBERS = "members"
"""Id of the list at the top of a configuration that names members."""

_MAX_TEXT = 1000
_PARTS = ("name", "bundle", "weights")
_EXCUSED = re.compile(rf"/{MEMBERS}/\d+/(?:bundle|weights)")
_WITHIN = re.compile(rf"\$@bundle_root \+ '/models/{MEMBERS}/([\w-][\w .-]*)'", re.ASCII)
_SIGNS = ("$", "@", "%")


@dataclass(frozen=True)
class Named:
    """A member as a configuration names it.

    Attributes:
        bundle: folder, archive or name of its bundle.
        weights: file, relative to the bundle's folder or else to the working directory.
    """

    bundle: str
    weights: str


def list_problem(value: Any, *, top: bool) -> str | None:
    """Return why a value of the id `members` is refused, as a part of a sentence.

    Args:
        value: what the configuration has there.
        top: whether it stands at the top of a configuration; anywhere else it refers to that.
    """
    if not top:
        return None if value == f"@{MEMBERS}" else "names members otherwise than by the list at the top"
    complete = isinstance(value, list) and len(value) > 0  # an ensemble of none could not be built
    complete = complete and all(
        isinstance(member, dict) and all(isinstance(member.get(part), str) for part in _PARTS) for member in value
    )
    return None if complete else "names members otherwise than by a list with name, bundle and weights of one or more"


def is_excused(pointer: str) -> bool:
    """Return whether a JSON pointer leads to a member's bundle or weights, which may lie outside the ensemble."""
    return _EXCUSED.fullmatch(pointer) is not None


def text_problem(key: str, text: str) -> str | None:
    """Return why a member's bundle or weights are refused, as a part of a sentence.

    Args:
        key: "bundle" or "weights".
        text: what the configuration says.
    """
    if not text.isprintable():
        return f"names a member by {text[:40]!r}, which holds a sign that nobody sees"
    longest = max(len(part.encode()) for part in text.split("/"))
    if len(text) > _MAX_TEXT or longest > MAX_PART:
        return f"names a member by a text of {len(text)} signs, {text[:40]!r} and more, which is too long for a path"
    if text.startswith(_SIGNS) and (key != "bundle" or _within(text) is None):
        return f"names a member by {text!r}; write a path or a name, or $@bundle_root + '/models/members/NAME'"
    if key == "weights" and not text.endswith(".pt"):
        return f"names the weights {text!r}, which are no .pt file"
    return None


def named_members(root: Path, config: str | None = None) -> list[Named]:
    """Return the members that configurations of a bundle name plainly; one that cannot be read tells so later.

    Args:
        root: the bundle's folder.
        config: name of the configuration; without it all are read.
    """
    names = [name for name in bundle_files(root) if name.startswith("configs/") and suffix_of(name) in CONFIGS]
    wanted = [name for name in names if config in (None, Path(name).name) and (root / name).is_file()]
    return list(dict.fromkeys(member for name in wanted for member in _named(root, name)))


def _named(root: Path, name: str) -> Iterator[Named]:
    try:
        document = read_document(root / name)
    except (OSError, ValueError):
        return
    members = document.get(MEMBERS) if isinstance(document, dict) else None
    for member in members if isinstance(members, list) else []:
        bundle, weights = (member.get(part) if isinstance(member, dict) else None for part in ("bundle", "weights"))
        if not isinstance(bundle, str) or not isinstance(weights, str):
            continue
        inside = _within(bundle)
        if inside is not None:
            yield Named(str(root / "models" / MEMBERS / inside), weights)
        elif not bundle.startswith(_SIGNS):
            yield Named(bundle, weights)


def _within(text: str) -> str | None:
    """Return the name of a member that lies in the ensemble; None for any other text."""
    found = _WITHIN.fullmatch(text)
    return None if found is None or dots_only(found[1]) else found[1]
