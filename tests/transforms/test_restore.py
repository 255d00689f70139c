"""Logits back to the native size, against PyTorch's own interpolation."""

from __future__ import annotations

import math
import tracemalloc

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import MetaTensor
from torch.nn import functional

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.masks import unpack_masks
from handseg_bundle_common.transforms import RestoreMasksd, restore_masks


@pytest.fixture
def logits() -> torch.Tensor:
    return torch.randn((NUM_BONES, 12, 9), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("native_size", [(12, 9), (61, 40), (24, 18), (7, 5), (1, 30)])
@pytest.mark.parametrize("threshold", [0.5, 0.2])
def test_is_bilinear_interpolation_then_a_threshold(
    logits: torch.Tensor, native_size: tuple[int, int], threshold: float
) -> None:
    enlarged = functional.interpolate(logits[None], native_size, mode="bilinear", align_corners=False)[0]
    distance = (enlarged - math.log(threshold / (1 - threshold))).numpy()
    masks = unpack_masks(restore_masks(logits, native_size, threshold))
    assert masks.shape == (NUM_BONES, *native_size)
    decided = np.abs(distance) > 1e-4
    assert decided.mean() > 0.99
    assert np.array_equal(masks[decided], (distance > 0)[decided])


def test_every_bone_may_have_a_threshold_of_its_own(logits: torch.Tensor) -> None:
    thresholds = np.linspace(0.2, 0.8, NUM_BONES).tolist()
    masks = unpack_masks(restore_masks(logits, (12, 9), thresholds))
    expected = torch.sigmoid(logits) > torch.tensor(thresholds)[:, None, None]
    assert np.array_equal(masks, expected.numpy())


def test_half_precision_logits_are_taken(logits: torch.Tensor) -> None:
    for dtype in (torch.float16, torch.bfloat16):
        assert np.array_equal(
            restore_masks(logits.to(dtype), (12, 9)), restore_masks(logits.to(dtype).float(), (12, 9))
        )


def naive(logits: np.ndarray, native_size: tuple[int, int], thresholds: list[float]) -> np.ndarray:
    """The whole of every bone, enlarged and thresholded."""
    size = native_size[::-1]
    levels = [math.log(threshold / (1 - threshold)) for threshold in thresholds]
    enlarged = [cv2.resize(bone, size, interpolation=cv2.INTER_LINEAR) for bone in logits]
    return np.stack([bone > level for bone, level in zip(enlarged, levels, strict=True)])


def blobs(rng: np.random.Generator, working_size: tuple[int, int]) -> np.ndarray:
    """Logits of bones as networks give them: a few smooth spots below zero elsewhere, some bones not there at all."""
    logits = rng.normal(size=(NUM_BONES, *working_size)).astype(np.float32) - 2.5
    logits += rng.integers(0, 2, (NUM_BONES, 1, 1)) * np.float32(1.5)
    return np.stack([cv2.GaussianBlur(bone, (0, 0), rng.uniform(0.1, 1.5)) for bone in logits])


sides = st.integers(1, 40)


@given(st.integers(0, 2**32), st.tuples(sides, sides), st.tuples(st.integers(1, 700), st.integers(1, 700)))
def test_is_what_enlarging_the_whole_of_every_bone_gives(
    seed: int, working_size: tuple[int, int], native_size: tuple[int, int]
) -> None:
    rng = np.random.default_rng(seed)
    logits = blobs(rng, working_size)
    thresholds = rng.uniform(0.05, 0.95, NUM_BONES).tolist()
    masks = unpack_masks(restore_masks(logits, native_size, thresholds))
    np.testing.assert_array_equal(masks, naive(logits, native_size, thresholds))


@pytest.mark.parametrize("value", [0.0, 0.7, -3.0, math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("background", [-5.0, 0.0, 0.7])
def test_plateaus_and_numbers_that_are_none_are_treated_as_in_the_whole(value: float, background: float) -> None:
    logits = np.full((NUM_BONES, 8, 8), background, np.float32)
    logits[:, 3:5, 2:7] = value
    for threshold in (0.5, 1 / (1 + math.exp(-0.7))):
        masks = unpack_masks(restore_masks(logits, (37, 100), threshold))
        np.testing.assert_array_equal(masks, naive(logits, (37, 100), [threshold] * NUM_BONES))


def test_needs_memory_for_one_bone_at_a_time(logits: torch.Tensor) -> None:
    side = 512
    tracemalloc.start()
    restore_masks(logits, (side, side))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * side * side * np.dtype(np.float32).itemsize


@pytest.mark.parametrize("native_size", [torch.tensor([30, 20]), [30, 20], (30, 20), np.array([30, 20])])
def test_transform_takes_the_size_in_any_form(logits: torch.Tensor, native_size: object) -> None:
    item = {"pred": MetaTensor(logits), "native_size": native_size, "image_name": "a.png"}
    result = RestoreMasksd(threshold=0.4)(item)
    assert result["pred"].dtype == torch.uint8
    assert np.array_equal(result["pred"].numpy(), unpack_masks(restore_masks(logits, (30, 20), 0.4)))
    assert result["image_name"] == "a.png"
    assert item["pred"].shape == logits.shape, "the item given is left as it was"
