"""A static scan of a bundle's configurations against the list of what they may call; nothing is evaluated."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handseg_bundle_common.packaging.verify.allowed import ARGUMENTS, FOLDERS, PACKAGE, TARGETS
from handseg_bundle_common.packaging.verify.contents import bundle_files, in_package, is_output, output_files, suffix_of
from handseg_bundle_common.packaging.verify.documents import CONFIGS, read_document
from handseg_bundle_common.packaging.verify.expressions import (
    begins_in_a_folder,
    expression_problem,
    leads_to_other_places,
)
from handseg_bundle_common.packaging.verify.findings import Check, Finding, error
from handseg_bundle_common.packaging.verify.logs import is_logging, scan_logging
from handseg_bundle_common.packaging.verify.members import MEMBERS, is_excused, list_problem, text_problem
from handseg_bundle_common.packaging.verify.places import is_database, place_problem

_TRUST = "write it without, or pass --trust for a bundle whose author you know"
_TARGET = "_target_"
_FINDER = f"{PACKAGE}.weights.find_bundle"
_HARMLESS = {_TARGET, "_disabled_", "_desc_", "_meta_"}
_ID = r"\w+(?:(?:#|::)\w+)*"
_METADATA = re.compile(r"(?:models/members/[^/]+/)?configs/metadata\.json")


@dataclass(frozen=True)
class _File:
    """What a file is, which decides what may stand in it.

    Attributes:
        root: absolute folder of the bundle.
        plain: it is metadata, which MONAI reads and nothing runs: words alone, in which addresses do no harm.
        result: a run has written it, with the places of those who ran it.
    """

    root: str
    plain: bool
    result: bool


@dataclass(frozen=True)
class _Value:
    """A value of a configuration and where it stands.

    Attributes:
        value: as JSON has it.
        pointer: JSON pointer.
        key: last part of the id that it is the value of; empty in a list.
        top: whether that id is one of the file's own.
    """

    value: Any
    pointer: str = ""
    key: str = ""
    top: bool = False


def scan(root: Path) -> list[Finding]:
    """Scan every JSON and YAML file and every logging configuration of a bundle, wherever it lies.

    Args:
        root: the bundle's folder.

    Returns:
        An error for each `_target_`, expression, inclusion and path that is not on the list, with file and place.
    """
    findings = []
    for name in (*bundle_files(root), *output_files(root)):
        if in_package(name) or not (root / name).is_file():
            continue  # compared with the installed package as a whole; refused as a pipe
        if suffix_of(name) in CONFIGS:
            findings += scan_config(root, name)
        elif is_logging(root, name):
            findings += scan_logging(root, name)
    return findings


def scan_config(root: Path, name: str) -> list[Finding]:
    """Scan one JSON or YAML file of a bundle.

    Args:
        root: the bundle's folder.
        name: path of the file in it.
    """
    try:
        document = read_document(root / name)
    except (OSError, ValueError) as problem:
        return [error(Check.SCAN, name, str(problem), "write it as plain JSON")]
    file = _File(str(root.absolute()), _METADATA.fullmatch(name) is not None, is_output(name))
    found = _problems(_Value(document), file)
    return [error(Check.SCAN, name, problem, _TRUST, pointer) for pointer, problem in found]


def _problems(item: _Value, file: _File) -> Iterator[tuple[str, str]]:
    """Yield places and problems of a value and all that is in it."""
    problem = _key_problem(item) or (None if file.plain or file.result else _use_problem(item))
    if problem is not None:
        yield item.pointer, problem
        return
    if isinstance(item.value, dict):
        for key, value in item.value.items():
            pointer = f"{item.pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"
            if not isinstance(key, str):
                yield pointer, f"has the key {key!r}, which is no text"
                continue
            parts = re.split(r"#|::", key.removeprefix("+"))
            if MEMBERS in parts[:-1] and not (file.plain or file.result):
                yield pointer, "changes a part of the members; name them in one list"
                continue
            top = item.pointer == "" and len(parts) == 1
            yield from _problems(_Value(value, pointer, parts[-1], top), file)
    elif isinstance(item.value, list):
        for number, value in enumerate(item.value):
            yield from _problems(_Value(value, f"{item.pointer}/{number}"), file)
    elif isinstance(item.value, str):
        problem = _text_problem(item, file)
        if problem is not None:
            yield item.pointer, problem


def _key_problem(item: _Value) -> str | None:
    """Return why what a key asks for is refused: to call something or to call it in another way."""
    if item.key == _TARGET:
        if not isinstance(item.value, str) or item.value not in TARGETS:
            return f"calls {item.value!r}, which is not on the list of what a configuration may call"
    elif item.key == "_mode_":
        if item.value != "default":
            return f"asks for the mode {item.value!r} in place of a plain call"
    elif re.fullmatch(r"_\w*_", item.key) and item.key not in _HARMLESS:
        return f"has the key {item.key!r}, which makes MONAI run more than what is called"
    elif item.key in ARGUMENTS:
        return f"gives the argument {item.key!r}, by which programs can be started"
    return None


def _use_problem(item: _Value) -> str | None:
    """Return why the value of an id with a meaning of its own is refused."""
    if item.top and item.key in FOLDERS and not _is_folder(item.value):
        return "does not begin in the bundle's folder"
    if item.key != "bundle_root" and isinstance(item.value, dict) and item.value.get(_TARGET) == _FINDER:
        return "takes the folder of a bundle under another id than bundle_root"
    if item.key == "tracking_uri" and not _is_tracking(item.value):
        return f"tracks in {item.value!r}, which is not of the form sqlite:///FILE below the working directory"
    if item.key == MEMBERS:
        return list_problem(item.value, top=item.pointer == f"/{MEMBERS}")
    return None


def _is_tracking(value: Any) -> bool:
    return value in (None, "@tracking_uri") or (isinstance(value, str) and is_database(value))


def _is_folder(value: Any) -> bool:
    """Return whether the value of a folder's id cannot be empty, by which `/x` behind it would be absolute."""
    if isinstance(value, dict):
        named = all(isinstance(text, str) and text[:1] not in {"$", "@", "%"} for text in value.values())
        return value.get(_TARGET) == _FINDER and value.keys() <= {_TARGET, "name", "exported_with"} and named
    if not isinstance(value, str):
        return value is None
    if value.startswith(("@", "%")):
        return value[1:] in FOLDERS
    if value.startswith("$"):
        # What is wrong with the expression itself is told by the scan of all text.
        return expression_problem(value[1:]) is not None or begins_in_a_folder(value[1:])
    return bool(value.strip())


def _text_problem(item: _Value, file: _File) -> str | None:
    """Return why a text is refused."""
    text: str = item.value
    if file.plain:
        return f"has {text!r} where words are expected" if text.startswith(("$", "@", "%")) else None
    if not file.result and is_excused(item.pointer):
        return text_problem(item.key, text)
    if re.search(r"[@%](#|::)", text):
        return f"has the relative reference {text!r}, which is not followed here"
    if text.startswith("$"):
        return expression_problem(text[1:])
    if text.startswith(("@", "%")):
        return None if file.result and text.startswith("@") else _reference_problem(item.key, text)
    return None if file.result else place_problem(text, file.root)


def _reference_problem(key: str, text: str) -> str | None:
    """Return why a text is refused that MONAI replaces by the value of an id."""
    if not re.fullmatch(f"[@%]{_ID}", text):
        included = f"includes {text[1:]!r}; a configuration includes no files"
        return included if text.startswith("%") else f"has {text!r}, which is no reference"
    if leads_to_other_places(text[1:]) and (key, text) != (MEMBERS, f"@{MEMBERS}"):
        return f"has {text!r}, below which paths may lead out of the bundle"
    if re.split("#|::", text[1:])[-1] in FOLDERS and key not in FOLDERS:
        return f"gives the folder {text!r} another name"
    return None
