"""What was analysed as tables, each as CSV and as Parquet."""

from __future__ import annotations

from dataclasses import fields
from os import PathLike
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from handseg_bundle_common.analysis.collect import Analysis
from handseg_bundle_common.analysis.faults import Fault
from handseg_bundle_common.anatomy import BONE_NAMES, BONES, CHANNEL, NUM_BONES, SMALL_BONES, Group
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import printable, write_atomically, write_csv
from handseg_bundle_common.metrics import (
    CONFUSION_LABELS,
    CaseScores,
    ImageScores,
    bootstrap_interval,
    per_bone_table,
    write_scores,
)

IMAGE_SCORES = "scores.csv"
# Those in mm are left out: a pixel's size is not known here.
SCORES = tuple(field.name for field in fields(CaseScores) if not field.name.endswith(("_mm", "_mm2")))
# Columns of whole numbers, which a table of floating-point numbers would spoil.
_COUNTS = {"false_positive_px", "false_negative_px", "predicted_px", "reference_px", "extra_components"}
_COUNTS |= {"extra_holes", "extra_hole_px"}
# Scores beside Dice of which the table of bones has the means.
_MEANS = ("boundary_error_rate", "nsd_2px", "hd95_px", "mean_surface_distance_px", "relative_size_error")
_TOP_CONFUSIONS = 30
# Written with a comparison only, where bones overlap only, or last of all.
_NOT_ALWAYS = (
    "differences.csv",
    "differences.parquet",
    "figures/difference_per_bone.png",
    "figures/overlap_zones.png",
    "report.html",
)


def image_scores(analysis: Analysis) -> ImageScores:
    """Return the Dice of every image and bone, the images named `patient/image` as a data set names them.

    Where labels lie deeper than that, the folders between are part of the image's name.
    """
    names = []
    for case in analysis.cases:
        between = analysis.sources.images[case.image_name].key[1:-1]
        names.append(f"{case.patient}/{'_'.join((*between, PurePosixPath(case.image_name).name))}")
    return ImageScores(names, analysis.scores("dice"))


def bone_scores_table(analysis: Analysis) -> pd.DataFrame:
    """Return one row an image and bone: image, patient, bone, every column of `metrics.CaseScores`, overlap Dice."""
    cases = analysis.cases
    table = pd.DataFrame(
        {
            "image_name": np.repeat([printable(case.image_name) for case in cases], NUM_BONES),
            "patient": np.repeat([printable(case.patient) for case in cases], NUM_BONES),
            "bone": np.tile(BONE_NAMES, len(cases)),
            **{name: analysis.scores(name).ravel() for name in SCORES},
            "overlap_dice": analysis.overlap_dice.ravel(),
        }
    )
    return table.astype(dict.fromkeys(_COUNTS, "Int64"))


def cases_table(analysis: Analysis) -> pd.DataFrame:
    """Return one row an image: mean, small-bone and overlap-zone Dice, worst bone, wrist angle and faults."""
    return pd.DataFrame(
        {
            "image_name": printable(case.image_name),
            "patient": printable(case.patient),
            "height": case.height,
            "width": case.width,
            "mean_dice": case.mean_dice,
            "small_dice": case.small_dice,
            "overlap_dice": case.mean_overlap_dice,
            "worst_bone": case.worst_bone,
            "worst_dice": float(np.nanmin(case.scores.dice)),
            "wrist_angle": case.wrist_angle,
            "faults": len(case.faults),
            "faults_text": case.faults_text,
        }
        for case in analysis.cases
    )


def bones_table(analysis: Analysis) -> pd.DataFrame:
    """Return one row a bone, group and all: `metrics.per_bone_table` of Dice, its interval, and means of other scores.

    The intervals are bootstrapped over patients. Bones also have the number of images in
    which they were missed, and of those in which they were drawn though they are not there.
    """
    names = [printable(name) for name in analysis.image_names]
    dice, expected, predicted = (analysis.scores(name) for name in ("dice", "reference_px", "predicted_px"))
    table = pd.DataFrame(per_bone_table(dice, names)).rename(columns={"name": "bone", "mean": "dice"})
    members = [np.array([group in (bone.group, None) for bone in BONES]) for group in (*Group, None)]
    parts = [*dice.T, *(dice[:, channels] for channels in members)]
    intervals = [bootstrap_interval(values, analysis.patients) for values in parts]
    table["dice_low"] = pd.Series([interval.low for interval in intervals])
    table["dice_high"] = pd.Series([interval.high for interval in intervals])
    for name in _MEANS:
        table[name] = [row["mean"] for row in per_bone_table(analysis.scores(name))]
    table["overlap_dice"] = [row["mean"] for row in per_bone_table(analysis.overlap_dice)]
    is_there, is_found = expected > 0, predicted > 0
    for name, images in (("missed", is_there & ~is_found), ("false_alarms", ~is_there & is_found)):
        table[name] = pd.Series(images.sum(axis=0), dtype="Int64")
    table["is_small"] = table["bone"].isin(SMALL_BONES)
    return table


def confusion_table(analysis: Analysis) -> pd.DataFrame:
    """Return one row a pair of labels: what the reference says, what was predicted, pixels, and share of the label."""
    confusion, labels = analysis.confusion, CONFUSION_LABELS
    return pd.DataFrame(
        {
            "label": np.repeat(labels, len(labels)),
            "predicted": np.tile(labels, len(labels)),
            "pixels": confusion.counts.ravel(),
            "rate": confusion.rates().ravel(),
        }
    )


def top_confusions(analysis: Analysis, count: int = _TOP_CONFUSIONS) -> pd.DataFrame:
    """Return the rows of `confusion_table` about two different bones, largest share first; none without a pixel."""
    table = confusion_table(analysis)
    are_bones = table["label"].isin(BONE_NAMES) & table["predicted"].isin(BONE_NAMES)
    confused = table[are_bones & (table["label"] != table["predicted"]) & (table["pixels"] > 0)]
    return confused.sort_values("rate", ascending=False, kind="stable").head(count).reset_index(drop=True)


def faults_table(analysis: Analysis) -> pd.DataFrame:
    """Return one row a fault, in the order of the images and the worst of each first."""
    columns = ("image_name", "patient", "kind", "bone", "anatomical_name", "other", "severity", "text")
    rows = (
        (printable(case.image_name), printable(case.patient), *_about(fault))
        for case in analysis.cases
        for fault in case.faults
    )
    return pd.DataFrame(rows, columns=columns).astype({"severity": float, "other": "string"})


def _about(fault: Fault) -> tuple[str, str, str, str | None, float, str]:
    name = BONES[CHANNEL[fault.bone]].anatomical_name
    return str(fault.kind), fault.bone, name, fault.other, fault.severity, fault.text


def clear_results(output: str | PathLike[str]) -> None:
    """Remove results of an earlier run that a later one does not always write, so that none of them looks like new.

    Raises:
        HandsegInputError: a file cannot be removed.
    """
    for name in _NOT_ALWAYS:
        path = Path(output, name)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise HandsegInputError(path, f"cannot be removed ({error.strerror})", "choose another folder") from error


def write_tables(analysis: Analysis, output: str | PathLike[str]) -> None:
    """Write `bone_scores`, `cases`, `bones`, `confusion`, `top_confusions` and `faults` as `.csv` and `.parquet`.

    `scores.csv` has the Dice alone, one row an image and one column a bone, see `metrics.write_scores`.

    Raises:
        HandsegInputError: a file cannot be written.
    """
    tables = {
        "bone_scores": bone_scores_table(analysis),
        "cases": cases_table(analysis),
        "bones": bones_table(analysis),
        "confusion": confusion_table(analysis),
        "top_confusions": top_confusions(analysis),
        "faults": faults_table(analysis),
    }
    for name, table in tables.items():
        write_table(Path(output, name), table)
    write_scores(Path(output, IMAGE_SCORES), image_scores(analysis))


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as `<path>.csv` and `<path>.parquet`; in the CSV numbers have six decimals and NaN is empty.

    Raises:
        HandsegInputError: a file cannot be written.
    """
    with write_csv(f"{path}.csv") as file:
        table.to_csv(file, index=False, float_format="%.6f", lineterminator="\n")
    with write_atomically(f"{path}.parquet") as temporary:
        table.to_parquet(temporary, index=False)
