"""Simulated hands against what real radiographs measure, quantity by quantity."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from pathlib import Path

import numpy as np

from handseg_bundle_common.anatomy import BONE_NAMES, CHANNEL, Group, bones_of
from handseg_bundle_common.files import open_csv
from handseg_bundle_common.simulation.statistics import HandMeasurements, Values

# A quantity and the bone, or the pair of bones, that it belongs to; "" for the whole hand.
Key = tuple[str, str]

_REFERENCE = Path(__file__).parent / "reference"
# How far a simulated mean may lie from the real one: a share of it, or a distance.
_RELATIVE = {"area_px": 0.10, "grey": 0.15, "grey_beside": 0.15, "texture": 0.30, "bone_p99": 0.15, "brightest": 0.15}
_ABSOLUTE = {"covered": 0.05, "in_contact": 0.25, "rim_to_core": 0.08}
# Bones that the table of overlaps does not name cover less than this share of one another.
OTHER_PAIRS_BELOW = 0.02
# How far a simulated standard deviation may lie from the real one, as a share of it.
SPREAD = dict.fromkeys(("area_px", "length_px", "width_px", "tilt_deg"), 0.30)

# Of the same images as the tables: percentiles of the tilt, and shares of pixels. Mean and standard deviation of the
# tilt are those of a distribution with these percentiles that is empty between its two modes, from 15 to 31 degrees.
_TILT_PERCENTILES = {1: -6.0, 10: -2.0, 50: 34.0, 90: 45.0, 99: 53.0}
_TILT = (22.7, 19.2)
_SHARES = {"multiple_of_bone": (0.040, 0.006), "multiple_of_image": (0.0047, np.nan), "bone_of_image": (0.118, np.nan)}
_LEVELS = {"air_p5": 3.0, "air_p50": 11.0, "air_p95": 31.0, "bone_p99": 192.0, "brightest": 239.0}
# Middle of the measured ranges, 9 to 13 % in phalanges and 6 to 7 % elsewhere.
_TEXTURE = {group: 0.11 if group is Group.PHALANGES else 0.065 for group in Group}


@dataclass(frozen=True)
class Target:
    """What a quantity is in real radiographs.

    Attributes:
        quantity: its name.
        bone: bone, or pair of bones as `Pisiform by Triquetrum`; "" for the whole hand.
        percentile: percentile of the hands that is meant, None for their mean.
        value: the real mean or percentile.
        sd: real standard deviation, NaN where it is not known.
    """

    quantity: str
    bone: str
    value: float
    sd: float = np.nan
    percentile: int | None = None

    @property
    def key(self) -> Key:
        """Name of the quantity and the bone."""
        return self.quantity, self.bone

    @property
    def tolerance(self) -> float:
        """How far the simulated mean may lie from this one, NaN for no limit."""
        if self.percentile is not None:
            return np.nan
        return _ABSOLUTE.get(self.quantity, _RELATIVE.get(self.quantity, np.nan) * self.value)


@dataclass(frozen=True)
class Comparison:
    """A quantity of simulated hands beside the real one.

    Attributes:
        target: the real one.
        value: simulated mean or percentile.
        sd: simulated standard deviation.
    """

    target: Target
    value: float
    sd: float

    @property
    def is_within(self) -> bool | None:
        """Whether the mean is within its tolerance, None where there is none."""
        limit = self.target.tolerance
        return None if np.isnan(limit) else bool(abs(self.value - self.target.value) <= limit)

    @property
    def is_spread_within(self) -> bool | None:
        """Whether the standard deviation is within its tolerance, None where there is none."""
        limit = SPREAD.get(self.target.quantity, np.nan) * self.target.sd
        if self.target.percentile is not None or np.isnan(limit):
            return None
        return bool(abs(self.sd - self.target.sd) <= limit)


def quantities(hand: HandMeasurements) -> dict[Key, float]:
    """Return everything that was measured in one hand under its name.

    Pairs of bones are `covered` and `in_contact` where the reference names them, and `covered_elsewhere` if not.
    """
    return dict(_geometry(hand)) | dict(_greys(hand))


def compare(hands: Sequence[Mapping[Key, float]]) -> list[Comparison]:
    """Compare `quantities` of simulated hands with all targets; NaN counts as not measured."""
    compared = []
    for target in targets():
        values = np.array([hand.get(target.key, np.nan) for hand in hands])
        values = values[np.isfinite(values)]
        if values.size:
            centre = values.mean() if target.percentile is None else np.percentile(values, target.percentile)
            compared.append(Comparison(target, float(centre), float(values.std())))
    return compared


def most_covered_elsewhere(hands: Sequence[Mapping[Key, float]], count: int = 5) -> list[tuple[str, float]]:
    """Return the pairs outside the reference with the largest mean cover, and that cover, largest first."""
    keys = [key for key in hands[0] if key[0] == "covered_elsewhere"]
    means = np.mean(np.nan_to_num([[hand[key] for key in keys] for hand in hands]), axis=0)
    return [(keys[k][1], float(means[k])) for k in np.argsort(-means, kind="stable")[:count]]


def size_share(lengths_px: Values) -> float:
    """Return the share of the first principal component in the variance of log lengths (N, bones)."""
    logarithms = np.log(lengths_px[np.isfinite(lengths_px).all(1)])
    variances = np.linalg.svd(logarithms - logarithms.mean(0), compute_uv=False) ** 2
    return float(variances[0] / variances.sum()) if variances.sum() > 0 else np.nan


@cache
def targets() -> tuple[Target, ...]:
    """Return what is known of real radiographs, from the tables beside this module."""
    return (*_bone_targets(), *_overlap_targets(), *_grey_targets(), *_hand_targets())


def _bone_targets() -> Iterator[Target]:
    for row in _rows("bones"):
        bone = row["bone"]
        for quantity in ("area_px", "length_px", "width_px"):
            yield Target(quantity, bone, float(row[f"{quantity}_mean"]), float(row[f"{quantity}_sd"]))
        yield Target("x_px", bone, float(row["centroid_x_mean"]))
        yield Target("y_px", bone, float(row["centroid_y_mean"]))
        for percentile in (10, 50, 90):
            yield Target("axis_deg", bone, float(row[f"axis_deg_p{percentile}"]), percentile=percentile)


def _overlap_targets() -> Iterator[Target]:
    for row in _rows("overlaps"):
        pair = f"{row['bone']} by {row['covered_by']}"
        yield Target("covered", pair, float(row["fraction_of_bone_covered_mean"]))
        yield Target("in_contact", pair, float(row["share_of_images_with_contact"]))


def _grey_targets() -> Iterator[Target]:
    texture = {bone.name: _TEXTURE[group] for group in Group for bone in bones_of(group)}
    for row in _rows("intensity"):
        bone = row["bone"]
        yield Target("grey", bone, float(row["grey_mean"]))
        yield Target("grey_beside", bone, float(row["grey_soft_tissue_beside"]))
        yield Target("rim_to_core", bone, float(row["grey_rim"]) / float(row["grey_core"]))
        yield Target("texture", bone, texture[bone])


def _hand_targets() -> Iterator[Target]:
    yield Target("tilt_deg", "", *_TILT)
    for percentile, value in _TILT_PERCENTILES.items():
        yield Target("tilt_deg", "", value, percentile=percentile)
    for quantity, (mean, sd) in _SHARES.items():
        yield Target(quantity, "", mean, sd)
    for quantity, level in _LEVELS.items():
        yield Target(quantity, "", level)


def _geometry(hand: HandMeasurements) -> Iterator[tuple[Key, float]]:
    geometry = hand.geometry
    columns = {
        "area_px": geometry.area_px,
        "length_px": geometry.length_px,
        "width_px": geometry.width_px,
        "x_px": geometry.centroid_px[:, 0],
        "y_px": geometry.centroid_px[:, 1],
        "axis_deg": geometry.axis_deg,
    }
    yield from _by_bone(columns)
    known = {(row["bone"], row["covered_by"]) for row in _rows("overlaps")}
    for bone, other in permutations(BONE_NAMES, 2):
        share, pair = float(geometry.covered[CHANNEL[bone], CHANNEL[other]]), f"{bone} by {other}"
        if (bone, other) in known:
            yield ("covered", pair), share
            yield ("in_contact", pair), float(share > 0)
        else:
            yield ("covered_elsewhere", pair), share
    for quantity in ("tilt_deg", *_SHARES):
        yield (quantity, ""), float(getattr(geometry, quantity))


def _greys(hand: HandMeasurements) -> Iterator[tuple[Key, float]]:
    greys = hand.greys
    if greys is None:
        return
    columns = {
        "grey": greys.bone,
        "grey_beside": greys.beside,
        "rim_to_core": greys.rim / greys.core,
        "texture": greys.texture,
    }
    yield from _by_bone(columns)
    values = (*greys.air, greys.bone_p99, greys.brightest)
    yield from (((quantity, ""), float(value)) for quantity, value in zip(_LEVELS, values, strict=True))


def _by_bone(columns: Mapping[str, Values]) -> Iterator[tuple[Key, float]]:
    for quantity, values in columns.items():
        yield from (((quantity, bone), float(value)) for bone, value in zip(BONE_NAMES, values, strict=True))


@cache
def _rows(table: str) -> tuple[dict[str, str], ...]:
    with open_csv(_REFERENCE / f"{table}.csv") as file:
        return tuple(csv.DictReader(file))
