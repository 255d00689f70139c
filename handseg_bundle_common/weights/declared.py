"""What a bundle's metadata says of the weights that come with the bundle."""

from __future__ import annotations

import json
import os
from pathlib import Path

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.weights.bundles import METADATA

DECLARED = "weights"
"""Key of the metadata under which the files of weights stand by their path in the bundle."""


def declared_digest(path: str | os.PathLike[str]) -> str | None:
    """Return the SHA-256 digest that a bundle's metadata gives a file in one of the bundle's folders.

    Returns:
        Hexadecimal digits; None for a file that lies elsewhere, or that the metadata does not list.
    """
    try:
        given = Path(path).expanduser()
        # The bundle's file may itself be a link, as stores of large files make it, and a link may lead to it.
        files = given.parent.resolve() / given.name, given.resolve()
    except (OSError, RuntimeError, ValueError):  # the home of nobody, links in a circle, signs that no path has
        return None
    return next(filter(None, map(_digest_in_metadata, files)), None)


def _digest_in_metadata(file: Path) -> str | None:
    try:
        metadata = json.loads((file.parents[1] / METADATA).read_bytes())
        return str(metadata[DECLARED][f"{file.parent.name}/{file.name}"]["sha256"])
    except (OSError, ValueError, TypeError, LookupError):
        return None


def free_path(path: str | os.PathLike[str]) -> Path:
    """Return the path that a training is to write its weights to, unless the bundle came with a file there.

    Raises:
        HandsegInputError: the bundle's metadata lists the file.
    """
    if declared_digest(path) is not None:
        problem = "came with the bundle and would be lost"
        raise HandsegInputError(path, problem, "choose another --ckpt_dir, such as models/trained")
    return Path(path)
