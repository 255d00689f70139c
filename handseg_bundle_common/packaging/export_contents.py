"""What goes into an exported bundle: its own files, those of its members, and the package."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from handseg_bundle_common import __version__
from handseg_bundle_common.ensemble import MemberSettings
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import read_json
from handseg_bundle_common.packaging.archive_writer import Content, content_digest
from handseg_bundle_common.packaging.exported_configs import exported_config
from handseg_bundle_common.packaging.exported_page import exported_page
from handseg_bundle_common.packaging.verify import CHECKSUMS
from handseg_bundle_common.weights import DECLARED, METADATA, PACKAGE, declared_digest, find_bundle

MEMBERS = "models/members"
"""Folder of an exported ensemble with one bundle for each member."""

PACKAGE_FOLDER = Path(__file__).resolve().parents[1]
"""The package as it runs, which every exported bundle carries."""

_COMPARE = "compare the bundle with bundles/effisegnet"
_WEIGHTS = "models/model.pt"
_METADATA, _INFERENCE = METADATA.as_posix(), "configs/inference.json"


def bundle_contents(root: Path) -> dict[str, Content]:
    """Return the files of a bundle, of its members if it is an ensemble, and of the package, by path in the bundle.

    Checksums and metadata as they will be are not among them: see `with_checksums`.

    Args:
        root: the bundle's folder.

    Raises:
        HandsegInputError: a file is missing or cannot be used, or weights are not those in the metadata.
    """
    members = _members(root)
    return {
        **_own_files(root, read_name(root), members),
        **{name: content for member in members for name, content in _member_files(member).items()},
        **_package_files(),
    }


def read_name(root: Path) -> str:
    """Return the name in a bundle's metadata."""
    return str(_object(root / METADATA).get("name") or root.name)


def with_checksums(files: Mapping[str, Content], compiled: Mapping[str, Any]) -> dict[str, Content]:
    """Return files with the metadata of the export and the digest of each of them.

    Args:
        files: what `bundle_contents` gives, and what has been compiled.
        compiled: what the metadata says of each compiled file.
    """
    metadata = json.loads(_bytes_of(files[_METADATA]))
    metadata["exported_with"] = {PACKAGE: __version__}
    if compiled:
        metadata["compiled"] = {
            name: {"sha256": content_digest(files[name]), **told} for name, told in sorted(compiled.items())
        }
    complete = {**files, _METADATA: _json(metadata)}
    digests = {name: content_digest(content) for name, content in sorted(complete.items()) if name != CHECKSUMS}
    return {**complete, CHECKSUMS: _json({"files": digests})}


def _own_files(root: Path, name: str, members: Sequence[MemberSettings]) -> dict[str, Content]:
    """Return everything that is a bundle's own, but the package."""
    embedded = [_embedded(member) for member in members] or None
    files: dict[str, Content] = {}
    for path in sorted((root / "configs").iterdir()):
        if path.suffix == ".json" and not _is_left_out(path, members):
            files[f"configs/{path.name}"] = _exported_config(path, name, embedded)
        elif path.suffix == ".conf":
            files[f"configs/{path.name}"] = path
    for path in _visible_files(root / "docs"):
        files[path.relative_to(root).as_posix()] = _page(path, name, members) if path.suffix == ".md" else path
    if (root / "models" / "README.md").is_file():
        files["models/README.md"] = root / "models" / "README.md"
    return files | _licences(root) | _weights(root, needed=not members)


def _exported_config(path: Path, name: str, members: Sequence[Mapping[str, Any]] | None) -> bytes:
    document = _object(path)
    return _json(document if path.name == METADATA.name else exported_config(document, name, members))


def _is_left_out(path: Path, members: Sequence[MemberSettings]) -> bool:
    """Return whether a file holds checksums of another export, or names members that are not those of the ensemble."""
    document = _object(path)
    others = bool(members) and "members" in document and "network_def" not in document
    return path.name == Path(CHECKSUMS).name or others


def _page(path: Path, name: str, members: Sequence[MemberSettings]) -> bytes:
    text = path.read_text(encoding="utf-8")
    for member in members:  # the page of an ensemble that select-members made
        text = text.replace(str(member.weights_file), f"{MEMBERS}/{member.name}/{_WEIGHTS}")
    return exported_page(text, name, is_ensemble=bool(members)).encode()


def _licences(root: Path) -> dict[str, Content]:
    missing = [name for name in ("LICENSE", "NOTICE") if not (root / name).is_file()]
    if missing:
        problem = f"lacks {' and '.join(missing)}"
        raise HandsegInputError(root, problem, "put the licence of configurations and weights there")
    return {name: root / name for name in ("LICENSE", "NOTICE")}


def _weights(root: Path, *, needed: bool) -> dict[str, Content]:
    """Return the weights that the metadata names, each with the digest that it gives."""
    listed = _object(root / METADATA).get(DECLARED) or {}
    if needed and _WEIGHTS not in listed:
        remedy = "make weights its own with handseg install-weights"
        raise HandsegInputError(root, f"has no {_WEIGHTS} that its metadata names", remedy)
    for name in listed:
        _require_digest(root / name)
    return {name: root / name for name in listed}


def _require_digest(path: Path) -> None:
    if not path.is_file() or content_digest(path) != declared_digest(path):
        problem = "is missing" if not path.is_file() else "does not have the SHA-256 digest in the metadata"
        raise HandsegInputError(path, problem, "fetch it again, or make others its own with handseg install-weights")


def _members(root: Path) -> list[MemberSettings]:
    """Return the members of an ensemble; none for any other bundle."""
    config = _object(root / _INFERENCE)
    return MemberSettings.parse_all(config["members"]) if "members" in config else []


def _embedded(member: MemberSettings) -> dict[str, Any]:
    """Return how the configurations of the export name a member."""
    return {
        "name": member.name,
        "bundle": f"$@bundle_root + '/{MEMBERS}/{member.name}'",
        "weights": _WEIGHTS,
        "role": str(member.role),
        "windows": None if member.windows is None else dict(member.windows),
    }


def _member_files(member: MemberSettings) -> dict[str, Content]:
    """Return the files of a member: what it needs to segment, and under which licence."""
    root, weights = Path(find_bundle(member.bundle)), member.weights_file
    if weights == root / _WEIGHTS:
        _require_digest(weights)
    elif not weights.is_file():
        raise HandsegInputError(weights, "is missing", "train the member, or leave it out of the configuration")
    metadata = _object(root / METADATA)
    entry = {"sha256": content_digest(weights), "bytes": weights.stat().st_size}
    own = (metadata.get(DECLARED) or {}).get(_WEIGHTS) or {}
    metadata[DECLARED] = {_WEIGHTS: own if own.get("sha256") == entry["sha256"] else entry}
    files = {
        _METADATA: _json(metadata),
        _INFERENCE: _exported_config(root / _INFERENCE, read_name(root), None),
        _WEIGHTS: weights,
        **_licences(root),
    }
    return {f"{MEMBERS}/{member.name}/{name}": content for name, content in files.items()}


def _package_files() -> dict[str, Content]:
    """Return the package with its data."""
    files = _visible_files(PACKAGE_FOLDER)
    return {f"{PACKAGE}/{path.relative_to(PACKAGE_FOLDER).as_posix()}": path for path in files}


def _visible_files(folder: Path) -> list[Path]:
    """Return the files below a folder in the order of their names, without what Python and editors leave behind."""
    names = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    kept = [name for name in names if not any(part.startswith((".", "__pycache__")) for part in name.parts)]
    return [folder / name for name in kept if name.suffix != ".pyc" and not name.name.endswith("~")]


def _object(path: Path) -> dict[str, Any]:
    document = read_json(path, _COMPARE)
    if not isinstance(document, dict):
        raise HandsegInputError(path, "holds no object", _COMPARE)
    return document


def _json(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, indent=4, ensure_ascii=False) + "\n").encode()


def _bytes_of(content: Content) -> bytes:
    return content if isinstance(content, bytes) else content.read_bytes()
