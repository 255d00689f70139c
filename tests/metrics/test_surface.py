"""Surface metrics against cases drawn by hand, SciPy on whole pictures, and MONAI's own metrics."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ignite.engine import Engine
from monai.handlers import IgniteMetricHandler
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice
from scipy.ndimage import binary_erosion, distance_transform_edt

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.masks import pack_masks
from handseg_bundle_common.metrics import (
    EmptyMasks,
    HausdorffDistance95,
    MeanSurfaceDistance,
    SurfaceDice,
    hausdorff_distance,
    mean_surface_distance,
    surface_dice,
)

PAIRS = st.tuples(st.just(2), st.just(2), st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda shape: arrays(np.bool_, shape, elements=st.sampled_from([False, True, True]))
)
SPACINGS = st.sampled_from([None, 0.2, (0.5, 0.2), (0.1, 0.3)])
# The shapes of two bones that miss each other by different amounts along their outlines.
BLOBS = np.zeros((2, 3, 40, 50), bool)
BLOBS[0, 0, 5:20, 8:30], BLOBS[1, 0, 7:25, 3:28] = True, True
BLOBS[0, 1, :10, 40:], BLOBS[1, 1, :14, 44:] = True, True
BLOBS[0, 2, 30, 30], BLOBS[1, 2, 34, 33] = True, True


def block(size: int, picture: int = 9) -> np.ndarray:
    """One square bone in the middle of the picture."""
    mask = np.zeros((1, picture, picture), bool)
    start = (picture - size) // 2
    mask[0, start : start + size, start : start + size] = True
    return mask


def pixel(row: int, column: int) -> np.ndarray:
    mask = np.zeros((1, 8, 8), bool)
    mask[0, row, column] = True
    return mask


def whole_picture_distances(a: np.ndarray, b: np.ndarray, spacing: object) -> tuple[np.ndarray, np.ndarray]:
    """Distances of two masks' surfaces, by distance maps of whole pictures."""
    surfaces = [mask & ~binary_erosion(mask) for mask in (a, b)]
    maps = [distance_transform_edt(~surface, sampling=spacing) for surface in surfaces]
    return maps[1][surfaces[0]], maps[0][surfaces[1]]


def test_blocks_one_inside_the_other() -> None:
    # Of the outer's 16 surface pixels 12 lie beside one of the inner's 8, and the corners lie across.
    inner, outer = block(3), block(5)
    assert surface_dice(inner, outer).tolist() == [[20 / 24], [1], [1]]
    assert hausdorff_distance(inner, outer).tolist() == [math.sqrt(2)]
    assert mean_surface_distance(inner, outer)[0] == pytest.approx((20 + 4 * math.sqrt(2)) / 24, abs=1e-15)


def test_two_pixels_in_px_and_in_mm() -> None:
    a, b = pixel(0, 0), pixel(3, 4)
    assert surface_dice(a, b, (4.99, 5.0)).tolist() == [[0], [1]]
    assert hausdorff_distance(a, b).tolist() == mean_surface_distance(a, b).tolist() == [5]
    assert hausdorff_distance(a, b, spacing_mm=0.1)[0] == pytest.approx(0.5)
    assert mean_surface_distance(a, b, spacing_mm=(2.0, 0.5))[0] == pytest.approx(math.sqrt(40))


def test_a_hole_has_a_surface() -> None:
    pierced = block(7)
    pierced[0, 4, 4] = False
    # Both have an outline of 24 pixels; the hole's four neighbours lie two pixels inside it.
    assert surface_dice(block(7), pierced).tolist() == [[48 / 52], [1], [1]]


@pytest.mark.parametrize(("percentile", "expected"), [(0, 0.0), (50, 1.5), (95, 2.85), (100, 3.0)])
def test_percentiles_are_interpolated(percentile: float, expected: float) -> None:
    row = np.ones((1, 1, 4), bool)
    assert hausdorff_distance(row, row & (np.arange(4) == 0), percentile)[0] == pytest.approx(expected)


def test_a_distance_that_rounding_lifts_over_the_tolerance_lies_within_it() -> None:
    a, b = pixel(1, 0), pixel(7, 0)
    assert 7 * 0.1 - 1 * 0.1 > 0.6, "the case that is meant"
    assert surface_dice(a, b, 0.6, spacing_mm=0.1).tolist() == [1]


@given(pair=PAIRS, spacing_mm=SPACINGS)
@settings(max_examples=60)
def test_crops_give_what_whole_pictures_give(pair: np.ndarray, spacing_mm: float | tuple[float, float] | None) -> None:
    tolerance = 1.0 if spacing_mm is None else 0.2
    scores = np.array(
        [
            surface_dice(*pair, tolerance, spacing_mm=spacing_mm),
            hausdorff_distance(*pair, spacing_mm=spacing_mm),
            mean_surface_distance(*pair, spacing_mm=spacing_mm),
        ]
    )
    for bone, (a, b) in enumerate(zip(*pair, strict=True)):
        if not (a.any() and b.any()):
            assert np.array_equal(scores[:, bone], [0 if a.any() or b.any() else math.nan, math.nan, math.nan], True)
            continue
        there, back = whole_picture_distances(a, b, spacing_mm)
        both = np.concatenate((there, back))
        expected = (both <= tolerance + 1e-12).mean(), max(np.percentile(d, 95) for d in (there, back)), both.mean()
        assert scores[:, bone] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("spacing_mm", "tolerance"), [(None, 2.0), (0.15, 0.4), ((0.2, 0.1), 0.3)])
def test_scores_equal_monai(spacing_mm: float | tuple[float, float] | None, tolerance: float) -> None:
    a, b = (torch.from_numpy(masks)[None] for masks in BLOBS)
    ours, monai = {"spacing_mm": spacing_mm}, {"spacing": spacing_mm, "include_background": True}
    for score, expected in (
        (surface_dice(*BLOBS, tolerance, **ours), compute_surface_dice(a, b, [tolerance] * 3, **monai)),
        (hausdorff_distance(*BLOBS, **ours), compute_hausdorff_distance(a, b, percentile=95, **monai)),
        (mean_surface_distance(*BLOBS, **ours), compute_average_surface_distance(a, b, symmetric=True, **monai)),
    ):
        assert score == pytest.approx(expected[0].numpy(), rel=1e-6)


def test_packed_masks_give_what_masks_give() -> None:
    prediction, reference = np.random.default_rng(0).random((2, NUM_BONES, 9, 14)) < 0.2
    for metric in (surface_dice, hausdorff_distance, mean_surface_distance):
        assert np.array_equal(metric(pack_masks(prediction), pack_masks(reference)), metric(prediction, reference))


def test_meaning_of_empty_masks_is_a_table() -> None:
    masks = np.concatenate([block(3), block(3), np.zeros_like(block(3)), np.zeros_like(block(3))])
    prediction, reference = masks[[0, 1, 2, 3]], masks[[0, 2, 1, 3]]
    with warnings.catch_warnings(action="error"):
        assert np.array_equal(surface_dice(prediction, reference, 1.0), [1, 0, 0, math.nan], equal_nan=True)
        for metric in (hausdorff_distance, mean_surface_distance):
            assert np.array_equal(metric(prediction, reference), [0, math.nan, math.nan, math.nan], equal_nan=True)
            # A missed bone and a false alarm may count as far as the picture is wide.
            penalty = EmptyMasks(both=0, reference=9, prediction=9)
            assert metric(prediction, reference, empty=penalty).tolist() == [0, 9, 9, 0]


@pytest.mark.parametrize("spacing_mm", [0, -0.1, math.nan, math.inf, (0.1, 0)])
def test_a_spacing_is_positive(spacing_mm: float | tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="spacing_mm"):
        mean_surface_distance(block(3), block(3), spacing_mm=spacing_mm)


@pytest.mark.parametrize(
    ("metric", "function"),
    [
        pytest.param(SurfaceDice(1.0), lambda a, b: surface_dice(a, b, 1.0), id="surface Dice"),
        pytest.param(
            SurfaceDice(0.3, spacing_mm=(0.2, 0.1)),
            lambda a, b: surface_dice(a, b, 0.3, spacing_mm=(0.2, 0.1)),
            id="surface Dice in mm",
        ),
        pytest.param(HausdorffDistance95(), hausdorff_distance, id="Hausdorff distance"),
        pytest.param(MeanSurfaceDistance(), mean_surface_distance, id="mean surface distance"),
    ],
)
def test_runs_behind_an_ignite_handler(metric, function: Callable[..., np.ndarray]) -> None:
    prediction, reference = (torch.from_numpy(masks) for masks in BLOBS)
    engine = Engine(lambda _, batch: batch)
    IgniteMetricHandler(metric_fn=metric).attach(engine, "score")
    engine.run([([prediction], [reference]), ([reference], [reference])])
    expected = np.stack([function(prediction, reference), function(reference, reference)])
    assert np.array_equal(engine.state.metric_details["score"], expected)
    assert engine.state.metrics["score"] == pytest.approx(expected.mean())
