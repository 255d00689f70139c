"""Crops of bones against bounding boxes found pixel by pixel in padded pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.masks import pack_masks
from handseg_bundle_common.metrics import EmptyMasks, bone_crops, score_crops

PAIRS = st.tuples(st.just(2), st.just(4), st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.bool_, shape, elements=st.sampled_from([False] * 7 + [True]))
)


def sparse_pair(seed: int = 0) -> np.ndarray:
    """Prediction and reference of 29 bones, some empty in one of them or in both."""
    masks = np.random.default_rng(seed).random((2, NUM_BONES, 12, 17)) < 0.03
    masks[0, :4] = False
    masks[1, 2:6] = False
    return masks


@given(pair=PAIRS, margin=st.integers(0, 3))
def test_a_crop_is_the_bounding_box_with_a_margin_in_the_padded_picture(pair: np.ndarray, margin: int) -> None:
    crops = list(bone_crops(*pair, margin=margin))
    assert [crop.channel for crop in crops] == [0, 1, 2, 3]
    for crop, prediction, reference in zip(crops, *pair, strict=True):
        pixels = np.argwhere(prediction | reference) if (prediction | reference).any() else np.zeros((1, 2), int)
        (top, left), (bottom, right) = pixels.min(0), pixels.max(0) + 1
        window = slice(top, bottom + 2 * margin), slice(left, right + 2 * margin)
        assert np.array_equal(crop.prediction, np.pad(prediction, margin)[window])
        assert np.array_equal(crop.reference, np.pad(reference, margin)[window])
        assert crop.offset == (top - margin, left - margin)
        assert np.array_equal(
            np.pad(np.ones_like(prediction), margin)[window], _ones_inside(crop.prediction.shape, crop.inside)
        )


def _ones_inside(shape: tuple[int, int], inside: tuple[slice, slice]) -> np.ndarray:
    ones = np.zeros(shape, bool)
    ones[inside] = True
    return ones


def test_crops_are_bytes_in_one_piece() -> None:
    for crop in bone_crops(*sparse_pair()):
        for mask in (crop.prediction, crop.reference):
            assert mask.dtype == np.uint8
            assert mask.flags.c_contiguous
            assert mask.max() <= 1


@pytest.mark.parametrize(
    "convert",
    [
        pytest.param(pack_masks, id="packed"),
        pytest.param(torch.from_numpy, id="tensor"),
        pytest.param(lambda masks: torch.from_numpy(pack_masks(masks)), id="packed tensor"),
        pytest.param(lambda masks: masks.astype(np.uint8) * 255, id="bytes"),
        pytest.param(np.asfortranarray, id="other order in memory"),
    ],
)
def test_every_form_of_masks_gives_the_same_crops(convert) -> None:
    prediction, reference = sparse_pair()
    plain = list(bone_crops(prediction, reference))
    for pair in ((convert(prediction), convert(reference)), (prediction, convert(reference))):
        for crop, expected in zip(bone_crops(*pair), plain, strict=True):
            assert (crop.channel, crop.offset, crop.inside) == (expected.channel, expected.offset, expected.inside)
            assert np.array_equal(crop.prediction, expected.prediction)
            assert np.array_equal(crop.reference, expected.reference)


def test_the_last_bone_has_the_last_bit() -> None:
    packed = np.zeros((5, 6), np.uint32)
    packed[3, 4] = 1 << (NUM_BONES - 1)
    *others, last = bone_crops(packed, np.zeros_like(packed))
    assert last.offset == (2, 3)
    assert last.prediction.tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert not any(crop.prediction.any() for crop in others)


def test_what_is_not_a_pair_of_masks_is_refused() -> None:
    masks, packed = np.ones((NUM_BONES, 4, 4), bool), np.ones((4, 4), np.uint32)
    for wrong in (masks[1:], masks[:, 1:], packed[1:], masks[None], masks[:, :0]):
        with pytest.raises(ValueError, match=r"shape|size"):
            list(bone_crops(wrong, masks))
    with pytest.raises(TypeError, match="threshold"):
        list(bone_crops(masks.astype(np.float32), masks))
    with pytest.raises(TypeError, match="uint32"):
        list(bone_crops(packed.astype(bool), masks))


def test_scores_of_crops_follow_the_table_of_empty_masks() -> None:
    masks = np.zeros((2, 4, 3, 3), bool)
    masks[0, [0, 1], 1, 1] = True
    masks[1, [0, 2], 1, 1:] = True
    rule = EmptyMasks(both=-1, reference=-2)
    assert score_crops(lambda crop: crop.channel, *masks, rule).tolist() == [0, -2, 2, -1]
    pairs = score_crops(lambda crop: np.array([crop.channel, crop.reference.sum()], float), *masks, rule)
    assert pairs.tolist() == [[0, -2, 2, -1], [2, -2, 2, -1]]
