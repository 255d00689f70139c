"""Finds what ships beside the package (sample data, folds, bundles), and where it may keep what it builds."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

from handseg_bundle_common.errors import HandsegInputError

# What holds the package: the repository, an exported bundle with its own copy, or a folder of installed packages.
REPOSITORY = Path(__file__).resolve().parents[1]
INSTALLED = Path(sysconfig.get_path("data")) / "share" / "handseg"


def shared_path(relative: str) -> Path:
    """Return a shipped file or folder, from the repository if the package lies in one, else from the installation.

    Args:
        relative: path below either root, such as `data/sample` or `bundles/effisegnet`.

    Raises:
        HandsegInputError: it is in neither place.
    """
    for root in (REPOSITORY, INSTALLED):
        candidate = root / relative
        if candidate.exists():
            return candidate
    raise HandsegInputError(
        relative, f"is neither in {REPOSITORY} nor in {INSTALLED}", "install handseg again or name a path of your own"
    )


def cache_folder() -> Path:
    """Return the user's cache folder, `$HANDSEG_CACHE` or `~/.cache/handseg`; it need not exist."""
    return Path(os.environ.get("HANDSEG_CACHE") or Path.home() / ".cache" / "handseg")
