"""What is told of one radiograph beside its masks: which hand it is, and how far picture and bones can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.ensemble.case import CaseFault, faults_of
from handseg_bundle_common.ensemble.confidence import CaseConfidence, case_confidence
from handseg_bundle_common.ensemble.found_bones import FoundBones
from handseg_bundle_common.formats.dicom import read_dicom_side_tag
from handseg_bundle_common.laterality import Laterality, find_laterality
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.transforms.load import contrast_limits, stretch


@dataclass(frozen=True)
class Findings:
    """What is told of one radiograph.

    Attributes:
        confidence: how far each bone can be trusted.
        faults: what is wrong with the picture as a whole.
        laterality: the side of the hand.
    """

    confidence: CaseConfidence
    faults: tuple[CaseFault, ...]
    laterality: Laterality

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for readers; what is wrong with single bones must not hide that there is no hand."""
        of_bones = self.confidence.flags if all(fault.is_usable for fault in self.faults) else ()
        return *(fault.message for fault in self.faults), *of_bones


def find(
    name: str,
    radiograph: str | PathLike[str],
    image: NDArray[np.float32],
    packed: Packed,
    votes: Sequence[Packed] = (),
) -> Findings:
    """Judge the masks of one radiograph.

    Args:
        name: its name, which may tell the side.
        radiograph: its file.
        image: what was read from the file, (1, H, W).
        packed: final masks (H, W).
        votes: packed masks of an ensemble's members, at any one size.
    """
    return find_in_picture(name, radiograph, stretch(image, contrast_limits(image)), packed, votes)


def find_in_picture(
    name: str,
    radiograph: str | PathLike[str],
    picture: NDArray[np.float32],
    packed: Packed,
    votes: Sequence[Packed] = (),
) -> Findings:
    """Return what `find` does, of a picture (1, H, W) whose contrast is stretched already."""
    hand = FoundBones(packed)
    confidence = case_confidence(packed, votes, shapes=hand.shapes)
    laterality = find_laterality(name, packed, read_dicom_side_tag(radiograph))
    return Findings(confidence, faults_of(hand, picture), laterality)
