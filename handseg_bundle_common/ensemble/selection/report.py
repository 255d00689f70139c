"""What a selection leaves behind: a JSON block for an ensemble bundle, tables and a figure."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from handseg_bundle_common.anatomy import BONE_NAMES, BONES
from handseg_bundle_common.ensemble.selection.calibration import IDENTITY
from handseg_bundle_common.ensemble.selection.figure import draw_selection
from handseg_bundle_common.ensemble.selection.nested import Tuned
from handseg_bundle_common.ensemble.selection.objective import Floats, Objective
from handseg_bundle_common.ensemble.selection.per_bone import NEUTRAL_THRESHOLD
from handseg_bundle_common.ensemble.selection.select import Selection
from handseg_bundle_common.files import make_folder, write_atomically, write_csv
from handseg_bundle_common.metrics import Interval

SETTINGS, FIGURE = "selection.json", "selection.png"

# The percentile bootstrap of fewer clusters covers less than it says.
_FEW_PATIENTS = 10

_SCORES = ("mean", "small_bones", "overlap_zone")


def write_selection(output: str | PathLike[str], selection: Selection) -> None:
    """Write a selection to a folder.

    The files are `selection.json` (see `ensemble_settings`), `models.csv` (scores of every model alone),
    `agreement.csv` (Dice between models), `selection.csv` (steps), `per_bone.csv`, `tuning.csv` (what weights,
    thresholds and calibration gain on patients they were not fitted on) and `selection.png`. Intervals hold 95 % of
    bootstrap samples of patients.

    Raises:
        HandsegInputError: the folder cannot be written to.
    """
    folder = make_folder(output)
    with write_atomically(folder / SETTINGS) as temporary:
        temporary.write_text(json.dumps(ensemble_settings(selection), indent=1) + "\n", encoding="utf-8")
    _write_rows(folder / "models.csv", _model_rows(selection))
    _write_rows(folder / "agreement.csv", _agreement_rows(selection))
    _write_rows(folder / "selection.csv", _step_rows(selection))
    _write_rows(folder / "per_bone.csv", _bone_rows(selection))
    _write_rows(folder / "tuning.csv", _tuning_rows(selection))
    draw_selection(folder / FIGURE, selection)


def ensemble_settings(selection: Selection) -> dict[str, Any]:
    """Return what an ensemble bundle needs to know, as plain values.

    Returns:
        `members` (dictionaries of name, bundle, weights, role and windows; None where the folder does not tell),
        `combine`, `bone_weights` (29 numbers by member), `thresholds` (by bone) and `calibration` (scale and offset by
        bone).
    """
    roles = selection.roles()
    members = [selection.models[place] for place in selection.members]
    weights, thresholds, calibration = _values(selection)
    return {
        "members": [
            {
                "name": model.name,
                "bundle": model.bundle,
                "weights": model.weights,
                "role": roles[place].value,
                "windows": model.windows,
            }
            for place, model in zip(selection.members, members, strict=True)
        ],
        "combine": selection.combine.value,
        "bone_weights": {selection.models[place].name: weights[place].tolist() for place in selection.members},
        "thresholds": dict(zip(BONE_NAMES, thresholds.tolist(), strict=True)),
        "calibration": dict(zip(BONE_NAMES, calibration.T.tolist(), strict=True)),
    }


def selection_text(selection: Selection, output: str | PathLike[str]) -> str:
    """Return a selection as a short table of the models, the steps, and what was fitted."""
    wide = max(len(model.name) for model in selection.models)
    roles = selection.roles()
    lines = [
        f"{selection.images} images of {selection.patients} patients, combined by {selection.combine}",
        f"{'model':{wide}}  Dice    small bones  overlap zone",
    ]
    for place, (model, scores) in enumerate(zip(selection.models, selection.scores, strict=True)):
        values = (
            f"{scores.mean.estimate:.4f}  {scores.small_bones.estimate:.4f}       {scores.overlap_zone.estimate:.4f}"
        )
        lines.append(f"{model.name:{wide}}  {values}  {roles.get(place, '')}".rstrip())
    for number, step in enumerate(selection.steps, start=1):
        names = " + ".join(selection.models[place].name for place in step.added)
        dice = f"Dice {_mean(step.dice, Objective.MEAN):.4f}, small bones {_mean(step.dice, Objective.SMALL):.4f}"
        lines.append(f"step {number}: {names}: {dice}" + (f", gain {_shown(step.gain)}" if step.gain else ""))
    for name, tuned in selection.tuned.items():
        verdict = "kept" if tuned.is_kept else "not kept: its interval includes 0"
        unit = _unit(selection, tuned)
        lines.append(f"{name} of each bone: held-out gain in {unit} {_shown(tuned.gain)}: {verdict}")
    if selection.patients < _FEW_PATIENTS:
        lines.append(
            f"Intervals over {selection.patients} patients are too narrow: trust them from {_FEW_PATIENTS} on."
        )
    return "\n".join([*lines, f"Selection, tables and figure: {output}"])


def _values(selection: Selection) -> tuple[Floats, Floats, Floats]:
    """Return weights, thresholds and calibration, the latter two neutral where votes have none."""
    neutral = np.full(len(BONES), NEUTRAL_THRESHOLD), np.repeat(np.array(IDENTITY)[:, None], len(BONES), axis=1)
    fitted = selection.thresholds, selection.calibration
    thresholds, calibration = (
        own if part is None else part.values() for own, part in zip(neutral, fitted, strict=True)
    )
    return selection.weights.values(), thresholds, calibration


def _unit(selection: Selection, tuned: Tuned) -> str:
    """Return what a gain is measured in."""
    return "nats" if tuned is selection.calibration else f"Dice, {selection.objective}"


def _model_rows(selection: Selection) -> Iterable[dict[str, object]]:
    roles = selection.roles()
    for place, (model, scores) in enumerate(zip(selection.models, selection.scores, strict=True)):
        row: dict[str, object] = {"name": model.name, "bundle": model.bundle, "weights": model.weights}
        row["role"] = roles[place].value if place in roles else ""
        for name in _SCORES:
            row |= _columns(name, getattr(scores, name))
        yield row


def _agreement_rows(selection: Selection) -> Iterable[dict[str, object]]:
    names = [model.name for model in selection.models]
    for name, values in zip(names, selection.agreement.tolist(), strict=True):
        yield {"model": name, **dict(zip(names, values, strict=True))}


def _step_rows(selection: Selection) -> Iterable[dict[str, object]]:
    for number, step in enumerate(selection.steps, start=1):
        yield {
            "step": number,
            "added": " + ".join(selection.models[place].name for place in step.added),
            "members": len(step.members),
            "mean": _mean(step.dice, Objective.MEAN),
            "small_bones": _mean(step.dice, Objective.SMALL),
            "objective": _mean(step.dice, selection.objective),
            **_columns("gain", step.gain),
        }


def _bone_rows(selection: Selection) -> Iterable[dict[str, object]]:
    weights, thresholds, (scales, offsets) = _values(selection)
    uniform = selection.steps[-1].dice.mean(axis=0)
    for k, bone in enumerate(BONES):
        row: dict[str, object] = {"bone": bone.name, "anatomical_name": bone.anatomical_name}
        row |= {f"dice_{model.name}": selection.bone_dice[m, k] for m, model in enumerate(selection.models)}
        row |= {"dice_uniform": uniform[k], "dice_final": selection.final_dice[k]}
        row |= {f"weight_{selection.models[place].name}": weights[place, k] for place in selection.members}
        yield row | {"threshold": thresholds[k], "scale": scales[k], "offset": offsets[k]}


def _tuning_rows(selection: Selection) -> Iterable[dict[str, object]]:
    for name, tuned in selection.tuned.items():
        yield {
            "fitted": name,
            "unit": _unit(selection, tuned),
            **_columns("held_out_gain", tuned.gain),
            "kept": tuned.is_kept,
        }


def _mean(dice: Floats, objective: Objective) -> float:
    return float(objective.of_images(dice).mean())


def _columns(name: str, interval: Interval | None) -> dict[str, object]:
    """Return an interval as three cells."""
    values = (None, None, None) if interval is None else (interval.estimate, interval.low, interval.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))


def _shown(interval: Interval) -> str:
    return f"{interval.estimate:+.4f} ({interval.low:+.4f} to {interval.high:+.4f})"


def _write_rows(path: Path, rows: Iterable[dict[str, object]]) -> None:
    """Write rows of the same columns; numbers have six decimals, and what is not known is an empty cell."""
    table: Sequence[dict[str, object]] = list(rows)
    with write_csv(path) as file:
        writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({column: _cell(value) for column, value in row.items()} for row in table)


def _cell(value: object) -> object:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6f}"
    return value
