"""Faults of a data set: their kinds, and how they are shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Any

from handseg_bundle_common.anatomy import CHANNEL


class Severity(StrEnum):
    """What a fault means: training cannot start, it learns from what is probably wrong, or a check was left out."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class FaultKind(StrEnum):
    """What is wrong; errors first, what could not be checked last."""

    FEW_PATIENTS = "too few patients"
    LONE_IMAGE = "image without polygons"
    LONE_POLYGONS = "polygons without image"
    SAME_PLACE = "images of one name in one folder"
    UNREADABLE_IMAGE = "unreadable image"
    UNREADABLE_POLYGONS = "unreadable polygons"
    UNKNOWN_BONE = "unknown bone"
    FEW_POINTS = "ring of fewer than three points"
    BAD_POINTS = "points that are no positions"
    SAME_NAME = "images of one name in several folders"
    MISSING_BONE = "missing bone"
    DOUBLED_BONE = "bone annotated twice"
    REPEATED_RING = "ring given twice"
    NESTED_RING = "ring within a ring"
    OUTSIDE = "points outside the picture"
    OTHER_SCALE = "polygons of a smaller picture"
    COPIED_POLYGONS = "polygons of another image"
    WRONG_SIDE = "side and name differ"
    WRONG_ORDER = "bone in the place of another"
    COPIED_BONE = "outline of another bone"
    ODD_AREA = "implausible area"
    UNCHECKED_AREAS = "areas not checked"

    @property
    def severity(self) -> Severity:
        """An error is what data lists, folds and loaders refuse; a note says what no check has looked at."""
        if self is FaultKind.UNCHECKED_AREAS:
            return Severity.NOTE
        kinds = list(FaultKind)
        return Severity.ERROR if kinds.index(self) <= kinds.index(FaultKind.BAD_POINTS) else Severity.WARNING


@dataclass(frozen=True)
class Fault:
    """One fault of a data set.

    Attributes:
        kind: what is wrong, in general.
        message: what is wrong in this case, without a full stop.
        patient: folder below DCM; None for the data set as a whole.
        image: file name of the image, or of polygons without one.
        bone: class name of the bone, or of the unknown label.
    """

    kind: FaultKind
    message: str
    patient: str | None = None
    image: str | None = None
    bone: str | None = None

    @property
    def severity(self) -> Severity:
        """That of its kind."""
        return self.kind.severity


def sorted_faults(faults: Iterable[Fault]) -> list[Fault]:
    """Return faults by kind, errors first, then by image, then by bone in channel order."""
    order = list(FaultKind)
    return sorted(
        faults,
        key=lambda fault: (
            order.index(fault.kind),
            fault.patient or "",
            fault.image or "",
            CHANNEL.get(fault.bone or "", -1),
        ),
    )


def fault_table(faults: Sequence[Fault]) -> str:
    """Return faults as aligned text: a heading for each kind, a row for each image, and a last line that counts.

    Bones of an image that have the same fault share its row.
    """
    lines = []
    width = max((len(_place(fault)) for fault in faults), default=0)
    for kind, of_kind in groupby(sorted_faults(faults), key=lambda fault: fault.kind):
        members = list(of_kind)
        lines.append(f"{kind.severity}: {kind} ({len(members)})")
        for (place, message), row in groupby(members, key=lambda fault: (_place(fault), fault.message)):
            bones = ", ".join(fault.bone for fault in row if fault.bone)
            lines.append(f"  {place:<{width}}  {bones}{': ' if bones else ''}{message}")
        lines.append("")
    return "\n".join([*lines, _count_line(faults)])


def faults_to_json(faults: Sequence[Fault]) -> dict[str, Any]:
    """Return faults as a JSON document: whether training may start, the counts, and every fault by its fields."""
    counts = _counts(faults)
    return {
        "training_may_start": counts[Severity.ERROR] == 0,
        "errors": counts[Severity.ERROR],
        "warnings": counts[Severity.WARNING],
        "notes": counts[Severity.NOTE],
        "faults": [
            {
                "severity": str(fault.severity),
                "kind": str(fault.kind),
                "patient": fault.patient,
                "image": fault.image,
                "bone": fault.bone,
                "message": fault.message,
            }
            for fault in sorted_faults(faults)
        ],
    }


def _counts(faults: Iterable[Fault]) -> Counter[Severity]:
    return Counter(fault.severity for fault in faults)


def _place(fault: Fault) -> str:
    """Return where a fault is, as patient/image."""
    return "/".join(part for part in (fault.patient, fault.image) if part) or "data set"


def _count_line(faults: Sequence[Fault]) -> str:
    counts = _counts(faults)
    errors, warnings = counts[Severity.ERROR], counts[Severity.WARNING]
    if not errors + warnings:
        return f"No faults found{' by the other checks' if faults else ''}; training may start."
    images = len({(fault.patient, fault.image) for fault in faults if fault.image})
    verdict = "training cannot start before the errors are mended" if errors else "training may start"
    return f"{_counted(errors, 'error')} and {_counted(warnings, 'warning')} in {_counted(images, 'image')}; {verdict}."


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
