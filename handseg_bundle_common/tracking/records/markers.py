"""Comments of a record between which a part is filled in, each alone on its line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from handseg_bundle_common.errors import HandsegInputError

FACTS, CHANGES, DATA, RESULT = "facts", "changes", "data", "result"
PARTS = (FACTS, CHANGES, DATA, RESULT)

_START, _END = "<!-- handseg: {} -->", "<!-- /handseg -->"
_LIKE_A_MARKER = re.compile(r"<!-*\s*/?\s*handseg\b")


class Fault(NamedTuple):
    """Something wrong in a text: the line, counted from 1, what it is, and what to do; without full stops."""

    line: int
    problem: str
    remedy: str


def block(name: str) -> str:
    """Return an empty part."""
    return f"{_START.format(name)}\n{_END}"


def has_marker(lines: Iterable[str]) -> bool:
    """Tell whether a line is a marker, or looks like one."""
    return any(_LIKE_A_MARKER.match(line.strip()) for line in lines)


def find_parts(lines: list[str], names: Sequence[str] = PARTS) -> tuple[dict[str, tuple[int, int]], list[Fault]]:
    """Return where parts are, and what is wrong with their markers.

    Args:
        lines: the text.
        names: the parts that must be there.

    Returns:
        The lines, counted from 0, of the two markers of each part that is whole, and the faults.
    """
    starts = {_START.format(name): name for name in names}
    spans: dict[str, tuple[int, int]] = {}
    faults = []
    name, start = "", 0
    for number, line in enumerate(map(str.strip, lines)):
        if line in starts:
            if name in names:
                faults.append(_endless(name, start))
            if starts[line] in spans:
                faults.append(Fault(number + 1, f"the part {starts[line]!r} is there twice", "remove one"))
            name, start = starts[line], number
        elif line == _END:
            if name:
                spans.setdefault(name, (start, number))
            else:
                faults.append(Fault(number + 1, "a part ends that has not begun", "put its first marker back"))
            name = ""
        elif _LIKE_A_MARKER.match(line):
            remedy = f"write {_START.format('NAME')} or {_END}"
            faults.append(Fault(number + 1, f"the marker {line!r} is damaged", remedy))
            # It began a part or ended one, of which nothing more needs to be said.
            name, start = "" if name else "?", number
    if name in names:
        faults.append(_endless(name, start))
    # That a part is missing is no news where one of its markers was found to be damaged.
    return spans, faults or [_missing(name, len(lines)) for name in starts.values() if name not in spans]


def fill_parts(path: Path, text: str, contents: Mapping[str, str], names: Sequence[str] = PARTS) -> str:
    """Return a text with new contents of its parts, and every other byte as it was.

    Args:
        path: the text's file, for errors.
        text: the text.
        contents: what is to stand in a part, by its name.
        names: the parts that must be there.

    Raises:
        HandsegInputError: a marker is missing or damaged.
    """
    lines = text.split("\n")
    spans, faults = find_parts(lines, names)
    if faults:
        fault = min(faults)
        raise HandsegInputError(f"{path}:{fault.line}", fault.problem, fault.remedy)
    for name, (start, end) in sorted(spans.items(), key=lambda span: span[1], reverse=True):
        if name in contents:
            end_of_line = "\r" if lines[start].endswith("\r") else ""
            lines[start + 1 : end] = [line + end_of_line for line in contents[name].split("\n")]
    return "\n".join(lines)


def _endless(name: str, start: int) -> Fault:
    return Fault(start + 1, f"the part {name!r} has no end", f"put {_END} on a line below it")


def _missing(name: str, line: int) -> Fault:
    return Fault(line, f"the part {name!r} is missing", f"put {_START.format(name)} and {_END} where it was")
