"""A static scan of a bundle's configurations against the list of what they may call; nothing is evaluated."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handseg_bundle_common.packaging.verify.allowed import FOLDERS, PACKAGE, TARGETS
from handseg_bundle_common.packaging.verify.contents import bundle_files
from handseg_bundle_common.packaging.verify.documents import CONFIGS, read_document
from handseg_bundle_common.packaging.verify.expressions import begins_in_a_folder, expression_problem
from handseg_bundle_common.packaging.verify.findings import Check, Finding, error
from handseg_bundle_common.packaging.verify.places import place_problem

_TRUST = "write it without, or pass --trust for a bundle whose author you know"
_TARGET = "_target_"
_HARMLESS = {_TARGET, "_disabled_", "_desc_", "_meta_"}
_MEMBER = {"name", "bundle", "weights"}
_ID = r"\w+(?:(?:#|::)\w+)*"
# What MONAI's logging.conf needs. Old versions of Python's module evaluate the arguments.
_LOG_CLASSES = {"StreamHandler", "logging.StreamHandler", "NullHandler", "logging.NullHandler"}
_LOG_ARGUMENTS = {"()", "(sys.stdout,)", "(sys.stderr,)"}


@dataclass(frozen=True)
class _Value:
    """A value of a configuration and where it stands.

    Attributes:
        value: as JSON has it.
        pointer: JSON pointer.
        key: last part of the id that it is the value of; empty in a list.
        top: whether that id is one of the file's own.
        in_member: whether it describes a member of an ensemble, whose folder is verified by itself.
    """

    value: Any
    pointer: str = ""
    key: str = ""
    top: bool = False
    in_member: bool = False


def scan(root: Path) -> list[Finding]:
    """Scan every JSON and YAML file and every logging configuration of a bundle, wherever it lies.

    Args:
        root: the bundle's folder.

    Returns:
        An error for each `_target_`, expression, inclusion and path that is not on the list, with file and place.
    """
    findings = []
    for name in bundle_files(root):
        suffix = Path(name).suffix.lower()
        if PACKAGE in Path(name).parts[:-1]:
            continue  # compared with the installed package as a whole
        if suffix in CONFIGS:
            findings += scan_config(root, name)
        elif suffix in {".conf", ".ini", ".cfg"}:
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
    # Nobody opens the addresses in metadata.
    base = None if Path(name).name == "metadata.json" else str(root.absolute())
    found = _problems(_Value(document), base)
    return [error(Check.SCAN, name, problem, _TRUST, pointer) for pointer, problem in found]


def scan_logging(root: Path, name: str) -> list[Finding]:
    """Scan a configuration of Python's logging: handlers that write to the terminal and nothing else."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string((root / name).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, configparser.Error) as problem:
        return [error(Check.SCAN, name, f"cannot be read ({problem})", "copy that of bundles/effisegnet")]
    found = []
    for section in parser.sections():
        options = dict(parser[section])
        kind, arguments = options.get("class"), options.get("args", "()").replace(" ", "")
        if kind is not None and (not section.startswith("handler_") or kind not in _LOG_CLASSES):
            found.append((section, f"names the class {kind!r}"))
        if arguments not in _LOG_ARGUMENTS or "kwargs" in options:
            found.append((section, f"has the arguments {arguments!r}"))
    return [error(Check.SCAN, name, problem, _TRUST, f"[{section}]") for section, problem in found]


def _problems(item: _Value, root: str | None) -> Iterator[tuple[str, str]]:
    """Yield places and problems of a value and all that is in it.

    Args:
        item: the value.
        root: folder of the bundle, or None where paths do not matter.
    """
    problem = _key_problem(item)
    if problem is not None:
        yield item.pointer, problem
        return
    if isinstance(item.value, dict):
        member = item.value.keys() >= _MEMBER
        for key, value in item.value.items():
            pointer = f"{item.pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"
            if not isinstance(key, str):
                yield pointer, f"has the key {key!r}, which is no text"
                continue
            parts = re.split(r"#|::", key.removeprefix("+"))
            top = item.pointer == "" and len(parts) == 1
            yield from _problems(_Value(value, pointer, parts[-1], top, member), root)
    elif isinstance(item.value, list):
        for number, value in enumerate(item.value):
            yield from _problems(_Value(value, f"{item.pointer}/{number}"), root)
    elif isinstance(item.value, str):
        problem = _text_problem(item, root)
        if problem is not None:
            yield item.pointer, problem


def _key_problem(item: _Value) -> str | None:
    """Return why what a key asks for is refused."""
    if item.key == _TARGET:
        if not isinstance(item.value, str) or item.value not in TARGETS:
            return f"calls {item.value!r}, which is not on the list of what a configuration may call"
    elif item.key == "_mode_":
        if item.value != "default":
            return f"asks for the mode {item.value!r} in place of a plain call"
    elif re.fullmatch(r"_\w*_", item.key) and item.key not in _HARMLESS:
        return f"has the key {item.key!r}, which makes MONAI run more than what is called"
    if item.top and item.key in FOLDERS and not _is_folder(item.value):
        return "does not begin in the bundle's folder"
    return None


def _is_folder(value: Any) -> bool:
    """Return whether the value of a folder's id cannot be empty, by which `/x` behind it would be absolute."""
    if not isinstance(value, str):
        return value is None or isinstance(value, dict)
    if value.startswith("@"):
        return value[1:] in FOLDERS
    if value.startswith("$"):
        # What is wrong with the expression itself is told by the scan of all text.
        return expression_problem(value[1:]) is not None or begins_in_a_folder(value[1:])
    return bool(value)


def _text_problem(item: _Value, root: str | None) -> str | None:
    """Return why a text is refused."""
    text: str = item.value
    if re.search(r"[@%](#|::)", text):
        return f"has the relative reference {text!r}, which is not followed here"
    if text.startswith("$"):
        return expression_problem(text[1:])
    if text.startswith("%"):
        return None if re.fullmatch(f"%{_ID}", text) else f"includes {text[1:]!r}; a configuration includes no files"
    if text.startswith("@"):
        return None if re.fullmatch(f"@{_ID}", text) else f"has {text!r}, which is no reference"
    outside = item.in_member and item.key in _MEMBER
    if root is None or outside or (item.key == "bundle_root" and text == "."):
        return None
    return place_problem(text, root)
