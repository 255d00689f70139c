"""What was measured as text, and the three tables of all images."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, fields
from os import PathLike
from types import TracebackType
from typing import Any

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.files import make_folder, write_csv
from handseg_bundle_common.laterality import Laterality
from handseg_bundle_common.measurements.hand import HandMeasures
from handseg_bundle_common.measurements.indices import Indices
from handseg_bundle_common.measurements.scale import Scale

BONES_TABLE, INDICES_TABLE, GAPS_TABLE = "bone_sizes.csv", "indices.csv", "gaps.csv"

Row = tuple[str, ...]

COLUMNS: dict[str, Row] = {
    BONES_TABLE: (
        *("image_name", "bone", "length", "width", "area", "orientation_deg", "perimeter", "mean_intensity"),
        *("unit", "cut"),
    ),
    INDICES_TABLE: (
        *("image_name", "side", "side_from", *(field.name for field in fields(Indices)), "unit", "missing"),
    ),
    GAPS_TABLE: ("image_name", "bone", "neighbour", "distance", "overlap", "unit"),
}
_DISTANCES = frozenset({"carpal_height", "ulnar_variance"})


@dataclass(frozen=True)
class HandRows:
    """One image as it stands in the tables.

    Attributes:
        unit: unit of its lengths.
        bones: rows of `bone_sizes.csv`.
        indices: row of `indices.csv`.
        gaps: rows of `gaps.csv`.
    """

    unit: str
    bones: tuple[Row, ...]
    indices: Row
    gaps: tuple[Row, ...]


def hand_rows(name: str, measures: HandMeasures, scale: Scale, laterality: Laterality) -> HandRows:
    """Return the measures of an image as text.

    Args:
        name: its name in the tables.
        measures: what was measured, in px.
        scale: turns px into the unit of the tables.
        laterality: which hand it is.
    """
    side = laterality.side or "", laterality.source or ""
    return HandRows(
        scale.unit,
        tuple((name, *row) for row in _bone_rows(measures, scale)),
        (name, *side, *_index_cells(measures.indices, scale)),
        tuple(
            (name, *gap.bones, *_cells((scale.length(gap.distance), scale.area(gap.overlap))), scale.unit)
            for gap in measures.gaps
        ),
    )


class MeasuresFolder:
    """The tables of all images in a folder.

    A context manager: the tables appear when the block ends, and not at all after an exception.

    Args:
        output: the folder.

    Raises:
        HandsegInputError: on entry, the folder cannot be written to.
    """

    def __init__(self, output: str | PathLike[str]) -> None:
        self.output = make_folder(output)
        self._stack = ExitStack()
        self._tables: dict[str, Any] = {}

    def __enter__(self) -> MeasuresFolder:
        with ExitStack() as stack:
            for table, columns in COLUMNS.items():
                self._tables[table] = csv.writer(stack.enter_context(write_csv(self.output / table)))
                self._tables[table].writerow(columns)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def write(self, rows: HandRows) -> None:
        """Add one image."""
        self._tables[BONES_TABLE].writerows(rows.bones)
        self._tables[INDICES_TABLE].writerow(rows.indices)
        self._tables[GAPS_TABLE].writerows(rows.gaps)


def _bone_rows(measures: HandMeasures, scale: Scale) -> Iterator[Row]:
    """Yield a row a bone; a bone that is not there has empty cells."""
    for bone in BONE_NAMES:
        found = measures.bones.get(bone)
        if found is None:
            yield bone, *[""] * 6, scale.unit, ""
            continue
        numbers = (
            scale.length(found.length),
            scale.length(found.width),
            scale.area(found.area),
            found.orientation,
            scale.length(found.perimeter),
            found.mean_intensity,
        )
        yield bone, *_cells(numbers), scale.unit, "yes" if found.is_cut else "no"


def _index_cells(indices: Indices, scale: Scale) -> Row:
    """Return the cells of a hand's indices, of their unit and of why some are missing."""
    measures = {field.name: getattr(indices, field.name) for field in fields(indices)}
    values = [scale.length(m.value) if name in _DISTANCES else m.value for name, m in measures.items()]
    missing = [f"{name.replace('_', ' ')}: {m.missing}" for name, m in measures.items() if m.missing]
    return *_cells(values), scale.unit, "; ".join(missing)


def _cells(values: Iterable[float]) -> Iterator[str]:
    """Yield numbers with four decimals, and empty cells for NaN."""
    # Adding 0 takes the sign from a zero.
    return ("" if math.isnan(value) else f"{round(value, 4) + 0:.4f}" for value in values)
