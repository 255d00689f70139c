"""How far the masks of a radiograph can be trusted, bone by bone, and the reasons for a doubt; needs no reference."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import TracebackType

import numpy as np

from handseg_bundle_common.anatomy import BONE_NAMES, BONES, CHANNEL
from handseg_bundle_common.datasets.check_areas import size_faults
from handseg_bundle_common.ensemble.agreement import member_agreement
from handseg_bundle_common.ensemble.found_bones import FEWEST_BONES
from handseg_bundle_common.ensemble.shapes import BoneShape, bone_shapes, usual_ratios
from handseg_bundle_common.files import write_csv
from handseg_bundle_common.masks import Packed

COLUMNS = ("image_name", "bone", "confidence", "agreement", "area_px", "components", "reasons")
# Two readers of small carpals agree better than this, so members that do not are worth a look.
LEAST_AGREEMENT = 0.8

# Of 12180 bones of 420 simulated hands all have 0.51 to 1.60 times the area that the table and their hand's size tell.
_MAX_RATIO = 2.0
# A component smaller than this share of its bone is a speck, which is not worth a word.
_SPECK = 0.01
_NUMERALS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True)
class BoneConfidence:
    """How far the mask of one bone can be trusted.

    Attributes:
        bone: class name.
        confidence: 0 to 1, see `case_confidence`.
        agreement: mean Dice coefficient between the members, NaN with fewer than two.
        area_px: pixels of the mask.
        components: parts of the mask that do not touch, without specks of less than 1 % of it.
        reasons: what lowers the confidence, without the bone's name; empty if there is nothing to say.
    """

    bone: str
    confidence: float
    agreement: float
    area_px: int
    components: int
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class CaseConfidence:
    """How far the masks of one radiograph can be trusted.

    Attributes:
        bones: every bone in channel order.
        flags: what to look at, one sentence a bone with its anatomical name, for an overlay or a report; none if all
            masks are empty, which is a matter of `case_flags`.
    """

    bones: tuple[BoneConfidence, ...]
    flags: tuple[str, ...]


def case_confidence(
    packed: Packed,
    votes: Sequence[Packed] = (),
    *,
    least_agreement: float = LEAST_AGREEMENT,
    shapes: Sequence[BoneShape] | None = None,
) -> CaseConfidence:
    """Judge the masks of one radiograph by the members that made them and by their shape.

    The confidence of a bone is agreement x share x plausibility: the members' mean pairwise Dice coefficient (1 with
    fewer than two members, which cannot disagree), the share of the largest connected component in the mask, and 1/2
    if its area is implausible, else 1. It is 0 for a bone without a mask. It orders bones and cases by how much they
    deserve a look and is no probability.

    An area is implausible beside the other bones of the hand if it is less than half or more than twice what they
    tell, by the mean areas of real posteroanterior radiographs in `simulation/reference` (a bone that the picture's
    border cuts may be as small as it likes), or if the pisiform is clearly larger than the triquetrum.

    Args:
        packed: final masks (H, W).
        votes: masks of the members, or of each of their passes, all of one size, which may be another than that of the
            final masks; none for a single model.
        least_agreement: agreement below which a bone is flagged.
        shapes: `bone_shapes` of the masks, where they are known already.

    Raises:
        ValueError: the sizes of the votes differ.
    """
    agreements = member_agreement(votes).tolist()
    shapes = bone_shapes(packed) if shapes is None else shapes
    doubts = _area_doubts(shapes)
    bones = []
    for name, shape, agreed, doubt in zip(BONE_NAMES, shapes, agreements, doubts, strict=True):
        reasons = [f"members disagree (Dice {agreed:.2f})"] * (agreed < least_agreement)
        components = _components(shape)
        reasons += [f"{_numeral(components)} components"] * (components > 1)
        reasons += doubt
        if not shape.area:
            reasons.insert(0, "missing")
        trust = (1.0 if np.isnan(agreed) else agreed) * shape.largest_share * (0.5 if doubt else 1.0)
        bones.append(BoneConfidence(name, trust, agreed, shape.area, components, tuple(reasons)))
    flags = [f"{BONES[CHANNEL[b.bone]].anatomical_name}: {', '.join(b.reasons)}" for b in bones if b.reasons]
    return CaseConfidence(tuple(bones), tuple(flags) if packed.any() else ())


def confidence_rows(case: CaseConfidence) -> tuple[tuple[str, ...], ...]:
    """Return one row a bone, as it stands in the table behind the image's name."""
    return tuple(
        (
            bone.bone,
            f"{bone.confidence:.4f}",
            "" if np.isnan(bone.agreement) else f"{bone.agreement:.4f}",
            str(bone.area_px),
            str(bone.components),
            "; ".join(bone.reasons),
        )
        for bone in case.bones
    )


class ConfidenceTable:
    """Context manager that streams one row a bone and image; the file appears, complete, when the block succeeds.

    An agreement that is not defined is an empty cell; reasons are separated by semicolons.

    Args:
        path: CSV to write.

    Raises:
        HandsegInputError: on entry, the file cannot be written.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        self._stack = ExitStack()

    def __enter__(self) -> ConfidenceTable:
        with ExitStack() as stack:
            self._rows = csv.writer(stack.enter_context(write_csv(self.path)))
            self._rows.writerow(COLUMNS)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def write(self, image_name: str, case: CaseConfidence) -> None:
        """Write the 29 rows of one image."""
        self.write_rows(image_name, confidence_rows(case))

    def write_rows(self, image_name: str, rows: Sequence[Sequence[str]]) -> None:
        """Write the 29 rows of one image as `confidence_rows` gives them."""
        self._rows.writerows((image_name, *row) for row in rows)


def _components(shape: BoneShape) -> int:
    """Return the number of parts without specks."""
    return sum(part >= _SPECK * shape.area for part in shape.areas)


def _area_doubts(shapes: Sequence[BoneShape]) -> list[list[str]]:
    """Return for every bone what is wrong with its area, if anything."""
    doubts: list[list[str]] = [[] for _ in BONES]
    areas = np.array([shape.area for shape in shapes], np.float64)
    is_cut = np.array([shape.is_cut for shape in shapes])
    ratios = usual_ratios(shapes)
    is_whole = (areas > 0) & ~is_cut
    if is_whole.sum() >= FEWEST_BONES:
        ratios /= np.median(ratios[is_whole])
        is_small = is_whole & (ratios < 1 / _MAX_RATIO)
        for channel in np.flatnonzero(is_small | (ratios > _MAX_RATIO)):
            doubts[channel].append(f"implausible area ({ratios[channel]:.2g} times the expected)")
    for fault in size_faults({name: area for name, area in zip(BONE_NAMES, areas.tolist(), strict=True) if area}):
        if fault.bone:
            doubts[CHANNEL[fault.bone]].append(fault.message)
    return doubts


def _numeral(number: int) -> str:
    return _NUMERALS[number] if number < len(_NUMERALS) else str(number)
