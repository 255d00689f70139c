"""All records of a folder on one page, as Markdown and as HTML."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from urllib.parse import quote

from handseg_bundle_common import __version__
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import write_atomically
from handseg_bundle_common.metrics.differences import ALL, FEWEST_PATIENTS
from handseg_bundle_common.pages import render_page
from handseg_bundle_common.tracking.records.content import DATE
from handseg_bundle_common.tracking.records.document import (
    CONCLUSION,
    EXPECTED,
    HYPOTHESIS,
    NEXT_STEP,
    Record,
    read_record,
)
from handseg_bundle_common.tracking.records.markdown import MISSING, cells, escaped, first_sentence
from handseg_bundle_common.tracking.records.markers import RESULT, block, fill_parts
from handseg_bundle_common.tracking.records.results import LABELS

INDEX, PAGE = "README.md", "index.html"

_PART = "index"
_MADE_BY = '<meta name="generator" content="handseg record index">'
_INTERVAL = re.compile(r"([+-]?\d\.\d+) \((?:([+-]?\d\.\d+) to ([+-]?\d\.\d+)|no interval)\)")
_PATIENTS = re.compile(r"images that both runs have, \d+ of (\d+) patient")
# With a parent run: label, parent run, this run, difference; without one: label, this run.
_COLUMNS = 4
_HEADER = ("date", "record", "hypothesis", "mean Dice", "difference to the parent run", "conclusion")


@dataclass(frozen=True)
class Number:
    """A number of a record with its interval, as text, all empty if there is none, and of how many patients it is."""

    estimate: str = ""
    low: str = ""
    high: str = ""
    patients: int = FEWEST_PATIENTS

    @classmethod
    def of(cls, text: str) -> Number:
        """Read what a record shows."""
        match = _INTERVAL.fullmatch(text)
        estimate, low, high = (group or "" for group in match.groups()) if match else ("", "", "")
        return cls(estimate, low, high)

    @property
    def text(self) -> str:
        """The number as a reader sees it."""
        return f"{self.estimate} ({self.low} to {self.high})" if self.low else self.estimate or MISSING

    @property
    def ends(self) -> tuple[str, ...]:
        """Both ends of the interval, or the number itself without one."""
        return tuple(filter(None, (self.low, self.high) if self.low else (self.estimate,)))

    def place(self, reach: float) -> tuple[float, float, float]:
        """Return estimate, low and high end in hundredths of `reach`."""
        scale = 100 / (reach or 1)
        low, high = float(self.ends[0]), float(self.ends[-1])
        return round(scale * float(self.estimate), 1), round(scale * low, 1), round(scale * high, 1)

    @property
    def verdict(self) -> str:
        """Whether a difference is a gain or a loss that its interval is sure of."""
        if self.patients < FEWEST_PATIENTS:
            return ""
        if self.low and float(self.low) > 0:
            return "better"
        return "worse" if self.high and float(self.high) < 0 else ""


@dataclass(frozen=True)
class Row:
    """A record in the index.

    Attributes:
        name: the record's name.
        link: its file, seen from the index.
        date: day of the run, or of the plan.
        texts: what a person wrote, by heading.
        dice: mean Dice of all bones.
        difference: difference of it to the parent run.
        damage: why the record cannot be read, empty for a sound one.
    """

    name: str
    link: str
    date: str
    texts: dict[str, str]
    dice: Number
    difference: Number
    damage: str = ""

    def short(self, heading: str) -> str:
        """Return the first sentence below a heading."""
        return first_sentence(self.texts[heading])

    @property
    def searched(self) -> str:
        """All words that a search finds the record by."""
        return " ".join([self.name, self.date, *self.texts.values()]).casefold()


def record_files(folder: Path) -> list[Path]:
    """Return the records of a folder, by name."""
    return sorted(path for path in folder.glob("*.md") if path.name.casefold() != INDEX.casefold())


def write_index(folder: Path) -> tuple[Path, int]:
    """Write `README.md` and `index.html` with all records of a folder, newest first.

    Text outside the table of `README.md` stays as it is.

    Returns:
        The page, and the number of records.

    Raises:
        HandsegInputError: there is no such folder, a file of this name was not written by this command, or none can be
            written.
    """
    if not folder.is_dir():
        raise HandsegInputError(folder, "is no folder", "write a record with handseg record new, or correct --records")
    check_index(folder)
    rows = sorted(map(_row, record_files(folder)), key=lambda row: row.name)
    rows.sort(key=lambda row: row.date, reverse=True)
    text = fill_parts(folder / INDEX, _index_text(folder), {_PART: _table(rows)}, [_PART])
    page = render_page(
        resources.files(__package__),
        "records",
        rows=rows,
        header=_HEADER,
        shown=[HYPOTHESIS, EXPECTED, CONCLUSION, NEXT_STEP],
        reach=max((abs(float(end)) for row in rows for end in row.difference.ends), default=0.0),
        made_by=_MADE_BY,
        version=__version__,
    )
    for path, content in ((folder / INDEX, text), (folder / PAGE, page)):
        with write_atomically(path) as temporary:
            temporary.write_bytes(content.encode("utf-8"))
    return folder / PAGE, len(rows)


def check_index(folder: Path) -> None:
    """Refuse to write an index over files that somebody else wrote.

    Raises:
        HandsegInputError: such a file is there.
    """
    fill_parts(folder / INDEX, _index_text(folder), {}, [_PART])
    page = folder / PAGE
    if page.exists() and not page.is_file():
        raise HandsegInputError(page, "is no file", "move it, or choose another --records")
    if page.exists() and _MADE_BY.encode() not in page.read_bytes()[:2000]:
        raise HandsegInputError(page, "was not written by handseg record index", "move it, or choose another --records")


def _index_text(folder: Path) -> str:
    """Return the text of the index that is there, or of a new one."""
    path = folder / INDEX
    return read_record(path).text if path.exists() else f"# Experiment records\n\n{block(_PART)}\n"


def _table(rows: list[Row]) -> str:
    lines = [_HEADER, ["---"] * len(_HEADER)]
    for row in rows:
        conclusion = f"Damaged: {row.damage}" if row.damage else row.short(CONCLUSION)
        texts = (row.short(HYPOTHESIS), row.dice.text, row.difference.text, conclusion)
        lines.append([row.date, f"[{escaped(row.name)}]({row.link})", *(escaped(text or MISSING) for text in texts)])
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"\n{body}\n"


def _row(path: Path) -> Row:
    try:
        record = read_record(path)
    except HandsegInputError as error:
        record, damage = Record(path, ""), error.problem
    else:
        problem = next(iter(record.problems()), None)
        damage = "" if problem is None else f"line {problem.line}, {problem.text}"
    result = next((row for row in map(cells, record.part(RESULT).split("\n")) if row and row[0] == LABELS[ALL]), [])
    return Row(
        name=path.stem,
        link=quote(path.name),
        date=record.fact(DATE) or "",
        texts={heading: record.written(heading) for heading in (HYPOTHESIS, EXPECTED, CONCLUSION, NEXT_STEP)},
        dice=Number.of(result[-2] if len(result) == _COLUMNS else result[-1] if result else ""),
        difference=replace(Number.of(result[-1] if len(result) == _COLUMNS else ""), patients=_patients(record)),
        damage=damage,
    )


def _patients(record: Record) -> int:
    """Return of how many patients the difference of a record is."""
    match = _PATIENTS.search(record.part(RESULT))
    return int(match[1]) if match else FEWEST_PATIENTS
