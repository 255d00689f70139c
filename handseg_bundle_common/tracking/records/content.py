"""What handseg fills in: where a run stands, what changed against its parent run, its data and its result."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from handseg_bundle_common.metrics import ImageScores, Interval
from handseg_bundle_common.metrics.differences import dice_with_intervals, patients_caution
from handseg_bundle_common.tracking.comparison.settings import (
    FINGERPRINT,
    Setting,
    differing_environment,
    differing_settings,
)
from handseg_bundle_common.tracking.records.markdown import MISSING, escaped, table
from handseg_bundle_common.tracking.records.markers import CHANGES, DATA, FACTS, RESULT
from handseg_bundle_common.tracking.records.results import LABELS, Gains, gains_over
from handseg_bundle_common.tracking.runs import TrackedRun

RUN_ID, PARENT_ID, DATE, EXPERIMENT = "run id", "parent run id", "date", "experiment"

_DATA = {
    "data_fingerprint": "data fingerprint",
    "data_images": "images in the data set",
    "fold": "fold",
    "preset": "preset",
    "augmentation_preset": "augmentation preset",
    "augmentation_strength": "augmentation strength",
    "image_size": "image size, px",
    "window_size": "window size, px",
}
_DICE = "Dice"
_STATUS = {"FINISHED": "Finished", "FAILED": "Failed", "KILLED": "Stopped"}
_OTHER_DATA = (
    "The fingerprints of the data of the two runs differ, and images are paired by name only: "
    "see that images of one name are the same."
)
_NOT_YET = "Nothing is filled in yet: `handseg record fill` does it when there is a run."


@dataclass(frozen=True)
class Subject:
    """What a record is about.

    Attributes:
        run: the run, None before the training.
        parent: the run that it is compared with, if any.
        validations: (epoch, mean Dice) of every validation of the run.
    """

    run: TrackedRun | None = None
    parent: TrackedRun | None = None
    validations: tuple[tuple[int, float], ...] = ()


def contents(subject: Subject, date: str, experiment: str) -> dict[str, str]:
    """Return all parts that are filled in, by name.

    Args:
        subject: what the record is about.
        date: day of the record, for one without a run.
        experiment: experiment of the run to come, for one without a run.
    """
    found = {FACTS: _facts(subject, date, experiment)}
    if subject.run is None:
        found |= dict.fromkeys((CHANGES, DATA, RESULT), _NOT_YET)
    else:
        found[CHANGES] = _changes(subject.run, subject.parent)
        found[DATA] = _data(subject.run, subject.parent)
        found[RESULT] = _result(subject.run, subject.parent, subject.validations)
    # Some renderers see a table only with an empty line around it.
    return {name: f"\n{text}\n" for name, text in found.items()}


def dice_text(interval: Interval) -> str:
    """Return a Dice with its interval."""
    return _with_ends(interval, ".4f")


def difference_text(interval: Interval) -> str:
    """Return a difference with its sign and interval."""
    return _with_ends(interval, "+.4f")


def _facts(subject: Subject, date: str, experiment: str) -> str:
    run, parent = subject.run, subject.parent
    rows: list[tuple[str, object]] = []
    if run is not None:
        rows += [("run", run.name), (RUN_ID, run.run_id)]
    if parent is not None:
        rows += [("parent run", parent.name), (PARENT_ID, parent.run_id)]
    rows.append((EXPERIMENT, experiment if run is None else run.experiment))
    rows.append((DATE, date if run is None else f"{run.started:%Y-%m-%d}"))
    if run is not None:
        settings = run.parameters
        bundle = [settings[name] for name in ("recipe", "bundle_version") if name in settings]
        rows.append(("bundle", " ".join(bundle) or None))
        rows += [
            ("git revision", settings.get("git_revision")),
            ("data fingerprint", _short(settings.get("data_fingerprint"))),
        ]
    return table(("", ""), rows)


def _changes(run: TrackedRun, parent: TrackedRun | None) -> str:
    if parent is None:
        return "No parent run is named, so there is nothing to compare the settings with."
    both = [parent, run]
    settings, environment = differing_settings(both), differing_environment(both)
    return "\n\n".join(
        [
            _compared("setting", settings) or "No setting differs from the parent run.",
            _compared("made with", environment) or "Data, versions, revision and machine are those of the parent run.",
        ]
    )


def _compared(title: str, settings: Sequence[Setting]) -> str:
    rows = [(setting.name.removeprefix("version_"), *setting.values) for setting in settings]
    return table((title, "parent run", "this run"), rows) if rows else ""


def _data(run: TrackedRun, parent: TrackedRun | None) -> str:
    both = [run] if parent is None else [parent, run]
    rows = [
        (label, *(_short(of.parameters.get(name)) for of in both))
        for name, label in _DATA.items()
        if any(name in of.parameters for of in both)
    ]
    rows.append(("images scored", *(_images(of.scores) for of in both)))
    return table(("data", *(["parent run"] if parent else []), "this run"), rows)


def _short(value: str | None) -> str | None:
    """Return a value, of a digest no more than tells it from others; MLflow has all of it."""
    return value and re.sub(r"^(sha256:[0-9a-f]{12})[0-9a-f]{52}$", r"\1", value)


def _images(scores: ImageScores | None) -> str | None:
    if scores is None:
        return None
    return _counted(len(scores.image_names), len(set(scores.patients)))


def _counted(images: int, patients: int) -> str:
    return f"{images} of {patients} patient{'s' * (patients != 1)}"


def _result(run: TrackedRun, parent: TrackedRun | None, validations: tuple[tuple[int, float], ...]) -> str:
    parts = [f"{_state(run)}{_best_epoch(validations)}"]
    scores, before = _scores_of(run), _scores_of(parent)
    if scores is None:
        parts.append("The run has no scores of images, so there are no intervals and no differences.")
    else:
        parts += _scored(scores, before, has_parent=parent is not None)
    if parent is not None and scores is not None and before is not None:
        fingerprints = {of.parameters[FINGERPRINT] for of in (run, parent) if FINGERPRINT in of.parameters}
        parts += [_OTHER_DATA] * (len(fingerprints) > 1)
    return "\n\n".join(parts)


def _scores_of(run: TrackedRun | None) -> ImageScores | None:
    return None if run is None or run.scores is None or not run.scores.image_names else run.scores


def _state(run: TrackedRun) -> str:
    if run.ended is None or not run.is_over:
        return "The run has not ended; this is what there is so far."
    return f"{_STATUS.get(run.status, escaped(run.status))} {_minute(run.ended)}."


def _best_epoch(validations: tuple[tuple[int, float], ...]) -> str:
    """Return a sentence about the validations of a training; an evaluation has one only, and no best one."""
    known = [(epoch, dice) for epoch, dice in validations if not math.isnan(dice)]
    if len(known) < 2:
        return ""
    epoch, dice = max(known, key=lambda point: point[1])
    return f" Best epoch: {epoch} of {validations[-1][0]}, mean Dice of its validation {dice:.4f}."


def _scored(scores: ImageScores, before: ImageScores | None, *, has_parent: bool) -> list[str]:
    own = {part: dice_text(interval) for part, interval in dice_with_intervals(scores).items()}
    gains = None if before is None else gains_over(scores, before)
    fewest = len(set(scores.patients)) if gains is None else gains.patients
    intervals = f"In brackets: 95 % intervals, bootstrapped over patients. {patients_caution(fewest)}".rstrip()
    if not has_parent:
        return [table((_DICE, "this run"), [(label, own[part]) for part, label in LABELS.items()]), intervals]
    theirs = {} if before is None else {part: dice_text(one) for part, one in dice_with_intervals(before).items()}
    differences = {} if gains is None else {part: difference_text(one.gain) for part, one in gains.overall.items()}
    rows = [(label, theirs.get(part), own[part], differences.get(part)) for part, label in LABELS.items()]
    if gains is not None:
        common = f"Differences are those on the images that both runs have, {_counted(gains.images, gains.patients)}."
        return [_against(rows), f"{intervals} {common}", *_bones(gains)]
    why = "The parent run has no scores of images" if before is None else "The two runs have no image in common"
    return [_against(rows), f"{why}, so there is no difference. {intervals}"]


def _bones(gains: Gains) -> list[str]:
    parts = []
    for title, bones in (("most gained", gains.most), ("most lost", gains.least)):
        rows = [(one.part, f"{one.other_dice:.4f}", f"{one.dice:.4f}", difference_text(one.gain)) for one in bones]
        parts.append(_against(rows, title) if rows else f"No bone is {title.removeprefix('most ')}.")
    chance = "The bones are chosen for their differences, which chance enlarges; the intervals take no account of that."
    return [*parts, chance]


def _against(rows: Sequence[tuple[str, str | None, str, str | None]], title: str = _DICE) -> str:
    return table((title, "parent run", "this run", "difference"), rows)


def _with_ends(interval: Interval, form: str) -> str:
    """Return a number with the ends of its interval; one patient has none."""
    if math.isnan(interval.estimate):
        return MISSING
    ends = "no interval" if math.isnan(interval.low) else f"{interval.low:{form}} to {interval.high:{form}}"
    return f"{interval.estimate:{form}} ({ends})"


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
