"""One image as a row of Parquet, typed, and back as the record that the tables are written from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import pyarrow as pa

from handseg_bundle_common.inference.records import ImageRecord
from handseg_bundle_common.inference.segmenter import Failure
from handseg_bundle_common.measurements.indices import Indices
from handseg_bundle_common.measurements.results import HandRows

_TEXT, _NUMBER, _WHOLE = pa.string(), pa.float64(), pa.int64()
_SIZES = ("length", "width", "area", "orientation_deg", "perimeter", "mean_intensity")
_INDICES = tuple(field.name for field in fields(Indices))

_BONE = pa.struct(
    [
        ("bone", _TEXT),
        ("rle", _TEXT),
        ("confidence", _NUMBER),
        ("agreement", _NUMBER),
        ("area_px", _WHOLE),
        ("components", _WHOLE),
        ("reasons", _TEXT),
        *((name, _NUMBER) for name in _SIZES),
        ("is_cut", pa.bool_()),
    ]
)
_GAP = pa.struct([("bone", _TEXT), ("neighbour", _TEXT), ("distance", _NUMBER), ("overlap", _NUMBER)])
_FAULT = pa.struct([("reason", _TEXT), ("message", _TEXT)])

# An image that failed has its name, its file, its key and the problem; everything else is null.
SCHEMA = pa.schema(
    [
        ("image_name", _TEXT),
        ("file", _TEXT),
        ("key", _TEXT),
        ("problem", _TEXT),
        ("height", _WHOLE),
        ("width", _WHOLE),
        ("side", _TEXT),
        ("side_from", _TEXT),
        ("picture", pa.list_(_FAULT)),
        ("flags", pa.list_(_TEXT)),
        ("spacing_mm", _NUMBER),
        ("unit", _TEXT),
        ("bones", pa.list_(_BONE)),
        ("indices", pa.struct([*((name, _NUMBER) for name in _INDICES), ("missing", _TEXT)])),
        ("gaps", pa.list_(_GAP)),
        ("outputs", pa.list_(_TEXT)),
        ("files", pa.list_(_TEXT)),
    ]
)

Row = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """What a row tells of an image that was segmented.

    Attributes:
        record: its rows in the tables.
        spacing_mm: distance of pixel centres in mm, None where it is not known.
    """

    record: ImageRecord
    spacing_mm: float | None


def row_of(
    record: ImageRecord,
    measured: HandRows,
    spacing_mm: float | None,
    *,
    file: str,
    key: str,
    outputs: Sequence[str],
    files: Sequence[str],
) -> Row:
    """Return the row of an image that was segmented.

    Args:
        record: its rows in the tables.
        measured: its measures.
        spacing_mm: distance of pixel centres in mm.
        file: where it lies.
        key: digest of what the row depends on.
        outputs: kinds of files that were written with it, such as `overlay`.
        files: those files, by their paths below the folder of the results.
    """
    bones = [
        _bone(code, confidence, sizes)
        for code, confidence, sizes in zip(record.codes, record.confidence, measured.bones, strict=True)
    ]
    _, _, _, *indices, _, missing = measured.indices
    return {
        "image_name": record.name,
        "file": file,
        "key": key,
        "problem": None,
        "height": record.height,
        "width": record.width,
        "side": record.side,
        "side_from": record.side_from,
        "picture": [{"reason": reason, "message": message} for reason, message in record.faults],
        "flags": list(record.flags),
        "spacing_mm": spacing_mm,
        "unit": measured.unit,
        "bones": bones,
        "indices": {**dict(zip(_INDICES, map(_number, indices), strict=True)), "missing": missing},
        "gaps": [
            {"bone": bone, "neighbour": other, "distance": _number(distance), "overlap": _number(overlap)}
            for _, bone, other, distance, overlap, _ in measured.gaps
        ],
        "outputs": list(outputs),
        "files": list(files),
    }


def failed_row(failure: Failure, key: str) -> Row:
    """Return the row of an image that could not be segmented."""
    names = dict.fromkeys(SCHEMA.names)
    return {**names, "image_name": failure.name, "file": failure.file, "key": key, "problem": failure.sentence}


def told_by(row: Mapping[str, Any]) -> Told | Failure:
    """Return what a row tells of an image: what `row_of` and `failed_row` were given."""
    name = row["image_name"]
    if row["problem"] is not None:
        return Failure(name, row["file"], row["problem"])
    record = ImageRecord(
        name=name,
        height=row["height"],
        width=row["width"],
        side=row["side"],
        side_from=row["side_from"],
        faults=tuple((fault["reason"], fault["message"]) for fault in row["picture"]),
        flags=tuple(row["flags"]),
        codes=tuple(bone["rle"] for bone in row["bones"]),
        confidence=tuple(_confidence(bone) for bone in row["bones"]),
    )
    return Told(record, row["spacing_mm"])


def _bone(code: str, confidence: Sequence[str], sizes: Sequence[str]) -> Row:
    name, trust, agreement, area, components, reasons = confidence
    _, _, *lengths, _, cut = sizes
    return {
        "bone": name,
        "rle": code,
        "confidence": float(trust),
        "agreement": _number(agreement),
        "area_px": int(area),
        "components": int(components),
        "reasons": reasons,
        **dict(zip(_SIZES, map(_number, lengths), strict=True)),
        "is_cut": cut == "yes" if cut else None,
    }


def _confidence(bone: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the cells of `confidence_rows`, whose four decimals a number of 64 bits keeps."""
    agreement = "" if bone["agreement"] is None else f"{bone['agreement']:.4f}"
    counts = str(bone["area_px"]), str(bone["components"])
    return bone["bone"], f"{bone['confidence']:.4f}", agreement, *counts, bone["reasons"]


def _number(cell: str) -> float | None:
    return float(cell) if cell else None
