"""Two models on the same images: what one gains over the other, bone by bone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from handseg_bundle_common.analysis.case import SMALL_CHANNELS, Case
from handseg_bundle_common.analysis.collect import Analysis
from handseg_bundle_common.analysis.tables import write_table
from handseg_bundle_common.anatomy import BONES, Group
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.metrics import bootstrap_difference, bootstrap_interval

DIFFERENCES = "differences"


@dataclass(frozen=True, eq=False)
class Comparison:
    """Images that two models segmented.

    Attributes:
        pairs: what the first and the other made of each image, in the order of the first.
        only_first: images that only the first segmented, as it names them.
        only_other: images that only the other segmented, as that names them.
    """

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
    pairs = tuple((case, others[key]) for key, case in firsts.items() if key in others)
    if not pairs:
        problem = f"has no image in common with {analysis.sources.predictions}"
        raise HandsegInputError(other.sources.predictions, problem, "compare models on the same images")
    return Comparison(
        pairs,
        tuple(case.image_name for key, case in firsts.items() if key not in others),
        tuple(case.image_name for key, case in others.items() if key not in firsts),
    )


def differences_table(comparison: Comparison) -> pd.DataFrame:
    """Return one row a bone, group, small bones, overlap zones and all: Dice of both models and their difference.

    A difference is that of the first model minus the other; its interval is bootstrapped over patients with both
    models resampled together, see `metrics.bootstrap_difference`. It is certain where the interval leaves out 0.
    """
    firsts, others = (np.stack([case.scores.dice for case in cases]) for cases in zip(*comparison.pairs, strict=True))
    zones = [np.stack([case.overlap_dice for case in cases]) for cases in zip(*comparison.pairs, strict=True)]
    parts = [(bone.name, bone.anatomical_name, [channel]) for channel, bone in enumerate(BONES)]
    parts += [(group, group, [k for k, bone in enumerate(BONES) if bone.group is group]) for group in Group]
    parts += [("small", "small bones", SMALL_CHANNELS), ("all", "all bones", list(range(len(BONES))))]
    patients = [case.patient for case, _ in comparison.pairs]
    rows = [_row(name, label, firsts[:, k], others[:, k], patients) for name, label, k in parts]
    return pd.DataFrame([*rows, _row("overlap", "overlap zones", zones[0], zones[1], patients)])


def write_comparison(comparison: Comparison, output: str | PathLike[str]) -> None:
    """Write `differences.csv` and `differences.parquet`.

    Raises:
        HandsegInputError: a file cannot be written.
    """
    write_table(Path(output, DIFFERENCES), comparison.differences)


def _row(
    name: str, label: str, first: NDArray[np.float64], other: NDArray[np.float64], patients: list[str]
) -> dict[str, object]:
    difference = bootstrap_difference(first, other, patients)
    return {
        "bone": name,
        "anatomical_name": label,
        "images": int((~np.isnan(first + other)).any(axis=1).sum()),
        "dice": bootstrap_interval(first, patients, resamples=1).estimate,
        "other_dice": bootstrap_interval(other, patients, resamples=1).estimate,
        "difference": difference.estimate,
        "low": difference.low,
        "high": difference.high,
        "is_certain": bool(difference.low > 0 or difference.high < 0),
    }
