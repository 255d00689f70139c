"""What was found, in as many lines as a terminal shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from handseg_bundle_common.analysis.case import SMALL_CHANNELS
from handseg_bundle_common.analysis.collect import Analysis
from handseg_bundle_common.analysis.compare import Comparison
from handseg_bundle_common.analysis.faults import Fault, FaultKind
from handseg_bundle_common.anatomy import BONES
from handseg_bundle_common.files import printable
from handseg_bundle_common.metrics import bootstrap_interval

_LISTED = 5


def summary_text(analysis: Analysis, comparison: Comparison | None = None) -> str:
    """Return Dice with intervals, the worst bones and images, the most frequent faults, and what could not be scored.

    Args:
        analysis: what was found.
        comparison: the same images beside those of another model.
    """
    lines = [*_dice_lines(analysis), *_worst_lines(analysis), *_fault_lines(analysis)]
    if comparison is not None:
        lines += _difference_lines(comparison)
    lines += _left_out("without a prediction, not scored", analysis.sources.unpredicted)
    lines += _left_out("predicted without a label, not scored", analysis.sources.unlabelled)
    return printable("\n".join(lines))


def _dice_lines(analysis: Analysis) -> Iterator[str]:
    patients = analysis.patients
    said = f"{_counted(len(patients), 'image')} of {_counted(len(set(patients)), 'patient')}"
    yield f"{said}; Dice with 95 % intervals over patients:"
    dice = analysis.scores("dice")
    for name, values in (
        ("all bones", dice),
        ("small bones", dice[:, SMALL_CHANNELS]),
        ("overlap zones", analysis.overlap_dice),
    ):
        found = bootstrap_interval(values, patients)
        interval = "" if np.isnan(found.low) else f" ({found.low:.4f} to {found.high:.4f})"
        yield f"  {name:<14}{found.estimate:.4f}{interval}"
    distance = bootstrap_interval(analysis.scores("mean_surface_distance_px"), patients).estimate
    if not np.isnan(distance):
        yield f"mean distance of outlines: {distance:.1f} px"


def _worst_lines(analysis: Analysis) -> Iterator[str]:
    """Yield the worst bones and images, none that is perfect."""
    means = analysis.scores("dice").mean(axis=0)
    bones = [f"{BONES[k].anatomical_name} {means[k]:.3f}" for k in np.argsort(means)[:_LISTED] if means[k] < 1]
    if bones:
        yield f"worst bones: {', '.join(bones)}"
        yield "worst images:"
    for case in sorted(analysis.cases, key=lambda case: case.mean_dice)[:_LISTED]:
        if case.mean_dice < 1:
            yield f"  {case.image_name} {case.mean_dice:.3f}  {case.reason}"


def _fault_lines(analysis: Analysis) -> Iterator[str]:
    names = {bone.name: bone.anatomical_name for bone in BONES}
    counts = Counter(
        f"{' and '.join(names[bone] for bone in _bones_of(fault))} {fault.kind}"
        for case in analysis.cases
        for fault in case.faults
    )
    faulty = sum(bool(case.faults) for case in analysis.cases)
    yield f"faults: {counts.total()} in {faulty} of {_counted(len(analysis.cases), 'image')}" + (
        ", most often:" if counts else ""
    )
    for text, count in counts.most_common(_LISTED):
        yield f"  {count} x {text}"


def _bones_of(fault: Fault) -> tuple[str, ...]:
    """Return the bones that a fault is one of: of a swap both, while a bone in another's place is its own."""
    if fault.kind is FaultKind.SWAPPED and fault.other:
        return fault.bone, fault.other
    return (fault.bone,)


def _difference_lines(comparison: Comparison) -> Iterator[str]:
    table = comparison.differences.set_index("bone")
    yield f"against the other predictions, on {_counted(len(comparison.pairs), 'image')} of both:"
    for name in ("all", "small", "overlap"):
        row = table.loc[name]
        interval = "" if np.isnan(row["low"]) else f" ({row['low']:+.4f} to {row['high']:+.4f})"
        yield f"  {row['anatomical_name']:<14}{row['difference']:+.4f}{interval}"
    yield from _left_out("only here, not compared", comparison.only_first)
    yield from _left_out("only in the other predictions, not compared", comparison.only_other)


def _left_out(what: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        more = ", ..." if len(names) > _LISTED else ""
        yield f"{_counted(len(names), 'image')} {what}: {', '.join(names[:_LISTED])}{more}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
