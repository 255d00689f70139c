"""Scores per bone as a table that a reader of anatomy understands."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from os import PathLike
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from handseg_bundle_common.anatomy import BONES, NUM_BONES, Group
from handseg_bundle_common.files import write_csv

_Scores = NDArray[np.float64]


class ScoreRow(TypedDict):
    """One bone or group of bones: scores over the images that have one, NaN where none has."""

    name: str
    anatomical_name: str
    group: str
    images: int
    mean: float
    sd: float
    min: float
    worst_image: str


def per_bone_table(values: ArrayLike | torch.Tensor, image_names: Sequence[str] | None = None) -> list[ScoreRow]:
    """Summarise scores per bone, per anatomical group and over all bones.

    Bones come first, in channel order, then the groups, then "all". The mean of a group is the mean of its bones'
    means, as the competition averages; its standard deviation and minimum are those of the images' means over the
    group. The standard deviation is the sample's (n - 1). NaN is left out everywhere.

    Args:
        values: scores (N, 29).
        image_names: names of the N images, for the column that tells where the minimum is; counted from 0 if None.

    Raises:
        ValueError: the shape is not (N, 29) or the number of names differs.
    """
    scores = np.asarray(torch.as_tensor(values).cpu(), np.float64)
    if scores.ndim != 2 or scores.shape[1] != NUM_BONES:
        raise ValueError(f"scores must have the shape (images, {NUM_BONES}), not {scores.shape}")
    names = [str(n) for n in range(len(scores))] if image_names is None else list(image_names)
    if len(names) != len(scores):
        raise ValueError(f"{len(names)} image names for {len(scores)} images")
    means = _mean(scores, axis=0)
    rows = [
        _row((bone.name, bone.anatomical_name, bone.group), column, mean, names)
        for bone, column, mean in zip(BONES, scores.T, means.tolist(), strict=True)
    ]
    for group in (*Group, None):
        members = np.array([group in (bone.group, None) for bone in BONES])
        label = str(group or "all")
        of_images = _mean(scores[:, members], axis=1)
        rows.append(_row((label, label, label), of_images, float(_mean(means[members], axis=0)), names))
    return rows


def _row(labels: tuple[str, str, str], scores: _Scores, mean: float, image_names: Sequence[str]) -> ScoreRow:
    name, anatomical_name, group = labels
    valid = np.ma.masked_invalid(scores)
    count = int(valid.count())
    return ScoreRow(
        name=name,
        anatomical_name=anatomical_name,
        group=group,
        images=count,
        mean=mean,
        sd=float(valid.std(ddof=1)) if count > 1 else np.nan,
        min=float(valid.min()) if count else np.nan,
        worst_image=image_names[int(valid.argmin())] if count else "",
    )


def _mean(scores: _Scores, axis: int) -> _Scores:
    """Average without NaN; NaN where nothing is left."""
    return np.asarray(np.ma.filled(np.ma.masked_invalid(scores).mean(axis=axis), np.nan), np.float64)


def write_table(path: str | PathLike[str], rows: Iterable[ScoreRow]) -> None:
    """Write the rows of `per_bone_table` as CSV, UTF-8; numbers have six decimals, NaN is an empty cell.

    Raises:
        HandsegInputError: the file cannot be written.
    """
    with write_csv(path) as file:
        writer = csv.DictWriter(file, list(ScoreRow.__annotations__), lineterminator="\n")
        writer.writeheader()
        writer.writerows({column: _cell(value) for column, value in row.items()} for row in rows)


def _cell(value: object) -> object:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.6f}"
    return value
