"""Bundles that are about to run: archives are verified and unpacked, folders from elsewhere are scanned."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.packaging.verify.archive import is_archive
from handseg_bundle_common.packaging.verify.checks import verify_bundle, verify_safety
from handseg_bundle_common.packaging.verify.documents import read_document
from handseg_bundle_common.packaging.verify.findings import Verification, one_line
from handseg_bundle_common.weights import bundle_shelves, find_bundle

logger = logging.getLogger(__name__)


def open_bundle(bundle: str, *, trust: bool = False) -> str:
    """Return the folder of a bundle that may run.

    An archive is verified, all but its network, and unpacked. A folder that lies on none of `bundle_shelves` is
    scanned. Bundles on the shelves came with handseg or were put there by somebody, and are not looked at. The members
    of an ensemble are opened alike.

    Args:
        bundle: folder, archive or name of a bundle.
        trust: go on past configurations and code that are not on the list, with a warning.

    Raises:
        HandsegInputError: there is no such bundle, or it or a member of it is refused.
    """
    root = _opened(bundle, trust)
    for member in _members(root):
        try:
            _opened(member, trust, inside=root)
        except HandsegInputError as error:
            raise HandsegInputError(
                bundle, f"has the member {error.source}, which {error.problem}", error.remedy
            ) from error
    return str(root)


def _opened(bundle: str, trust: bool, inside: Path | None = None) -> Path:
    if is_archive(Path(bundle)):
        result = verify_bundle(bundle, trust=trust, network=False)
    else:
        root = Path(find_bundle(bundle))
        if root.parent in bundle_shelves() or (inside is not None and root.is_relative_to(inside)):
            return root
        result = verify_safety(root, trust=trust)
    _require(result, bundle)
    return Path(str(result.folder))


def _require(result: Verification, bundle: str) -> None:
    """Refuse a bundle with the first of its errors, and tell of those that are passed."""
    if result.refused:
        first = result.refused[0]
        more = f" and {len(result.refused) - 1} more" if len(result.refused) > 1 else ""
        problem = f"is refused: {first.where or 'it'} {one_line(first.problem)}{more}"
        raise HandsegInputError(bundle, problem, f"{first.remedy} (handseg verify {bundle} lists all)")
    if result.passed:
        logger.warning("TRUSTED: %s runs code of its own; %d errors are passed over", bundle, len(result.passed))


def _members(root: Path) -> Iterator[str]:
    """Yield the bundles that an ensemble names; expressions are below the bundle's folder, and scanned with it."""
    try:
        document = read_document(root / "configs" / "inference.json")
    except (OSError, ValueError):
        return  # what reads it next tells why
    members = document.get("members") if isinstance(document, dict) else None
    for member in members if isinstance(members, list) else []:
        name = member.get("bundle") if isinstance(member, dict) else None
        if isinstance(name, str) and not name.startswith(("$", "@", "%")):
            yield name
