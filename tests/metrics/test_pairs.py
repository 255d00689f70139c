"""Dice of overlaps against cases drawn by hand and sets of pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from handseg_bundle_common.anatomy import CHANNEL, NUM_BONES, OVERLAPPING_PAIRS
from handseg_bundle_common.masks import pack_masks
from handseg_bundle_common.metrics import PAIR_NAMES, EmptyMasks, PairOverlapDice, pair_overlap_dice

EPS = 1e-4
FIRST = PAIR_NAMES.index("Pisiform/Triquetrum")
PAIRS = st.tuples(st.just(2), st.just(NUM_BONES), st.integers(1, 4), st.integers(1, 4)).flatmap(
    lambda shape: arrays(np.bool_, shape)
)


def carpals(pisiform: str, triquetrum: str) -> np.ndarray:
    """Both bones in a picture that is one pixel high, "#" inside."""
    masks = np.zeros((NUM_BONES, 1, len(pisiform)), bool)
    for name, row in (("Pisiform", pisiform), ("Triquetrum", triquetrum)):
        masks[CHANNEL[name], 0] = [pixel == "#" for pixel in row]
    return masks


def overlap(masks: np.ndarray, pair: tuple[str, str]) -> set[tuple[int, ...]]:
    one, other = ({tuple(pixel) for pixel in np.argwhere(masks[CHANNEL[name]]).tolist()} for name in pair)
    return one & other


REFERENCE = carpals(
    pisiform="##...#",
    triquetrum="####..",
)


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [
        pytest.param(REFERENCE, 1, id="equal"),
        pytest.param(carpals(pisiform="##....", triquetrum="##..##"), 1, id="only the overlap counts"),
        pytest.param(carpals(pisiform=".#....", triquetrum="####.."), (2 + EPS) / (3 + EPS), id="half found"),
        pytest.param(carpals(pisiform="####..", triquetrum="####.."), (4 + EPS) / (6 + EPS), id="twice as large"),
        pytest.param(carpals(pisiform="##....", triquetrum="..##.."), EPS / (2 + EPS), id="side by side"),
    ],
)
def test_an_overlap_of_two_pixels(prediction: np.ndarray, expected: float) -> None:
    assert pair_overlap_dice(prediction, REFERENCE)[FIRST] == expected


def test_bones_that_do_not_overlap_in_the_reference_are_not_scored_unless_told() -> None:
    apart = carpals(pisiform="#.", triquetrum=".#")
    over = carpals(pisiform="##", triquetrum=".#")
    assert math.isnan(pair_overlap_dice(apart, apart)[FIRST])
    assert math.isnan(pair_overlap_dice(over, apart)[FIRST])
    assert pair_overlap_dice(over, apart, empty=EmptyMasks(reference=0))[FIRST] == 0
    assert pair_overlap_dice(apart, apart, empty=EmptyMasks(both=1))[FIRST] == 1


@given(pair=PAIRS)
def test_every_pair_is_scored_like_sets_of_pixels(pair: np.ndarray) -> None:
    scores = pair_overlap_dice(*pair)
    assert scores.dtype == np.float64
    for score, name, bones in zip(scores, PAIR_NAMES, OVERLAPPING_PAIRS, strict=True):
        predicted, expected = (overlap(masks, bones) for masks in pair)
        dice = (2 * len(predicted & expected) + EPS) / (len(predicted) + len(expected) + EPS)
        assert name == f"{bones[0]}/{bones[1]}"
        np.testing.assert_equal(score, dice if expected else math.nan)


def test_packed_masks_give_what_masks_give() -> None:
    prediction, reference = np.random.default_rng(0).random((2, NUM_BONES, 9, 14)) < 0.4
    packed = pair_overlap_dice(pack_masks(prediction), pack_masks(reference))
    assert np.array_equal(packed, pair_overlap_dice(torch.from_numpy(prediction), reference))


def test_the_cumulative_form_averages_images_then_pairs() -> None:
    predictions, references = torch.from_numpy(np.random.default_rng(1).random((2, 3, NUM_BONES, 8, 8)) < 0.5)
    references[0, CHANNEL["Pisiform"]] = False
    metric = PairOverlapDice()
    metric(list(predictions), list(references))
    expected = np.stack([pair_overlap_dice(*pair) for pair in zip(predictions, references, strict=True)])
    assert np.isnan(expected[0, FIRST])
    assert np.array_equal(metric.aggregate("none"), expected, equal_nan=True)
    assert np.array_equal(metric.aggregate("mean_batch"), np.nanmean(expected, axis=0))
    assert metric.aggregate().item() == pytest.approx(np.nanmean(expected, axis=0).mean())
