"""The page of all comparisons: every run's test, then pairs with intervals, confusions and what was concluded."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from handseg_bundle_common.analysis import Analysis, analyse
from handseg_bundle_common.analysis.tables import top_confusions
from handseg_bundle_common.anatomy import BONES, CHANNEL, SMALL_BONES
from handseg_bundle_common.files import write_atomically
from handseg_bundle_common.metrics import Interval, bootstrap_difference, bootstrap_interval

PAGE = "comparisons.md"
_TEMPLATE = Path(__file__).with_name("template.md")
_SMALL = [CHANNEL[name] for name in SMALL_BONES]
_CONFUSIONS = 6

Scores = NDArray[np.float64]


def _dice(found: Analysis) -> Scores:
    """Return the Dice of the bones that are in the picture; of others the competition's is 0 or 1."""
    return np.where(found.scores("reference_px") > 0, found.scores("dice"), np.nan)


# What is told of every run, each as (images, bones); lower is better for the last.
MEASURES: Mapping[str, Callable[[Analysis], Scores]] = {
    "mean Dice": _dice,
    "small bones": lambda found: _dice(found)[:, _SMALL],
    "pisiform": lambda found: _dice(found)[:, [CHANNEL["Pisiform"]]],
    "overlap zones": lambda found: found.overlap_dice,
    "boundary error rate": lambda found: found.scores("boundary_error_rate"),
}


def write_page(plan: Mapping[str, Any], output: Path, target: Path, pictures: Sequence[Path]) -> Path:
    """Write the page and return its path.

    Args:
        plan: content of `plan.json`.
        output: folder of the runs.
        target: folder of the page, which holds `records/`.
        pictures: figures to show, relative to the page.
    """
    found = {name: _analysed(name, output) for name in plan["runs"]}
    sections = [_section(comparison, found, target) for comparison in plan["comparisons"]]
    data = plan["data"]
    text = Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        trained=data["training"]["count"],
        trained_seed=data["training"]["seed"],
        folds=data["folds"],
        tested=len(next(iter(found.values())).cases),
        test_seed=data["test"]["seed"],
        test_size=data["test"]["size"],
        machine=f"{os.cpu_count()} cores ({platform.machine()}), PyTorch {torch.__version__}",
        runs=table(("run", *MEASURES), ((name, *_row(result)) for name, result in found.items())),
        pictures="\n\n".join(f"![Difference of every bone's Dice]({picture.as_posix()})" for picture in pictures),
        first=plan["drawn"][0],
        sections="\n\n".join(sections),
    )
    with write_atomically(target / PAGE) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return target / PAGE


def _analysed(name: str, output: Path) -> Analysis:
    folder = output / name / "evaluation"
    return analyse(folder / "predictions.csv", output / "test", folder / "report", workers=1)


def _row(found: Analysis) -> list[str]:
    return [told(bootstrap_interval(measure(found), found.patients)) for measure in MEASURES.values()]


def _section(comparison: Mapping[str, Any], found: Mapping[str, Analysis], target: Path) -> str:
    """Return the part of one comparison: differences with intervals, bones, confusions and the record's conclusion."""
    baseline, names = found[comparison["baseline"]], comparison["runs"]
    record = Path("records", f"{comparison['name']}.md")
    parts = [
        f"## {comparison['title']}",
        f"Hypothesis: {comparison['hypothesis']}",
        f"Expected: {comparison['expected']}",
        f"Differences from `{comparison['baseline']}`:",
        table(("", *names), differences({name: found[name] for name in names}, baseline)),
        *(named_bones(name, found[name], baseline) for name in names),
        _confusions({name: found[name] for name in (comparison["baseline"], *names)}),
        f"**Conclusion.** {conclusion((target / record).read_text(encoding='utf-8'))} ([record]({record.as_posix()}))",
    ]
    return "\n\n".join(parts)


def differences(others: Mapping[str, Analysis], baseline: Analysis) -> Iterable[tuple[str, ...]]:
    """Yield one row a measure: what each of the others has more than the baseline on the same images."""
    for title, measure in MEASURES.items():
        pairs = (bootstrap_difference(measure(other), measure(baseline), other.patients) for other in others.values())
        yield (title, *(told(pair, "+.3f") for pair in pairs))


def named_bones(name: str, other: Analysis, baseline: Analysis) -> str:
    """Return a sentence with the bones of which one model is better beyond the interval, largest difference first."""
    pairs = {
        bone.abbreviation: bootstrap_difference(_dice(other)[:, [k]], _dice(baseline)[:, [k]], other.patients)
        for k, bone in enumerate(BONES)
    }
    gained = {bone: pair for bone, pair in pairs.items() if pair.low > 0}
    lost = {bone: pair for bone, pair in pairs.items() if pair.high < 0}
    return f"`{name}` is better in {_named(gained)} and worse in {_named(lost)}."


def _named(pairs: Mapping[str, Interval], count: int = 5) -> str:
    if not pairs:
        return "no bone"
    largest = sorted(pairs.items(), key=lambda item: -abs(item[1].estimate))[:count]
    most = ", ".join(f"{bone} {pair.estimate:+.3f}" for bone, pair in largest)
    return f"{len(pairs)} of {len(BONES)} bones (most: {most})"


def _confusions(found: Mapping[str, Analysis]) -> str:
    """Return a table of the bones that are taken for each other most, by any of the models."""
    rates = {name: _confusion_rates(result) for name, result in found.items()}
    pairs = {pair: max(rate.get(pair, 0.0) for rate in rates.values()) for rate in rates.values() for pair in rate}
    worst = sorted(pairs, key=lambda pair: -pairs[pair])[:_CONFUSIONS]
    rows = (
        (f"{label} taken for {other}", *(f"{rate.get((label, other), 0):.1%}" for rate in rates.values()))
        for label, other in worst
    )
    told_above = "Share of a bone's pixels that were given to another bone, in its place or besides it:"
    return f"{told_above}\n\n{table(('', *found), rows)}"


def _confusion_rates(found: Analysis) -> dict[tuple[str, str], float]:
    rows = top_confusions(found)
    return {(row.label, row.predicted): row.rate for row in rows.itertuples()}


def conclusion(record: str) -> str:
    """Return what a record concludes, in one paragraph, or that nothing is concluded yet."""
    found = re.search(r"^## Conclusion\n(.*?)(?=^## |\Z)", record, re.MULTILINE | re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", found[1], flags=re.DOTALL) if found else ""
    return " ".join(text.split()) or "None written yet."


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def told(interval: Interval, form: str = ".3f") -> str:
    """Return a value with its interval."""
    value, low, high = (format(number, form) for number in (interval.estimate, interval.low, interval.high))
    return f"{value} ({low} to {high})"
