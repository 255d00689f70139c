"""Bundles that are about to run: archives are verified and unpacked, folders from elsewhere are scanned."""

from __future__ import annotations

import logging
from pathlib import Path

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.packaging.verify.archive import is_archive
from handseg_bundle_common.packaging.verify.checks import NO_PATH, verify_bundle, verify_member, verify_safety
from handseg_bundle_common.packaging.verify.findings import Verification, one_line
from handseg_bundle_common.packaging.verify.members import Named, named_members
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
    for member in named_members(root, "inference.json"):
        try:
            _open_member(member, root, trust)
        except HandsegInputError as error:
            raise HandsegInputError(
                bundle, f"has the member {error.source}, which {error.problem}", error.remedy
            ) from error
        except NO_PATH as error:
            problem = f"has the member {one_line(member.bundle)}, which cannot be looked at ({one_line(str(error))})"
            raise HandsegInputError(bundle, problem, "name it by a path that there is") from error
    return str(root)


def _opened(bundle: str, trust: bool) -> Path:
    if is_archive(Path(bundle)):
        result = verify_bundle(bundle, trust=trust, network=False)
    else:
        root = Path(find_bundle(bundle))
        if root.parent in bundle_shelves():
            return root
        result = verify_safety(root, trust=trust)
    _require(result, bundle)
    return Path(str(result.folder))


def _open_member(member: Named, root: Path, trust: bool) -> None:
    if not is_archive(Path(member.bundle).expanduser()) and Path(find_bundle(member.bundle)).parent in bundle_shelves():
        return
    _require(verify_member(member, root, trust=trust), member.bundle)


def _require(result: Verification, bundle: str) -> None:
    """Refuse a bundle with the first of its errors, and tell of those that are passed."""
    if result.refused:
        first = result.refused[0]
        more = f" and {len(result.refused) - 1} more" if len(result.refused) > 1 else ""
        problem = f"is refused: {first.where or 'it'} {one_line(first.problem)}{more}"
        raise HandsegInputError(bundle, problem, f"{first.remedy} (handseg verify {bundle} lists all)")
    if result.passed:
        logger.warning("TRUSTED: %s runs code of its own; %d errors are passed over", bundle, len(result.passed))
