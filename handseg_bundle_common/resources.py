"""Finds what ships beside the package: sample data, folds and bundles."""

from __future__ import annotations

import sys
from pathlib import Path

from handseg_bundle_common.errors import HandsegInputError

_REPOSITORY = Path(__file__).resolve().parents[1]
_INSTALLED = Path(sys.prefix) / "share" / "handseg"


def shared_path(relative: str) -> Path:
    """Return a shipped file or folder, from the repository if the package lies in one, else from the installation.

    Args:
        relative: path below either root, such as `data/sample` or `bundles/effisegnet`.

    Raises:
        HandsegInputError: it is in neither place.
    """
    for root in (_REPOSITORY, _INSTALLED):
        candidate = root / relative
        if candidate.exists():
            return candidate
    raise HandsegInputError(
        relative, f"is neither in {_REPOSITORY} nor in {_INSTALLED}", "install handseg again or name a path of your own"
    )
