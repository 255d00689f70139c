"""What the page says: summary, faults, rows of the table, and all scores for its script."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from handseg_bundle_common.analysis.case import SMALL_CHANNELS, Case, mean_of
from handseg_bundle_common.analysis.collect import Analysis
from handseg_bundle_common.analysis.faults import Fault, FaultKind
from handseg_bundle_common.anatomy import BONES, CHANNEL, Group, bones_of
from handseg_bundle_common.files import printable
from handseg_bundle_common.metrics import Interval, bootstrap_interval

_DECIMALS = 5
_FREQUENT = 8
_COLUMNS = {"dice": "dice", "boundary": "boundary_error_rate", "hd95": "hd95_px"}


@dataclass(frozen=True)
class Number:
    """A number of the summary with its interval, both as text."""

    label: str
    value: str
    interval: str


@dataclass(frozen=True)
class NamedFault:
    """A fault, and the number and name of the image that has it."""

    case: int
    image: str
    text: str
    kind: str
    lost: str


@dataclass(frozen=True)
class FrequentFault:
    """A kind of fault of one bone, and in how many images it was found."""

    channel: int
    text: str
    images: int


@dataclass(frozen=True)
class Row:
    """One image in the table, as text."""

    case: int
    image: str
    patient: str
    dice: str
    worst: str
    overlap: str
    boundary: str
    hd95: str
    wrist: str
    faults: str


def summary(analysis: Analysis) -> list[Number]:
    """Return the scores of all images with their intervals."""
    dice, patients = analysis.scores("dice"), analysis.patients
    return [
        _dice("Dice of all bones", bootstrap_interval(dice, patients)),
        _dice("Dice of small bones", bootstrap_interval(dice[:, SMALL_CHANNELS], patients)),
        _dice("Dice where bones overlap", bootstrap_interval(analysis.overlap_dice, patients)),
        _share("Wrong pixels along outlines", bootstrap_interval(analysis.scores("boundary_error_rate"), patients)),
        _pixels("Distance of outlines", bootstrap_interval(analysis.scores("mean_surface_distance_px"), patients)),
    ]


def difference_numbers(table: pd.DataFrame) -> list[Number]:
    """Return the differences between two runs over all bones, small bones and overlap zones."""
    rows = table.set_index("bone").loc[["all", "small", "overlap"]]
    return [
        Number(
            f"Difference, {row['anatomical_name']}",
            f"{row['difference']:+.4f}",
            _between(row["low"], row["high"], "{:+.4f}"),
        )
        for _, row in rows.iterrows()
    ]


def faults_worst_first(cases: Sequence[Case]) -> list[NamedFault]:
    """Return all faults of all images."""
    found = [(number, case, fault) for number, case in enumerate(cases) for fault in case.faults]
    found.sort(key=lambda entry: -entry[2].severity)
    return [
        NamedFault(number, printable(case.image_name), fault.text, str(fault.kind), f"{fault.severity:.2f}")
        for number, case, fault in found
    ]


def frequent_faults(cases: Sequence[Case]) -> list[FrequentFault]:
    """Return what went wrong with the same bone in several images, most often first; a swap is one of both bones."""
    of_cases = ({(bone, fault.kind) for fault in case.faults for bone in channels_of(fault)} for case in cases)
    counts = Counter(key for of_case in of_cases for key in sorted(of_case))
    return [
        FrequentFault(channel, f"{BONES[channel].anatomical_name}: {kind}", images)
        for (channel, kind), images in counts.most_common(_FREQUENT)
        if images > 1
    ]


def rows(cases: Sequence[Case], order: Sequence[int]) -> list[Row]:
    """Return the table as it stands before the reader sorts it."""
    return [_row(number, cases[number]) for number in order]


def choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """Return what the table can show, in groups: channels separated by spaces, and their name."""
    everything = [("All bones", range(len(BONES))), ("Small bones", SMALL_CHANNELS)]
    groups = [(f"All {group}", [CHANNEL[bone.name] for bone in bones_of(group)]) for group in Group]
    several = [(" ".join(map(str, channels)), label) for label, channels in (*everything, *groups)]
    single = [
        (str(group), [(str(CHANNEL[bone.name]), bone.anatomical_name) for bone in bones_of(group)]) for group in Group
    ]
    return [("several", several), *single]


def page_data(cases: Sequence[Case]) -> str:
    """Return all scores as JSON that may stand in an element `script`."""
    document = {
        "bones": [{"name": bone.anatomical_name, "short": bone.abbreviation} for bone in BONES],
        "cases": [_case_data(case) for case in cases],
    }
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    # Nothing in it may end the element or begin another.
    return text.replace("<", "\\u003c")


def _case_data(case: Case) -> dict[str, object]:
    return {
        "image": printable(case.image_name),
        "patient": printable(case.patient),
        "size": [case.height, case.width],
        "wrist": _rounded([case.wrist_angle])[0],
        "overlap": _rounded(case.overlap_dice),
        **{key: _rounded(getattr(case.scores, column)) for key, column in _COLUMNS.items()},
        "faults": [
            {"bones": channels_of(fault), "text": fault.text, "severity": round(fault.severity, _DECIMALS)}
            for fault in case.faults
        ],
    }


def channels_of(fault: Fault) -> list[int]:
    """Return the bones that a fault is about: both of a swap."""
    names = [fault.bone, fault.other] if fault.kind is FaultKind.SWAPPED else [fault.bone]
    return [CHANNEL[name] for name in names if name is not None]


def _row(number: int, case: Case) -> Row:
    worst = CHANNEL[case.worst_bone]
    return Row(
        case=number,
        image=printable(case.image_name),
        patient=printable(case.patient),
        dice=_text(case.mean_dice, ".3f"),
        worst=f"{BONES[worst].anatomical_name} {case.scores.dice[worst]:.3f}" if case.scores.dice[worst] < 1 else "-",
        overlap=_text(case.mean_overlap_dice, ".3f"),
        boundary=_text(100 * mean_of(case.scores.boundary_error_rate), ".1f"),
        hd95=_text(mean_of(case.scores.hd95_px), ".1f"),
        wrist=_text(case.wrist_angle, ".0f"),
        faults=_briefly(case.faults),
    )


def _briefly(faults: Sequence[Fault]) -> str:
    """Return the costliest fault, which is the first, and how many there are."""
    count = f"{len(faults)} faults. " if len(faults) > 1 else ""
    return f"{count}{faults[0].text}" if faults else ""


def _dice(label: str, interval: Interval) -> Number:
    return Number(label, f"{interval.estimate:.3f}", _between(interval.low, interval.high, "{:.3f}"))


def _share(label: str, interval: Interval) -> Number:
    value = f"{100 * interval.estimate:.1f} %"
    return Number(label, value, _between(100 * interval.low, 100 * interval.high, "{:.1f} %"))


def _pixels(label: str, interval: Interval) -> Number:
    value = "-" if np.isnan(interval.estimate) else f"{interval.estimate:.1f} px"
    return Number(label, value, _between(interval.low, interval.high, "{:.1f} px"))


def _between(low: float, high: float, pattern: str) -> str:
    return "" if np.isnan(low) else f"{pattern.format(low)} to {pattern.format(high)}"


def _text(value: float, form: str) -> str:
    return "-" if np.isnan(value) else format(value, form)


def _rounded(values: NDArray[np.float64] | Sequence[float]) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), _DECIMALS) for value in values]
