"""Configurations of Python's logging: handlers that write to the terminal and nothing else."""

from __future__ import annotations

import configparser
from collections.abc import Iterator
from pathlib import Path

from handseg_bundle_common.packaging.verify.contents import suffix_of
from handseg_bundle_common.packaging.verify.findings import Check, Finding, error

_REMEDY = "copy that of bundles/effisegnet, or pass --trust for a bundle whose author you know"
_SUFFIXES = {".conf", ".ini", ".cfg"}
_WEIGHTS = {".pt", ".ts", ".pt2", ".onnx"}
_SIGN = b"[handler_"
# What may stand in a section, by the beginning of its name.
_OPTIONS = {
    "loggers": {"keys"},
    "handlers": {"keys"},
    "formatters": {"keys"},
    "logger_": {"level", "handlers", "qualname", "propagate"},
    "handler_": {"class", "level", "formatter", "args"},
    "formatter_": {"format", "datefmt"},
}
# What MONAI's logging.conf needs. Old versions of Python's module evaluate the arguments.
_CLASSES = {"StreamHandler", "logging.StreamHandler", "NullHandler", "logging.NullHandler"}
_ARGUMENTS = {"()", "(sys.stdout,)", "(sys.stderr,)"}


def is_logging(root: Path, name: str) -> bool:
    """Return whether a file of a bundle could be given to Python's logging: by its suffix, or as it names a handler."""
    suffix = suffix_of(name)
    return suffix in _SUFFIXES or (suffix not in _WEIGHTS and _SIGN in (root / name).read_bytes())


def scan_logging(root: Path, name: str) -> list[Finding]:
    """Hold every section and option of a logging configuration to the list of those that do no harm.

    Args:
        root: the bundle's folder.
        name: path of the file in it.
    """
    parser = configparser.RawConfigParser()
    try:
        # Beyond ASCII, the encoding of the system would decide what stands there.
        parser.read_string((root / name).read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError, configparser.Error) as problem:
        return [error(Check.SCAN, name, f"cannot be read ({problem})", _REMEDY)]
    found = [] if not parser.defaults() else [("DEFAULT", "has options for all sections")]
    found += [(section, problem) for section in parser.sections() for problem in _problems(section, parser[section])]
    return [error(Check.SCAN, name, problem, _REMEDY, f"[{section}]") for section, problem in found]


def _problems(section: str, options: configparser.SectionProxy) -> Iterator[str]:
    kind, sign, _ = section.partition("_")
    allowed = _OPTIONS.get(kind + sign)
    if allowed is None:
        yield "is no section of a logging configuration"
        return
    for name, value in options.items():
        if name not in allowed:
            yield f"has the option {name!r}"
        elif name == "class" and value not in _CLASSES:
            yield f"names the class {value!r}"
        elif name == "args" and value.replace(" ", "") not in _ARGUMENTS:
            yield f"has the arguments {value!r}"
