"""All scores of an image in one pass against the functions that give each of them, and against plain NumPy."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.masks import pack_masks
from handseg_bundle_common.metrics import (
    boundary_error_rate,
    case_scores,
    dice,
    hausdorff_distance,
    mean_surface_distance,
    surface_dice,
)
from handseg_bundle_common.metrics.shape_errors import shape_errors

PAIRS = st.tuples(st.just(2), st.just(3), st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.bool_, shape, elements=st.sampled_from([False, False, True]))
)
SPACINGS = st.sampled_from([None, 0.2, (0.5, 0.2)])


def columns(scores: Any) -> dict[str, np.ndarray]:
    return {field.name: getattr(scores, field.name) for field in dataclasses.fields(scores)}


def hand() -> np.ndarray:
    """Prediction and reference of 29 blocks, some at the border; a single pixel, a missed bone, a false alarm, none."""
    masks = np.zeros((2, NUM_BONES, 60, 70), bool)
    for bone in range(NUM_BONES):
        row, column = divmod(bone, 7)
        masks[0, bone, 10 * row : 10 * row + 8, 9 * column : 9 * column + 6] = True
        masks[1, bone, 10 * row + 1 : 10 * row + 7, 9 * column + 2 : 9 * column + 9] = True
    masks[:, 3] = False
    masks[:, 3, 20, 33] = True
    masks[0, 5] = masks[1, 6] = masks[:, 7] = False
    return masks


@given(pair=PAIRS, spacing_mm=SPACINGS)
def test_every_column_is_what_its_function_returns(
    pair: np.ndarray, spacing_mm: float | tuple[float, float] | None
) -> None:
    in_mm = spacing_mm is not None
    unknown = np.full(len(pair[0]), np.nan)
    nsd = surface_dice(*pair)
    expected = {
        **columns(shape_errors(*pair, spacing_mm)),
        "predicted_px": [mask.sum() for mask in pair[0]],
        "reference_px": [mask.sum() for mask in pair[1]],
        "dice": dice(*torch.from_numpy(pair)),
        "boundary_error_rate": boundary_error_rate(*pair),
        "nsd_1px": nsd[0],
        "nsd_2px": nsd[1],
        "nsd_4px": nsd[2],
        "hd95_px": hausdorff_distance(*pair),
        "mean_surface_distance_px": mean_surface_distance(*pair),
        "hd95_mm": hausdorff_distance(*pair, spacing_mm=spacing_mm) if in_mm else unknown,
        "mean_surface_distance_mm": mean_surface_distance(*pair, spacing_mm=spacing_mm) if in_mm else unknown,
    }
    scores = columns(case_scores(*pair, spacing_mm))
    assert scores.keys() == expected.keys()
    for name, values in scores.items():
        assert values.dtype == np.float64
        assert np.array_equal(values, np.asarray(expected[name]), equal_nan=True), name


def test_packed_masks_give_what_masks_give() -> None:
    prediction, reference = hand()
    packed = columns(case_scores(pack_masks(prediction), pack_masks(reference), 0.15))
    plain = columns(case_scores(prediction, torch.from_numpy(reference), 0.15))
    for name, values in packed.items():
        assert values.shape == (NUM_BONES,)
        assert np.array_equal(values, plain[name], equal_nan=True), name


def test_single_pixels_misses_and_false_alarms() -> None:
    scores = case_scores(*hand())
    pixel, missed, false_alarm, absent = 3, 5, 6, 7
    bones = [pixel, missed, false_alarm, absent]
    assert scores.predicted_px[bones].tolist() == [1, 0, 48, 0]
    assert scores.reference_px[bones].tolist() == [1, 42, 0, 0]
    assert scores.dice[bones] == pytest.approx([1, 0, 0, 1], abs=1e-5)
    assert np.array_equal(scores.nsd_2px[bones], [1, 0, 0, np.nan], equal_nan=True)
    assert np.array_equal(scores.hd95_px[bones], [0, np.nan, np.nan, np.nan], equal_nan=True)


def test_a_prediction_like_the_reference_has_full_scores_and_no_error() -> None:
    reference = hand()[1]
    there = reference.any((1, 2))
    scores = columns(case_scores(reference, reference, 0.15))
    assert scores.pop("predicted_px").tolist() == scores.pop("reference_px").tolist() == reference.sum((1, 2)).tolist()
    for name, values in scores.items():
        assert np.all(values[there] == (name == "dice" or name.startswith("nsd"))), name


def test_a_case_that_cannot_be_scored_is_refused() -> None:
    masks = hand()[0]
    with pytest.raises(ValueError, match="spacing_mm"):
        case_scores(masks, masks, -1)
    with pytest.raises(ValueError, match="size"):
        case_scores(masks, masks[:, 1:])
    with pytest.raises(TypeError, match="threshold"):
        case_scores(masks.astype(np.float32), masks)
