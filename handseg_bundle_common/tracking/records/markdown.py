"""Markdown of values that come from elsewhere, and what a reader sees of Markdown that a person wrote."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

MISSING = "-"

_SPECIAL = re.compile(r"[\\`*|~]")
# A comment ends with the first --> after its <!, as browsers see it: <!--> is a whole one.
_COMMENT = re.compile(r"<!(?=--).*?-->", re.DOTALL)
_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")
_LENGTH = 220


def escaped(value: object) -> str:
    """Return a value as one line of Markdown that shows it as it is, in a table too."""
    printable = "".join(letter if letter.isprintable() else " " for letter in str(value))
    text = html.escape(" ".join(printable.split()), quote=False)
    return _SPECIAL.sub(r"\\\g<0>", text).replace("](", "]\\(")


def unescaped(text: str) -> str:
    """Return what `escaped` was given, but for white space and what cannot be printed."""
    return html.unescape(re.sub(r"\\([\\`*|~(])", r"\1", text))


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table of escaped values; None becomes a dash."""
    body = [[MISSING if cell is None else escaped(cell) for cell in row] for row in rows]
    lines = [header, ["---"] * len(header), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cells(line: str) -> list[str]:
    """Return the values of one row of `table`, an empty list for any other line."""
    match = re.fullmatch(r"\|(.*)\|\s*", line)
    return [unescaped(part.strip()) for part in re.split(r"(?<!\\)\|", match[1])] if match else []


def visible(text: str) -> str:
    """Return text without comments and without white space around it."""
    return _COMMENT.sub("", text).strip()


def first_sentence(text: str) -> str:
    """Return the first sentence of what is visible, on one line and not longer than a table bears."""
    line = " ".join(visible(text).split())
    match = re.match(r".+?[.!?](?=\s|$)", line)
    sentence = match[0] if match else line
    return sentence if len(sentence) <= _LENGTH else f"{sentence[:_LENGTH].rstrip()}..."


def scan(lines: list[str]) -> tuple[list[int], tuple[int, str] | None]:
    """Return the lines that start outside code fences and comments, and what is still open at the end, and since when.

    Source of the rules: CommonMark 0.31, sections 4.5 and 4.6.
    """
    plain: list[int] = []
    opened: tuple[int, str] | None = None
    fence = ""
    for number, line in enumerate(lines):
        if fence:
            closing = re.fullmatch(rf" {{0,3}}{re.escape(fence[0])}{{{len(fence)},}}\s*", line)
            fence = "" if closing else fence
            opened = opened if fence else None
            continue
        if opened is None:
            plain.append(number)
            if match := _FENCE.match(line):
                fence, opened = match[1], (number, "code")
                continue
        opened = _comment_at_end(line, number, opened)
    return plain, opened


def _comment_at_end(line: str, number: int, opened: tuple[int, str] | None) -> tuple[int, str] | None:
    """Return the comment that is open at the end of a line, given the one that is open at its start."""
    place = 0
    while True:
        place = line.find("-->" if opened else "<!--", place)
        if place < 0:
            return opened
        # The dashes that open a comment may close it: <!--> is a whole one.
        place, opened = (place + 3, None) if opened else (place + 2, (number, "a comment"))
