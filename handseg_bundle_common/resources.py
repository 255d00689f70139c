"""Finds what ships beside the package (sample data, folds, bundles), and where it may keep what it builds."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

from handseg_bundle_common.errors import HandsegInputError

# What holds the package: the repository, an exported bundle with its own copy, or a folder of installed packages.
REPOSITORY = Path(__file__).resolve().parents[1]
_SHARE = Path("share", "handseg")
_DEEPEST = 4  # <prefix>/lib/python3.11/site-packages is three folders below its prefix


def installed_folder(package_home: Path) -> Path:
    """Return the folder `share/handseg` of the installation that a package belongs to; it need not exist.

    pip puts it beside the package (`--target`), or below the prefix that the package's folder lies in: an environment,
    `--prefix` or `--user`.

    Args:
        package_home: folder that holds the package.
    """
    above = [package_home, *package_home.parents][:_DEEPEST]
    candidates = [folder / _SHARE for folder in above if (folder / _SHARE / "bundles").is_dir()]
    return next(iter(candidates), Path(sysconfig.get_path("data")) / _SHARE)


INSTALLED = installed_folder(REPOSITORY)


def shared_path(relative: str, remedy: str) -> Path:
    """Return a shipped file or folder, from the repository if the package lies in one, else from the installation.

    Args:
        relative: path below either root, such as `data/sample` or `bundles/effisegnet`.
        remedy: what the user can give in its place, without a full stop.

    Raises:
        HandsegInputError: it is in neither place.
    """
    for root in (REPOSITORY, INSTALLED):
        candidate = root / relative
        if candidate.exists():
            return candidate
    raise HandsegInputError(relative, f"is neither in {REPOSITORY} nor in {INSTALLED}", remedy)


def cache_folder() -> Path:
    """Return the user's cache folder, `$HANDSEG_CACHE` or `~/.cache/handseg`; it need not exist."""
    return Path(os.environ.get("HANDSEG_CACHE") or Path.home() / ".cache" / "handseg")
