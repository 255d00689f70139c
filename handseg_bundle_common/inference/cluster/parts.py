"""The rows of many images in Parquet files, each complete or absent; what they hold tells which images are done."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from handseg_bundle_common.inference.cluster.places import Place
from handseg_bundle_common.inference.cluster.rows import SCHEMA, Row

RESULTS = "results"

_PART = re.compile(r"part-(\d{5,})\.parquet")
# A part is written when it has so many rows, or after so many seconds: more would be lost when the machine goes down.
_ROWS, _SECONDS = 512, 60.0
# Rows are read in groups of so many, of which so many are kept: a row takes about 100 KB.
_GROUP, _KEPT = 32, 16
_MANIFEST = ("image_name", "key", "problem", "outputs", "files")


@dataclass(frozen=True)
class Entry:
    """Where the row of an image stands, and what tells whether it is still of use.

    Attributes:
        part: name of the part.
        number: number of the row in it.
        name: the image's name.
        key: digest of what the row depends on.
        is_failure: whether the image could not be segmented.
        outputs: kinds of files that were written with it.
        files: those files, by their paths below the folder of the results.
    """

    part: str
    number: int
    name: str
    key: str
    is_failure: bool
    outputs: tuple[str, ...]
    files: tuple[str, ...]


def read_manifest(place: Place) -> list[Entry]:
    """Return an entry a row of all parts; parts that are damaged or of another form are removed.

    Raises:
        HandsegInputError: the place cannot be read.
    """
    entries: list[Entry] = []
    for part in _parts(place):
        with place.open(part) as file:
            try:
                stored = pq.ParquetFile(file)
                table = stored.read(list(_MANIFEST)) if stored.schema_arrow.equals(SCHEMA) else None
            except (pa.ArrowException, OSError):
                table = None
        if table is None:
            place.remove(part)
            continue
        entries += [_entry(part, number, row) for number, row in enumerate(table.to_pylist())]
    return entries


def keep(place: Place, entries: Iterable[Entry], wanted: Callable[[Entry], bool]) -> dict[str, Entry]:
    """Rewrite the parts so that they hold the rows that are wanted and no image twice.

    Args:
        place: folder of the results.
        entries: all rows, as `read_manifest` gives them.
        wanted: whether a row stays.

    Returns:
        What stays, by name; its entries tell where it stood before.

    Raises:
        HandsegInputError: a part cannot be written.
    """
    kept: dict[str, Entry] = {}
    there: dict[str, list[int]] = {}
    lost: set[str] = set()
    for entry in entries:
        rows = there.setdefault(entry.part, [])
        if wanted(entry) and kept.setdefault(entry.name, entry) is entry:
            rows.append(entry.number)
        else:
            lost.add(entry.part)
    for part in lost:
        if there[part]:
            with place.open(part) as file:
                _write(place, part, pq.read_table(file).take(there[part]))
        else:
            place.remove(part)
    return kept


class PartsWriter:
    """Context manager that gathers rows and writes them as parts; what it has is written after an exception too.

    Args:
        place: folder of the results.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._waiting: list[pa.Table] = []
        self._since = time.monotonic()
        found = [_PART.fullmatch(part.rpartition("/")[2]) for part in _parts(place)]
        self._next = max((int(match[1]) for match in found if match), default=-1) + 1

    def __enter__(self) -> PartsWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()

    def add(self, rows: pa.Table) -> None:
        """Add rows of `SCHEMA`.

        Raises:
            HandsegInputError: a part cannot be written.
        """
        self._waiting.append(rows)
        is_late = time.monotonic() - self._since > _SECONDS
        if is_late or sum(table.num_rows for table in self._waiting) >= _ROWS:
            self._flush()

    def _flush(self) -> None:
        rows = pa.concat_tables(self._waiting) if self._waiting else None
        self._waiting, self._since = [], time.monotonic()
        if rows is not None and rows.num_rows:
            _write(self._place, f"{RESULTS}/part-{self._next:05}.parquet", rows)
            self._next += 1


class PartsReader:
    """Gives the rows of images in any order; fast if it is about that in which they were written.

    Args:
        place: folder of the results.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._entries = {entry.name: entry for entry in read_manifest(place)}
        self._group = lru_cache(_KEPT)(self._read)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __getitem__(self, name: str) -> Row:
        entry = self._entries[name]
        return self._group(entry.part, entry.number // _GROUP)[entry.number % _GROUP]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def _read(self, part: str, group: int) -> list[Row]:
        with self._place.open(part) as file:
            rows: list[Row] = pq.ParquetFile(file).read_row_group(group).to_pylist()
        return rows


def _parts(place: Place) -> list[str]:
    return [f"{RESULTS}/{name}" for name in place.names(RESULTS) if _PART.fullmatch(name)]


def _write(place: Place, part: str, rows: pa.Table) -> None:
    stream = io.BytesIO()
    pq.write_table(rows.cast(SCHEMA), stream, row_group_size=_GROUP, compression="zstd")
    place.put(part, stream.getvalue())


def _entry(part: str, number: int, row: Mapping[str, Any]) -> Entry:
    return Entry(
        part,
        number,
        row["image_name"],
        row["key"],
        row["problem"] is not None,
        tuple(row["outputs"] or ()),
        tuple(row["files"] or ()),
    )
