"""What measuring leaves behind: three tables and an overlay of every image."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import fields
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.drawing import overlay_name, save_png
from handseg_bundle_common.files import make_folder, write_csv
from handseg_bundle_common.laterality import Laterality
from handseg_bundle_common.measurements.figure import measures_overlay
from handseg_bundle_common.measurements.hand import HandMeasures
from handseg_bundle_common.measurements.indices import Indices
from handseg_bundle_common.measurements.scale import Scale

BONES_TABLE, INDICES_TABLE, GAPS_TABLE, OVERLAYS = "bones.csv", "indices.csv", "gaps.csv", "overlays"

_COLUMNS = {
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


class MeasuresFolder:
    """A folder with `overlays/<image>.png`, each complete as soon as it is there, and the tables of all images.

    A context manager: the tables appear when the block ends, and not at all after an exception.

    Args:
        output: the folder.

    Raises:
        HandsegInputError: on entry, the folder cannot be written to.
    """

    def __init__(self, output: str | PathLike[str]) -> None:
        self.output = Path(output)
        self._stack = ExitStack()
        self._tables: dict[str, Any] = {}

    def __enter__(self) -> MeasuresFolder:
        make_folder(self.output / OVERLAYS)
        with ExitStack() as stack:
            for table, columns in _COLUMNS.items():
                self._tables[table] = csv.writer(stack.enter_context(write_csv(self.output / table)))
                self._tables[table].writerow(columns)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def write(
        self,
        name: str,
        radiograph: NDArray[np.floating[Any]],
        measures: HandMeasures,
        scale: Scale,
        laterality: Laterality,
    ) -> None:
        """Add one image.

        Args:
            name: its name in the tables.
            radiograph: (1, H, W), 0..1, bone bright.
            measures: what was measured, in px.
            scale: turns px into the unit of the tables.
            laterality: which hand it is.
        """
        self._tables[BONES_TABLE].writerows((name, *row) for row in _bone_rows(measures, scale))
        side = laterality.side or "", laterality.source or ""
        self._tables[INDICES_TABLE].writerow((name, *side, *_index_cells(measures.indices, scale)))
        self._tables[GAPS_TABLE].writerows(
            (name, *gap.bones, *_cells((scale.length(gap.distance), scale.area(gap.overlap))), scale.unit)
            for gap in measures.gaps
        )
        picture = measures_overlay(radiograph, measures, scale)
        save_png(self.output / OVERLAYS / overlay_name(name), picture)


def _bone_rows(measures: HandMeasures, scale: Scale) -> Iterator[tuple[str, ...]]:
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


def _index_cells(indices: Indices, scale: Scale) -> tuple[str, ...]:
    """Return the cells of a hand's indices, of their unit and of why some are missing."""
    measures = {field.name: getattr(indices, field.name) for field in fields(indices)}
    values = [scale.length(m.value) if name in _DISTANCES else m.value for name, m in measures.items()]
    missing = [f"{name.replace('_', ' ')}: {m.missing}" for name, m in measures.items() if m.missing]
    return *_cells(values), scale.unit, "; ".join(missing)


def _cells(values: Iterable[float]) -> Iterator[str]:
    """Yield numbers with four decimals, and empty cells for NaN."""
    # Adding 0 takes the sign from a zero.
    return ("" if math.isnan(value) else f"{round(value, 4) + 0:.4f}" for value in values)
