"""Simulated hands against the reference tables."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from handseg_bundle_common.anatomy import BONE_NAMES, OVERLAPPING_PAIRS

pytest.importorskip("numba")
from handseg_bundle_common.simulation.comparison import (
    OTHER_PAIRS_BELOW,
    Comparison,
    Target,
    compare,
    most_covered_elsewhere,
    quantities,
    size_share,
    targets,
)
from handseg_bundle_common.simulation.sampler import simulate_hand
from handseg_bundle_common.simulation.statistics import measure_hand


def target_of(quantity: str, bone: str = "", percentile: int | None = None) -> Target:
    (found,) = (t for t in targets() if (t.quantity, t.bone, t.percentile) == (quantity, bone, percentile))
    return found


def test_targets_are_the_rows_of_the_tables(repository):
    folder = repository / "handseg_bundle_common" / "simulation" / "reference"
    bones, overlaps, intensity = (
        list(csv.DictReader((folder / f"{name}.csv").open())) for name in ("bones", "overlaps", "intensity")
    )
    assert [row["bone"] for row in bones] == [row["bone"] for row in intensity] == list(BONE_NAMES)
    for row in bones:
        target = target_of("area_px", row["bone"])
        assert (target.value, target.sd) == (float(row["area_px_mean"]), float(row["area_px_sd"]))
    assert {frozenset((row["bone"], row["covered_by"])) for row in overlaps} == set(map(frozenset, OVERLAPPING_PAIRS))
    assert min(float(row["fraction_of_bone_covered_mean"]) for row in overlaps) >= OTHER_PAIRS_BELOW
    assert target_of("rim_to_core", "Hamate").value == pytest.approx(104 / 129)


def test_every_target_is_measured_in_a_simulated_hand(hand):
    simulated = simulate_hand(2, 512, "L", hand)
    measured = quantities(measure_hand(simulated.radiograph, simulated.packed_masks, simulated.side))
    assert {target.key for target in targets()} <= set(measured)


def test_every_ordered_pair_is_measured_once_and_pairs_outside_the_table_are_ranked_by_their_mean(hand):
    measured = []
    for seed in (1, 2):
        simulated = simulate_hand(seed, 384, "R", hand)
        measured.append(measure_hand(None, simulated.packed_masks, "R"))
    values = [quantities(one) for one in measured]
    pairs = [bone for quantity, bone in values[0] if quantity in {"covered", "covered_elsewhere"}]
    assert len(pairs) == len(set(pairs)) == 29 * 28
    known = {target.bone for target in targets() if target.quantity == "covered"}
    covered = np.mean([one.geometry.covered for one in measured], axis=0)
    shares = {f"{a} by {b}": covered[i, j] for i, a in enumerate(BONE_NAMES) for j, b in enumerate(BONE_NAMES)}
    expected = sorted((share for pair, share in shares.items() if pair not in known), reverse=True)[:7]
    found = most_covered_elsewhere(values, 7)
    assert [share for _, share in found] == pytest.approx(expected)
    assert all(share == pytest.approx(shares[pair]) and pair not in known for pair, share in found)


@pytest.mark.parametrize(
    ("quantity", "bone", "factor", "within"),
    [
        ("area_px", "Lunate", 1.09, True),
        ("area_px", "Lunate", 1.11, False),
        ("grey", "Lunate", 0.86, True),
        ("grey", "Lunate", 0.84, False),
        ("texture", "Lunate", 1.29, True),
        ("texture", "Lunate", 1.31, False),
        ("length_px", "Lunate", 2.0, None),
    ],
)
def test_means_are_judged_as_a_share_of_the_real_one(quantity, bone, factor, within):
    target = target_of(quantity, bone)
    (comparison,) = compare([{target.key: factor * target.value}])[:1]
    assert comparison.value == pytest.approx(factor * target.value)
    assert comparison.is_within is within


def test_overlaps_and_rims_are_judged_by_their_distance():
    for target, limit in (
        (target_of("covered", "Pisiform by Triquetrum"), 0.05),
        (target_of("in_contact", "Lunate by Scaphoid"), 0.25),
        (target_of("rim_to_core", "Ulna"), 0.08),
    ):
        assert Comparison(target, target.value - limit * 0.99, 0).is_within
        assert not Comparison(target, target.value + limit * 1.01, 0).is_within


def test_spreads_are_judged_where_they_are_known():
    target = target_of("tilt_deg")
    assert Comparison(target, 0, 1.29 * target.sd).is_spread_within
    assert not Comparison(target, 0, 0.69 * target.sd).is_spread_within
    assert Comparison(target_of("tilt_deg", percentile=50), 34, 20).is_spread_within is None
    assert Comparison(target_of("grey", "Ulna"), 139, 20).is_spread_within is None


def test_means_spreads_and_percentiles_are_those_of_numpy_without_what_was_not_measured():
    values = np.random.default_rng(0).normal(20, 10, 50)
    found = {c.target.percentile: c for c in compare([{("tilt_deg", ""): v} for v in (*values, np.nan)])}
    assert found[None].value == pytest.approx(values.mean())
    assert found[None].sd == pytest.approx(values.std())
    assert found[90].value == pytest.approx(np.percentile(values, 90))


def test_bones_that_only_grow_together_have_one_component():
    generator = np.random.default_rng(0)
    sizes, own = generator.normal(0, 0.1, (400, 1)), generator.normal(0, 0.1, (400, 10))
    assert size_share(100 * np.exp(sizes + 0 * own)) == pytest.approx(1)
    # Eleven shares of variance, one of them common to ten bones: (10 + 1) / 20.
    assert size_share(100 * np.exp(sizes + own)) == pytest.approx(0.55, abs=0.05)
