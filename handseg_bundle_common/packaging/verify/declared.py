"""What a bundle says of itself: licence, metadata, classes, ids, checksums and weights."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import read_json
from handseg_bundle_common.packaging.verify.allowed import FOLDERS
from handseg_bundle_common.packaging.verify.archive import name_problem
from handseg_bundle_common.packaging.verify.contents import bundle_files, file_digest, is_compiled, suffix_of
from handseg_bundle_common.packaging.verify.documents import read_document
from handseg_bundle_common.packaging.verify.findings import Check, Finding, error, warning
from handseg_bundle_common.packaging.verify.places import place_problem
from handseg_bundle_common.weights import DECLARED, METADATA, declared_digest, stored_settings

CHECKSUMS = "configs/checksums.json"
"""`{"files": {"relative/path": "sha256 in hexadecimal digits"}}` of every file of an archive but itself."""

SCHEMA = Path(__file__).with_name("metadata.schema.json")

_COMPARE = "compare it with that of bundles/effisegnet"
_EXPORT = "export the bundle again with handseg export"
_PACKAGES = {"required_packages_version", "optional_packages_version"}  # the newer name and the older
_COMMON = ("bundle_root", "device", "dataset_dir", "output_dir")
_VALIDATE = ("validate#evaluator", "validate#handlers", "validate#dataset", "validate#dataset#data")
_TRAIN = ("trainer", "trainer#max_epochs", "inferer", "handlers", "dataset", "dataset#data")
REQUIRED_IDS = {
    "inference.json": (*_COMMON, "network_def", "dataset", "evaluator", "inferer", "preprocessing", "run"),
    "train.json": (
        *_COMMON,
        *("network_def", "val_interval", "run", "training"),
        *(f"train#{part}" for part in _TRAIN),
        *_VALIDATE,
    ),
    "evaluate.json": (*_COMMON, *_VALIDATE, "run"),
}
"""Ids that MONAI's workflows and the model zoo ask for, by configuration; evaluate.json is laid over train.json."""


def licence_findings(root: Path) -> list[Finding]:
    """Look for the licence."""
    try:
        present = bool((root / "LICENSE").read_bytes().strip())
    except OSError:
        present = False
    return [] if present else [error(Check.LICENCE, "LICENSE", "is missing or empty", "say under which terms it comes")]


def metadata_findings(root: Path) -> list[Finding]:
    """Hold the metadata to the rules of MONAI's schema, without a network, and the changelog to the version."""
    name = METADATA.as_posix()
    try:
        document = read_document(root / METADATA)
    except (OSError, ValueError) as reason:
        return [error(Check.METADATA, name, f"cannot be used ({reason})", _COMPARE)]
    schema = read_json(SCHEMA, "install handseg again")
    found = [
        ("".join(f"/{part}" for part in one.absolute_path), one.message)
        for one in Draft202012Validator(schema).iter_errors(document)
    ]
    if isinstance(document, dict) and not _PACKAGES & document.keys():
        found.append(("", f"lacks {max(_PACKAGES)}"))
    findings = [error(Check.METADATA, name, _shortened(text), _COMPARE, place) for place, text in sorted(found)]
    if not findings and document["version"] not in document["changelog"]:
        problem = f"has no line for the version {document['version']}"
        findings.append(error(Check.METADATA, name, problem, "tell what has changed", "/changelog"))
    return findings


def class_findings(root: Path) -> list[Finding]:
    """Hold the channels of the network to the bones in their order."""
    name, place = METADATA.as_posix(), "/network_data_format/outputs/pred/channel_def"
    try:
        channels = dict(read_document(root / METADATA)["network_data_format"]["outputs"]["pred"]["channel_def"])
    except (OSError, ValueError, TypeError, KeyError):
        return [error(Check.CLASSES, name, "does not name the channels", _COMPARE, place)]
    remedy = "use a bundle for the bones of handseg in their order"
    for channel, bone in enumerate(BONE_NAMES):
        if channels.get(str(channel)) != bone:
            problem = f"names {channels.get(str(channel))!r} instead of {bone!r} in channel {channel}"
            return [error(Check.CLASSES, name, problem, remedy, f"{place}/{channel}")]
    if len(channels) > len(BONE_NAMES):
        problem = f"names {len(channels)} channels instead of {len(BONE_NAMES)}"
        return [error(Check.CLASSES, name, problem, remedy, place)]
    return []


def id_findings(root: Path) -> list[Finding]:
    """Look for the ids that MONAI and the model zoo ask for; an ensemble is not trained."""
    documents = {name: _document(root / "configs" / name) for name in REQUIRED_IDS}
    findings = []
    for name, ids in REQUIRED_IDS.items():
        own = documents[name]
        if own is None:
            if name != "train.json" or "members" not in (documents["inference.json"] or {}):
                findings.append(error(Check.IDS, f"configs/{name}", "is missing or cannot be read", _COMPARE))
            continue
        layers = [own] if name != "evaluate.json" else [own, documents["train.json"] or {}]
        missing = [identifier for identifier in ids if not any(has_id(layer, identifier) for layer in layers)]
        if missing:
            findings.append(error(Check.IDS, f"configs/{name}", f"does not define {', '.join(missing)}", _COMPARE))
    return findings


def has_id(config: Mapping[str, Any], identifier: str) -> bool:
    """Return whether a configuration defines an id, within objects or as a path of its own."""
    flat = {key.removeprefix("+").replace("::", "#") for key in config}
    if identifier in flat:
        return True
    found: Any = config
    for part in identifier.split("#"):
        if not isinstance(found, Mapping) or part not in found:
            return False
        found = found[part]
    return True


def checksum_findings(root: Path, *, archive: bool) -> list[Finding]:
    """Hold every file to the list of checksums, if there is one, and weights to the metadata.

    Args:
        root: the bundle's folder.
        archive: whether it came as an archive, which has such a list.
    """
    return [*_weights_digests(root, archive=archive), *_file_digests(root, archive=archive)]


def _file_digests(root: Path, *, archive: bool) -> Iterator[Finding]:
    files = {name for name in bundle_files(root) if not is_compiled(name)}
    if CHECKSUMS not in files:
        if archive:
            yield warning(Check.CHECKSUMS, CHECKSUMS, "is missing, so that changes cannot be seen", _EXPORT)
        return
    try:
        listed = read_document(root / CHECKSUMS)["files"]
        digests = {str(name): str(digest).lower() for name, digest in listed.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as reason:
        yield error(Check.CHECKSUMS, CHECKSUMS, f"cannot be used ({reason})", _EXPORT)
        return
    for name in sorted(files - {CHECKSUMS} | set(digests)):
        if name not in digests:
            yield error(Check.CHECKSUMS, name, f"is not listed in {CHECKSUMS}", "remove it")
        elif name not in files:
            yield error(Check.CHECKSUMS, name, f"is listed in {CHECKSUMS} and not there", "fetch the bundle again")
        elif not (root / name).is_file() or file_digest(root / name) != digests[name]:
            problem = f"does not have the SHA-256 digest {digests[name]} that {CHECKSUMS} lists"
            yield error(Check.CHECKSUMS, name, problem, "fetch the bundle again")


def _weights_digests(root: Path, *, archive: bool) -> Iterator[Finding]:
    """Hold the weights that metadata names to their digests; others in an archive are unexpected."""
    metadata = _document(root / METADATA) or {}
    declared = metadata.get(DECLARED)
    names = set(declared) if isinstance(declared, dict) else set()
    problems = {name: problem for name in names if (problem := name_problem(name)) is not None}
    for name, problem in sorted(problems.items()):
        yield error(Check.CHECKSUMS, name, f"is named in the metadata and {problem}", "fetch the bundle again")
    for name in sorted(names - problems.keys()):
        expected = declared_digest(root / name)
        if not (root / name).is_file():
            yield error(Check.CHECKSUMS, name, "is named in the metadata and not there", "fetch the bundle again")
        elif expected is None or file_digest(root / name) != expected.lower():
            problem = f"does not have the SHA-256 digest {expected} that the metadata names"
            yield error(Check.CHECKSUMS, name, problem, "fetch the bundle again")
    if archive:
        own = [name for name in bundle_files(root) if re.fullmatch(r"models/[^/]+\.pt", name)]
        for name in sorted(set(own) - names):
            yield error(Check.CHECKSUMS, name, "has no digest in the metadata", _EXPORT)


def weight_findings(root: Path) -> list[Finding]:
    """Read every file of weights, which is safe: what is no plain tensor is not built."""
    names = [name for name in bundle_files(root) if suffix_of(name) == ".pt" and (root / name).is_file()]
    return [finding for name in names for finding in settings_findings(root / name, name)]


def settings_findings(path: Path, name: str) -> list[Finding]:
    """Read a file of weights and hold the settings in it, which a configuration takes over, to places in the bundle.

    Args:
        path: the file.
        name: what a finding calls it.
    """
    try:
        settings = stored_settings(path)
    except HandsegInputError as problem:
        return [error(Check.WEIGHTS, name, problem.problem, problem.remedy)]
    except RecursionError:
        return [error(Check.WEIGHTS, name, "is nested too deeply", "fetch it again")]
    outside = [key for key, value in settings.items() if key in FOLDERS or any(map(place_problem, _texts(value)))]
    reason = "that names a place, which a configuration would take over"
    return [error(Check.WEIGHTS, name, f"has the setting {key!r} {reason}", "train again") for key in outside]


def _texts(value: Any) -> list[str]:
    if isinstance(value, (list, tuple)):
        return [text for one in value for text in _texts(one)]
    return [value] if isinstance(value, str) else []


def _document(path: Path) -> dict[str, Any] | None:
    """Return the object in a file, or None."""
    try:
        document = read_document(path)
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def _shortened(message: str) -> str:
    """Keep the sentence of a validator short, which repeats the whole value."""
    return message if len(message) <= 120 else f"{message[:60]} ... {message[-55:]}"
