"""Logits back to the native size, against PyTorch's own interpolation."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
import torch
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
