"""The Markdown of an experiment record: what a person writes is kept byte for byte, other parts are filled in.

Parts that are filled in stand between two comments, each alone on its line:

    <!-- handseg: result -->
    ...
    <!-- /handseg -->
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import write_atomically
from handseg_bundle_common.tracking.records.markdown import cells, escaped, scan, visible
from handseg_bundle_common.tracking.records.markers import (
    CHANGES,
    DATA,
    FACTS,
    RESULT,
    Fault,
    block,
    fill_parts,
    find_parts,
    has_marker,
)

HYPOTHESIS, EXPECTED, CONCLUSION, NEXT_STEP = "Hypothesis", "Expected effect", "Conclusion", "Next step"

_FILLED_IN = {"What changed": CHANGES, "Data": DATA, "Result": RESULT}
_PROMPTS = {
    HYPOTHESIS: "What do you expect to be true, and why?",
    EXPECTED: "Which number changes, in which direction, and by how much at least?",
    CONCLUSION: "Was the hypothesis right? What else could explain the result? What does it not tell?",
    NEXT_STEP: "What do you try next because of this, and what no longer?",
}
HEADINGS = (HYPOTHESIS, "What changed", EXPECTED, "Data", "Result", CONCLUSION, NEXT_STEP)

_HEADING = re.compile(r" {0,3}##[ \t]+(.*?)(?:[ \t]+#+)?\s*")


@dataclass(frozen=True, order=True)
class Problem:
    """Something that is wrong with a record.

    Attributes:
        path: the record.
        line: where, counted from 1.
        text: what, without a full stop.
        remedy: what to do about it, without a full stop.
    """

    path: Path
    line: int
    text: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}; {self.remedy}."


@dataclass(frozen=True)
class Record:
    """A record as its file holds it.

    Attributes:
        path: the file.
        text: all of it, line ends as they are.
    """

    path: Path
    text: str

    @cached_property
    def lines(self) -> list[str]:
        """Lines of the text without the line feed that ends them."""
        return self.text.split("\n")

    @cached_property
    def headings(self) -> dict[str, list[int]]:
        """Lines, counted from 0, that each heading of a record stands on, in code and comments aside."""
        found: dict[str, list[int]] = {name: [] for name in HEADINGS}
        for number in scan(self.lines)[0]:
            name = _heading(self.lines[number])
            if name:
                found[name].append(number)
        return found

    def part(self, name: str) -> str:
        """Return what is filled in between the markers of a part; nothing if a marker is missing."""
        start, end = find_parts(self.lines)[0].get(name, (0, 1))
        return "\n".join(line.rstrip("\r") for line in self.lines[start + 1 : end])

    def fact(self, name: str) -> str | None:
        """Return a value of the table below the title, None if the table lacks it."""
        rows = [cells(line) for line in self.part(FACTS).split("\n")]
        return next((row[1] for row in rows if len(row) == 2 and row[0] == name), None)

    def line_of(self, part: str) -> int:
        """Return the line, counted from 1, of a part's first marker; 1 if it is missing."""
        return find_parts(self.lines)[0].get(part, (0, 0))[0] + 1

    def written(self, heading: str) -> str:
        """Return what a person wrote below a heading, without comments; nothing if the heading is missing."""
        return visible("\n".join(self.lines[slice(*self._below(heading))]))

    def with_parts(self, contents: Mapping[str, str]) -> Record:
        """Return the record with parts filled in anew, and every other byte as it was.

        Raises:
            HandsegInputError: a marker is missing or damaged.
        """
        return replace(self, text=fill_parts(self.path, self.text, contents))

    def with_written(self, heading: str, text: str) -> Record:
        """Return the record with a text below a heading where nobody has written yet.

        Raises:
            HandsegInputError: something else is written there, or the heading is missing.
        """
        if not self.headings[heading]:
            raise HandsegInputError(self.path, f"has no heading '## {heading}'", "put it back")
        found = self.written(heading)
        if found == visible(text):
            return self
        start, end = self._below(heading)
        if found:
            problem = f"line {start}: there is text below '## {heading}' already"
            raise HandsegInputError(self.path, problem, "change it in the file, or leave the option out")
        below, prompt = "\n".join(self.lines[start:end]), _prompt(heading)
        below = below.replace(prompt, text, 1) if prompt in below else f"\n{text}\n{below}"
        return replace(self, text="\n".join([*self.lines[:start], below, *self.lines[end:]]))

    def problems(self) -> list[Problem]:
        """Return markers and headings that are missing, damaged or there twice, and comments that are not closed."""
        _, faults = find_parts(self.lines)
        faults += _open_end(self.lines)
        for name, numbers in self.headings.items():
            if not numbers:
                faults.append(Fault(len(self.lines), f"the heading '## {name}' is missing", "put it back"))
            faults += [
                Fault(number + 1, f"the heading '## {name}' is there twice", "join both") for number in numbers[1:]
            ]
        return sorted(Problem(self.path, *fault) for fault in faults)

    def _below(self, heading: str) -> tuple[int, int]:
        """Return the lines from below a heading to the next heading of a record."""
        if not self.headings[heading]:
            return 0, 0
        start = self.headings[heading][0] + 1
        others = [number for numbers in self.headings.values() for number in numbers if number >= start]
        return start, min(others, default=len(self.lines))


def template(path: Path, title: str) -> Record:
    """Return a record in which nothing is filled in."""
    blocks = [f"# {escaped(title)}", block(FACTS)]
    for heading in HEADINGS:
        blocks += [f"## {heading}", block(_FILLED_IN[heading]) if heading in _FILLED_IN else _prompt(heading)]
    return Record(path, "\n\n".join(blocks) + "\n")


def read_record(path: Path) -> Record:
    """Return the record of a file.

    Raises:
        HandsegInputError: the file cannot be read or is not UTF-8.
    """
    try:
        return Record(path, path.read_bytes().decode("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise HandsegInputError(path, f"cannot be read ({reason})", "name a record of handseg record new") from error


def write_record(record: Record) -> None:
    """Write a record's file.

    Raises:
        HandsegInputError: it cannot be written.
    """
    with write_atomically(record.path) as temporary:
        temporary.write_bytes(record.text.encode("utf-8"))


def check_text(option: str, text: str) -> None:
    """Refuse a text that would be taken for something else once it stands in a record.

    Raises:
        HandsegInputError: it is empty, has a record's heading or marker, leaves code or a comment open, or is not
            Unicode.
    """
    lines = text.split("\n")
    problems = [fault.problem for fault in _open_end(lines)]
    if not visible(text):
        problems.append("there is no text in it")
    if any(map(_heading, lines)):
        problems.append("it holds a heading of the record")
    if has_marker(lines):
        problems.append("it holds a marker of the record")
    if re.search("[\ud800-\udfff]", text):
        problems.append("it is not Unicode")
    if problems:
        raise HandsegInputError(option, problems[0], "write another text, or write it into the file")


def _heading(line: str) -> str | None:
    """Return which of a record's headings a line is, however its letters are, None for any other line."""
    match = _HEADING.fullmatch(line)
    return next((name for name in HEADINGS if match and name.casefold() == match[1].casefold()), None)


def _prompt(heading: str) -> str:
    return f"<!-- {_PROMPTS[heading]} -->"


def _open_end(lines: list[str]) -> list[Fault]:
    """Return the comment or code that is open at the end, if there is one."""
    _, opened = scan(lines)
    return [] if opened is None else [Fault(opened[0] + 1, f"{opened[1]} opens here and does not end", "close it")]
