"""What the tables tell of one segmented image, as plain values: kept on disk, so that an interrupted run goes on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import NUM_BONES, Side
from handseg_bundle_common.ensemble.case import CaseFault, CaseReason
from handseg_bundle_common.ensemble.confidence import confidence_rows
from handseg_bundle_common.files import write_atomically
from handseg_bundle_common.formats.rle import encode_masks
from handseg_bundle_common.inference.findings import Findings, find_in_picture
from handseg_bundle_common.laterality import Laterality, LateralitySource
from handseg_bundle_common.masks import Packed


@dataclass(frozen=True)
class ImageRecord:
    """One segmented image.

    Attributes:
        name: its name in the tables.
        height: rows in px.
        width: columns in px.
        side: L, R or empty.
        side_from: what told the side, or empty.
        faults: reason and sentence of what is wrong with the picture as a whole.
        flags: sentences about single bones.
        codes: run-length codes of the 29 bones.
        confidence: rows of `confidence.csv` behind the name.
    """

    name: str
    height: int
    width: int
    side: str
    side_from: str
    faults: tuple[tuple[str, str], ...]
    flags: tuple[str, ...]
    codes: tuple[str, ...]
    confidence: tuple[tuple[str, ...], ...]

    @property
    def laterality(self) -> Laterality:
        """The side of the hand."""
        if not self.side:
            return Laterality(None, None)
        return Laterality(Side(self.side), LateralitySource(self.side_from))

    @property
    def case_faults(self) -> tuple[CaseFault, ...]:
        """What is wrong with the picture as a whole."""
        return tuple(CaseFault(CaseReason(reason), message) for reason, message in self.faults)


def record_of(name: str, masks: Packed, found: Findings) -> ImageRecord:
    """Return the record of an image.

    Args:
        name: its name in the tables.
        masks: packed masks (H, W).
        found: what is told of it.
    """
    height, width = masks.shape
    return ImageRecord(
        name=name,
        height=height,
        width=width,
        side=found.laterality.side or "",
        side_from=found.laterality.source or "",
        faults=tuple((fault.reason.value, fault.message) for fault in found.faults),
        flags=found.confidence.flags,
        codes=tuple(encode_masks(masks)),
        confidence=confidence_rows(found.confidence),
    )


def judged(
    name: str,
    radiograph: str | PathLike[str],
    picture: NDArray[np.float32],
    masks: Packed,
    votes: Sequence[Packed] = (),
) -> tuple[ImageRecord, Findings]:
    """Return the record of an image and the findings in it; arguments as those of `find_in_picture`."""
    found = find_in_picture(name, radiograph, picture, masks, votes)
    return record_of(name, masks, found), found


def write_record(path: Path, key: str, record: ImageRecord, outputs: Sequence[str] = ()) -> None:
    """Write a record as JSON.

    Args:
        path: the file.
        key: digest of what the record depends on.
        record: the record.
        outputs: names of the files that were written with it, such as `overlay`.

    Raises:
        HandsegInputError: the file cannot be written.
    """
    with write_atomically(path) as temporary:
        document = {"key": key, "outputs": sorted(outputs), **asdict(record)}
        temporary.write_text(json.dumps(document), encoding="utf-8")


def read_record(path: Path, key: str | None = None, outputs: Sequence[str] = ()) -> ImageRecord | None:
    """Return a record, or None if the file is missing, damaged or foreign.

    Args:
        path: the file.
        key: digest that the record must have been made of; None takes any.
        outputs: names of files that must have been written with it.
    """
    try:
        stored = json.loads(path.read_bytes())
        if (key is not None and stored["key"] != key) or not set(outputs) <= set(stored["outputs"]):
            return None
        codes = tuple(map(str, stored["codes"]))
        rows = tuple(tuple(map(str, row)) for row in stored["confidence"])
        if not len(codes) == len(rows) == NUM_BONES:
            return None
        return ImageRecord(
            name=str(stored["name"]),
            height=int(stored["height"]),
            width=int(stored["width"]),
            side=str(stored["side"]),
            side_from=str(stored["side_from"]),
            faults=tuple((str(reason), str(message)) for reason, message in stored["faults"]),
            flags=tuple(map(str, stored["flags"])),
            codes=codes,
            confidence=rows,
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
