"""Two models on the same images: what one gains over the other, bone by bone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from handseg_bundle_common.analysis.case import Case
from handseg_bundle_common.analysis.collect import Analysis
from handseg_bundle_common.analysis.sources import CaseSources
from handseg_bundle_common.analysis.tables import write_table
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.metrics import Difference, dice_difference, dice_differences

DIFFERENCES = "differences"


@dataclass(frozen=True, eq=False)
class Comparison:
    """Images that two models segmented.

    Attributes:
        other: what the predictions of the other were read from.
        pairs: what the first and the other made of each image, in the order of the first.
        only_first: images that only the first segmented, as it names them.
        only_other: images that only the other segmented, as that names them.
    """

    other: Path
    pairs: tuple[tuple[Case, Case], ...]
    only_first: tuple[str, ...]
    only_other: tuple[str, ...]

    @cached_property
    def differences(self) -> pd.DataFrame:
        """What `differences_table` returns, which takes its time."""
        return differences_table(self)


def pair_up(analysis: Analysis, other: Analysis) -> Comparison:
    """Find the images that two analyses have in common, by their labels.

    Raises:
        HandsegInputError: there is none.
    """
    firsts, others = (
        {result.sources.images[case.image_name].key: case for case in result.cases} for result in (analysis, other)
    )
    check_common(analysis.sources, other.sources)
    pairs = tuple((case, others[key]) for key, case in firsts.items() if key in others)
    return Comparison(
        other.sources.predictions,
        pairs,
        tuple(case.image_name for key, case in firsts.items() if key not in others),
        tuple(case.image_name for key, case in others.items() if key not in firsts),
    )


def check_common(sources: CaseSources, other: CaseSources) -> None:
    """Check that two models have segmented some of the same images.

    Raises:
        HandsegInputError: they have not.
    """
    firsts, others = ({image.key for image in found.images.values()} for found in (sources, other))
    if not firsts & others:
        problem = f"has no image in common with {sources.predictions}"
        raise HandsegInputError(other.predictions, problem, "compare models on the same images")


def differences_table(comparison: Comparison) -> pd.DataFrame:
    """Return one row a bone, group, small bones, overlap zones and all: Dice of both models and their difference.

    A difference is that of the first model minus the other; its interval is bootstrapped over patients with both
    models resampled together, see `metrics.bootstrap_difference`. It is certain where the interval leaves out 0 and
    there are `metrics.differences.FEWEST_PATIENTS` patients.
    """
    firsts, others = (np.stack([case.scores.dice for case in cases]) for cases in zip(*comparison.pairs, strict=True))
    zones = [np.stack([case.overlap_dice for case in cases]) for cases in zip(*comparison.pairs, strict=True)]
    patients = [case.patient for case, _ in comparison.pairs]
    found = dice_differences(firsts, others, patients)
    found.append(dice_difference("overlap", "overlap zones", zones[0], zones[1], patients))
    return pd.DataFrame([_row(difference) for difference in found])


def write_comparison(comparison: Comparison, output: str | PathLike[str]) -> None:
    """Write `differences.csv` and `differences.parquet`.

    Raises:
        HandsegInputError: a file cannot be written.
    """
    write_table(Path(output, DIFFERENCES), comparison.differences)


def _row(difference: Difference) -> dict[str, object]:
    return {
        "bone": difference.part,
        "anatomical_name": difference.label,
        "images": difference.images,
        "dice": difference.dice,
        "other_dice": difference.other_dice,
        "difference": difference.gain.estimate,
        "low": difference.gain.low,
        "high": difference.gain.high,
        "is_certain": difference.is_certain,
    }
