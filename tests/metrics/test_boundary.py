"""The boundary error rate against cases drawn by hand and scikit-image on whole pictures."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.morphology import dilation, erosion

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.masks import pack_masks
from handseg_bundle_common.metrics import BoundaryErrorRate, EmptyMasks, boundary_error_rate

SQUARE = np.ones((3, 3))
PAIRS = st.tuples(st.just(2), st.just(2), st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.bool_, shape)
)


def whole_picture_error_rate(prediction: np.ndarray, reference: np.ndarray) -> float:
    padded = np.pad(reference, 1)
    band = (dilation(padded, SQUARE) & ~erosion(padded, SQUARE))[1:-1, 1:-1]
    return float((prediction != reference)[band].mean()) if band.any() else math.nan


def drawn(*rows: str) -> np.ndarray:
    """One bone, "#" inside."""
    return np.array([[[pixel == "#" for pixel in row] for row in rows]])


SQUARE_OF_THREE = drawn(
    ".....",
    ".###.",
    ".###.",
    ".###.",
    ".....",
)


@pytest.mark.parametrize(
    ("prediction", "wrong"),
    [
        pytest.param(SQUARE_OF_THREE, 0, id="equal"),
        pytest.param(np.ones_like(SQUARE_OF_THREE), 16, id="one pixel too large"),
        pytest.param(drawn(".....", ".....", "..#..", ".....", "....."), 8, id="one pixel too small"),
        pytest.param(drawn(".....", ".###.", ".#.#.", ".###.", "....."), 0, id="a hole inside the band"),
        pytest.param(np.zeros_like(SQUARE_OF_THREE), 8, id="missed"),
    ],
)
def test_a_square_of_three_pixels_has_a_band_of_twenty_four(prediction: np.ndarray, wrong: int) -> None:
    assert boundary_error_rate(prediction, SQUARE_OF_THREE).tolist() == [wrong / 24]


def test_pixels_far_from_the_outline_do_not_count() -> None:
    reference = np.zeros((1, 20, 20), bool)
    reference[0, 5:15, 5:15] = True
    prediction = reference.copy()
    prediction[0, 0, 0] = True
    prediction[0, 9:11, 9:11] = False
    assert boundary_error_rate(prediction, reference).tolist() == [0]


def test_a_bone_that_fills_the_picture_has_its_border_as_outline() -> None:
    reference = np.ones((1, 4, 4), bool)
    prediction = reference.copy()
    prediction[0, 0, 0] = prediction[0, 1, 1] = False
    assert boundary_error_rate(prediction, reference).tolist() == [1 / 12]


@given(pair=PAIRS)
def test_crops_give_what_whole_pictures_give(pair: np.ndarray) -> None:
    expected = [whole_picture_error_rate(*masks) for masks in zip(*pair, strict=True)]
    assert np.array_equal(boundary_error_rate(*pair), expected, equal_nan=True)


def test_packed_masks_give_what_masks_give() -> None:
    prediction, reference = np.random.default_rng(0).random((2, NUM_BONES, 9, 14)) < 0.2
    assert np.array_equal(
        boundary_error_rate(pack_masks(prediction), pack_masks(reference)), boundary_error_rate(prediction, reference)
    )


def test_a_bone_without_a_reference_is_not_scored_unless_told() -> None:
    false_alarm, nothing = np.ones((1, 3, 3), bool), np.zeros((1, 3, 3), bool)
    assert math.isnan(boundary_error_rate(false_alarm, nothing)[0])
    assert math.isnan(boundary_error_rate(nothing, nothing)[0])
    rule = EmptyMasks(both=0, reference=1)
    assert boundary_error_rate(false_alarm, nothing, empty=rule).tolist() == [1]
    assert boundary_error_rate(nothing, nothing, empty=rule).tolist() == [0]


def test_the_cumulative_form_averages_images_then_bones() -> None:
    predictions, references = torch.from_numpy(np.random.default_rng(1).random((2, 3, 4, 8, 8)) < 0.4)
    metric = BoundaryErrorRate()
    metric(list(predictions), list(references))
    expected = np.stack([boundary_error_rate(*pair) for pair in zip(predictions, references, strict=True)])
    assert np.array_equal(metric.aggregate("none"), expected)
    assert metric.aggregate().item() == pytest.approx(expected.mean())
