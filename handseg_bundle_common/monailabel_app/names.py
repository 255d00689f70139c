"""Names that come from outside and become parts of paths."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from handseg_bundle_common.errors import HandsegInputError

_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_LONGEST = 400
_LONGEST_INFO = 100_000


class UnknownNameError(HandsegInputError):
    """A name of an image, a label, a model or a session that is not there."""


def check_name(name: str, kind: str = "image") -> PurePosixPath:
    """Return the name of an image or label as a path below its folder.

    Raises:
        HandsegInputError: it is empty, too long, absolute, hidden, leads out of its folder, or cannot be a name on all
            systems.
    """
    path = PurePosixPath(name)
    is_odd = set(name) & set('\\:*?"<>|') or not name.isprintable()
    parts = name.split("/")
    if not name or len(name) > _LONGEST or is_odd or any(not part or part[0] == "." for part in parts):
        raise HandsegInputError(kind, f"{name[:60]!r} is no name of a file below its folder", "take one of the list")
    return path


def check_info(info: object) -> None:
    """Refuse what clients say of an image or label unless it is an object of JSON (RFC 8259), which has no NaN.

    Raises:
        HandsegInputError: it is none.
    """
    try:
        text = json.dumps(info, allow_nan=False, default=str)
    except (TypeError, ValueError) as error:
        raise HandsegInputError(
            "info", f"is no JSON ({error})", "send an object of texts and finite numbers"
        ) from error
    if not isinstance(info, Mapping) or len(text) > _LONGEST_INFO:
        problem = f"is no object, or longer than {_LONGEST_INFO} characters"
        raise HandsegInputError("info", problem, "send less")


def check_tag(tag: str) -> str:
    """Return the tag of a label, which is a folder's name.

    Raises:
        HandsegInputError: it has other characters than letters, digits, hyphens and underscores.
    """
    if not _TAG.fullmatch(tag):
        raise HandsegInputError("tag", f"{tag[:60]!r} cannot name a folder", "use letters, digits, - and _")
    return tag


def path_below(folder: Path, name: PurePosixPath | str) -> Path:
    """Return the path of a name below a folder, links followed.

    Raises:
        HandsegInputError: it lies elsewhere.
    """
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise HandsegInputError("image", f"{str(name)[:60]!r} leads out of its folder", "take one of the list")
    return path
