"""What the benchmark found, as tables in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from contestants import Contestant
from hands import Half
from memory import Peak
from scores import Case, Scores, column

from handseg_bundle_common.anatomy import BONES, CHANNEL, SMALL_BONES
from handseg_bundle_common.metrics import Interval, bootstrap_interval, mean_over_bones

# Small carpals most of which lie over their neighbours.
HARD_BONES = ("Pisiform", "Trapezoid", "Trapezium", "Triquetrum")

# Takes cases, returns one number a case, or one a case and bone.
Score = Callable[[Sequence[Case]], Scores]

_SMALL = [CHANNEL[name] for name in SMALL_BONES]


@dataclass(frozen=True)
class Result:
    """What one bundle reached.

    Attributes:
        contestant: the bundle.
        halves: its cases of each half.
        robustness: its cases of each variant, the unchanged pictures of the same hands first.
        peak: memory of one prediction.
    """

    contestant: Contestant
    halves: Mapping[Half, list[Case]]
    robustness: Mapping[str, list[Case]]
    peak: Peak

    @property
    def name(self) -> str:
        """What the bundle is called."""
        return self.contestant.name

    def interval(self, half: Half, score: Score) -> Interval:
        """Return a score of one half with its 95 % interval over patients."""
        cases = self.halves[half]
        return bootstrap_interval(score(cases), [case.patient for case in cases])

    def of_bone(self, half: Half, name: str) -> Interval:
        """Return the Dice of one bone on one half with its interval."""
        return self.interval(half, lambda cases: all_bones(cases)[:, CHANNEL[name]])

    @property
    def seconds(self) -> float:
        """Median time of an unchanged picture."""
        return statistics.median(case.seconds for cases in self.halves.values() for case in cases)


def all_bones(cases: Sequence[Case]) -> Scores:
    """Return the Dice of all bones, (N, 29), NaN where one is not in the picture."""
    return column(cases, "dice")


def small_bones(cases: Sequence[Case]) -> Scores:
    """Return the Dice of the small bones, (N, 12)."""
    return all_bones(cases)[:, _SMALL]


def _percentage_missed(cases: Sequence[Case]) -> Scores:
    return 100 * column(cases, "missed")


def _percentage_flagged(cases: Sequence[Case]) -> Scores:
    return np.array([100.0 * bool(case.flag) for case in cases])


COLUMNS: dict[str, tuple[Score, int]] = {
    "mean Dice": (all_bones, 4),
    "small bones": (small_bones, 4),
    "overlap zones": (partial(column, metric="overlap_dice"), 4),
    "boundary error rate": (partial(column, metric="boundary_error_rate"), 4),
    "HD95, px": (partial(column, metric="hd95_px"), 1),
    "bones missed, %": (_percentage_missed, 2),
    "flagged, %": (_percentage_flagged, 1),
}
"""Scores of the tables and their decimals."""


def best(results: Sequence[Result]) -> Result:
    """Return the bundle with the largest mean Dice on shifted hands."""
    return max(results, key=lambda result: result.interval(Half.SHIFTED, all_bones).estimate)


def accuracy_table(results: Sequence[Result], missing: Sequence[Contestant], half: Half) -> str:
    """Return all scores of a half, one row a bundle, those without weights at the end."""
    header = ("bundle", *COLUMNS, "seconds an image", "peak memory, GB")
    rows = [
        (
            result.name,
            *(told(result.interval(half, score), digits) for score, digits in COLUMNS.values()),
            f"{result.seconds:.2f}",
            result.peak.told(),
        )
        for result in results
    ]
    rows += [(contestant.name, "no weights", *[""] * (len(header) - 2)) for contestant in missing]
    return table(header, rows)


def hard_bones_table(result: Result) -> str:
    """Return the Dice of the bones that are hardest, on both halves."""
    rows = [
        (BONES[CHANNEL[name]].anatomical_name, *(told(result.of_bone(half, name), 4) for half in Half))
        for name in HARD_BONES
    ]
    return table(("bone", *Half), rows)


def robustness_table(results: Sequence[Result]) -> str:
    """Return mean Dice and that of the small bones for every variant, one column a bundle."""
    rows = []
    for variant in results[0].robustness:
        of_variant = [result.robustness[variant] for result in results]
        rows.append((variant, *(f"{mean_dice(cases):.3f} / {_mean(small_bones(cases)):.3f}" for cases in of_variant)))
    return table(("picture", *(result.name for result in results)), rows)


def false_positives_table(results: Sequence[Result]) -> str:
    """Return the percentage found of the bones that are not there, for the variants that cut some off."""
    rows = []
    for variant in results[0].robustness:
        shares = [100 * _mean(column(result.robustness[variant], "false_positive")) for result in results]
        if not np.isnan(shares).all():
            rows.append((variant, *(f"{share:.1f}" for share in shares)))
    if not rows:
        return "No change of the picture cuts a bone off whole."
    told = "Found though they are not in the picture, in % of the bones that are cut off whole:"
    return f"{told}\n\n{table(('picture', *(result.name for result in results)), rows)}"


def weights_table(results: Sequence[Result]) -> str:
    """Return which weights were measured."""
    rows = []
    for result in results:
        of = result.contestant
        megabytes = sum(path.stat().st_size for path in (of.weights, *of.members.values())) / 1e6
        rows.append((of.name, f"{of.image_size}", f"{megabytes:.1f}", f"`{of.digest[:12]}`"))
    return table(("bundle", "works at, px", "weights, MB", "digest"), rows)


def mean_dice(cases: Sequence[Case]) -> float:
    """Return the mean Dice over bones of the mean over pictures, leaving out bones that are not there."""
    return _mean(all_bones(cases))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(row)} |" for row in (header, *rows)]
    return "\n".join([lines[0], "|---" * len(header) + "|", *lines[1:]])


def told(interval: Interval, digits: int) -> str:
    """Return an estimate with its interval, where there is one."""
    if np.isnan(interval.estimate):
        return "none"
    text = f"{interval.estimate:.{digits}f}"
    return text if np.isnan(interval.low) else f"{text} ({interval.low:.{digits}f} to {interval.high:.{digits}f})"


def _mean(values: Scores) -> float:
    (mean,) = mean_over_bones(values, np.ones((1, len(values))))
    return float(mean)
