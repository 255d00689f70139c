"""All checks of a bundle in their order: whatever could do harm comes first, and nothing runs before it has passed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from os import PathLike
from pathlib import Path

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import make_folder
from handseg_bundle_common.packaging.verify.archive import archive_findings, bundle_root, is_archive, unpack
from handseg_bundle_common.packaging.verify.contents import (
    OUTPUTS,
    bundle_files,
    code_findings,
    file_digest,
    kind_findings,
)
from handseg_bundle_common.packaging.verify.declared import (
    checksum_findings,
    class_findings,
    id_findings,
    licence_findings,
    metadata_findings,
    settings_findings,
    weight_findings,
)
from handseg_bundle_common.packaging.verify.findings import Check, Finding, Verification, error
from handseg_bundle_common.packaging.verify.members import MEMBERS, Named, named_members
from handseg_bundle_common.packaging.verify.scan import scan
from handseg_bundle_common.weights import METADATA, find_bundle, unpacked_folder

NO_PATH = (OSError, ValueError, RuntimeError)
"""What paths from elsewhere raise: names too long, signs that no path has, the home of nobody."""

Step = tuple[Check, Callable[[Path], list[Finding]]]

_SAFETY: tuple[Step, ...] = (
    (Check.FILES, kind_findings),
    (Check.CODE, code_findings),
    (Check.SCAN, scan),
    (Check.WEIGHTS, weight_findings),
)
_FORM: tuple[Step, ...] = (
    (Check.LICENCE, licence_findings),
    (Check.METADATA, metadata_findings),
    (Check.CLASSES, class_findings),
    (Check.IDS, id_findings),
)


def verify_bundle(path: str | PathLike[str], *, trust: bool = False, network: bool = True) -> Verification:
    """Look at everything in a bundle from elsewhere before anything of it runs.

    The members of an ensemble that lie outside it are looked at for what could do harm. An archive is unpacked into a
    temporary folder. When it is clean, or trusted, that becomes its place in handseg's
    cache, where `weights.find_bundle` finds it by the archive's path.

    Args:
        path: folder, archive or name of a bundle.
        trust: go on past configurations and code that are not on the list. Running the network then runs them.
        network: build the network and run it once, if all else is clean.

    Raises:
        HandsegInputError: there is no such bundle, or the cache cannot be written to.
    """
    if is_archive(Path(path)):
        return _verify_archive(Path(path), trust, network, members=True)
    folder = Path(path).expanduser()
    root = folder.resolve() if (folder / METADATA).is_file() else Path(find_bundle(str(path)))
    return _verify_folder(root, str(path), trust, network, archive=False, members=True)


def verify_safety(root: Path, *, trust: bool = False) -> Verification:
    """Look at whatever could do harm in the folder of a bundle; whether it is complete shows when it runs.

    Args:
        root: the bundle's folder.
        trust: as in `verify_bundle`.
    """
    found = [finding for _, step in _SAFETY for finding in step(root)]
    return Verification(str(root), tuple(check for check, _ in _SAFETY), tuple(found), trust, str(root))


def verify_member(member: Named, root: Path, *, trust: bool = False) -> Verification:
    """Look at whatever could do harm in a member of an ensemble, as far as it lies outside it.

    Args:
        member: how the ensemble names it.
        root: folder of the ensemble; what lies among its members is looked at with it.
        trust: as in `verify_bundle`.

    Returns:
        What was found; of an archive in all but its network.

    Raises:
        HandsegInputError: there is no such bundle.
        OSError, ValueError, RuntimeError: `NO_PATH`, bundle or weights are named by what leads nowhere.
    """
    path = Path(member.bundle).expanduser()
    if is_archive(path):
        # Members of members never run, so they are not followed, which might have no end.
        result = _verify_archive(path, trust, network=False, members=False)
    else:
        folder = Path(find_bundle(member.bundle))
        inside = folder.is_relative_to(root / "models" / MEMBERS)
        result = Verification(str(folder), (), (), trust, str(folder)) if inside else verify_safety(folder, trust=trust)
    weights = None if result.folder is None else _outside_weights(member, Path(result.folder))
    found = [] if weights is None else settings_findings(weights, str(weights))
    return replace(result, findings=(*result.findings, *found))


def _outside_weights(member: Named, folder: Path) -> Path | None:
    """Return the file of a member's weights if it is there and does not lie in the member's folder."""
    elsewhere = Path(member.weights).expanduser()
    path = Path(folder, elsewhere)
    path = (path if path.exists() else elsewhere).resolve()
    return path if path.is_file() and not path.is_relative_to(folder.resolve()) else None


def _member_findings(root: Path, trust: bool) -> list[Finding]:
    """Look at the members of a bundle before its network is built, which runs their configurations."""
    found: list[Finding] = []
    for member in named_members(root):
        try:
            result = verify_member(member, root, trust=trust)
        except HandsegInputError:
            continue  # a member that is not there runs nothing, and the network tells that it is missing
        except NO_PATH as problem:
            reason = f"is named as a member and cannot be looked at ({problem})"
            found.append(error(Check.FILES, member.bundle, reason, "name it by a path that there is"))
            continue
        found += [replace(one, file=f"{result.path}/{one.file}") for one in result.findings]
    return found


def _verify_folder(root: Path, path: str, trust: bool, network: bool, *, archive: bool, members: bool) -> Verification:
    done = [Check.ARCHIVE] if archive else []
    findings: list[Finding] = []
    sums: Step = (Check.CHECKSUMS, lambda folder: checksum_findings(folder, archive=archive))
    for check, step in (_SAFETY[0], sums, *_SAFETY[1:], *_FORM):
        findings += step(root)
        done.append(check)
    if members:
        findings += _member_findings(root, trust)
    state = Verification(path, tuple(done), tuple(findings), trust, str(root))
    if not network or state.refused:
        return state
    return Verification(path, (*done, Check.NETWORK), (*findings, *_network(root)), trust, str(root))


def _network(root: Path) -> list[Finding]:
    from handseg_bundle_common.packaging.verify.network import network_findings  # noqa: PLC0415  takes seconds

    return network_findings(root)


def _verify_archive(path: Path, trust: bool, network: bool, *, members: bool) -> Verification:
    target = unpacked_folder(path)
    findings = archive_findings(path)
    if not findings:
        with tempfile.TemporaryDirectory(dir=make_folder(target.parent), prefix=".verifying-") as temporary:
            try:
                findings = unpack(path, Path(temporary))
            except OSError as problem:
                reason = f"cannot be unpacked ({problem.strerror or problem})"
                raise HandsegInputError(path, reason, f"make room in {target.parent}") from problem
            if not findings and unpacked_folder(path) != target:
                findings = [error(Check.ARCHIVE, "", "has changed while it was read", "try again")]
            root = None if findings else bundle_root(Path(temporary))
            if root is not None and (root / OUTPUTS).exists():
                # What runs leave there is not scanned, and an archive has not run.
                findings = [error(Check.ARCHIVE, OUTPUTS, "holds results of runs", "export the bundle again")]
            elif root is not None:
                result = _verify_folder(root, str(path), trust, network, archive=True, members=members)
                folder = None if result.refused else str(_kept(root, target))
                return replace(result, folder=folder)
            layout = f"holds no {METADATA.as_posix()}, at the top or in its only folder"
            findings = findings or [error(Check.ARCHIVE, "", layout, "export the bundle again")]
    return Verification(str(path), (Check.ARCHIVE,), tuple(findings), trust)


def _kept(root: Path, target: Path) -> Path:
    """Give an unpacked bundle its place; one that is there already and the same stays, for it may be in use."""
    if target.is_dir():
        if _digests(target) == _digests(root):
            return target
        # A bundle that has been changed since is put away, so that the place is never half a bundle.
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".replaced-") as old:
            target.rename(Path(old, target.name))
            root.rename(target)
        return target
    try:
        root.rename(target)
    except OSError:
        if not target.is_dir():  # somebody else has unpacked the same archive just now
            raise
    return target


def _digests(root: Path) -> dict[str, str]:
    return {name: file_digest(root / name) for name in bundle_files(root) if (root / name).is_file()}
