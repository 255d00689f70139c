"""Counts of label sets against a dictionary filled pixel by pixel."""

from __future__ import annotations

import tracemalloc
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.masks import pack_masks
from handseg_bundle_common.metrics import LabelSets, label_sets

# Few different sets, with the first and the last bone, so that runs and repetitions occur.
SETS = st.sampled_from([0, 1, 2, 3, 1 << 28, 1 << 28 | 1, (1 << 29) - 1])
PAIRS = st.tuples(st.just(2), st.integers(1, 6), st.integers(1, 6)).flatmap(
    lambda shape: arrays(np.uint32, shape, elements=SETS)
)


def as_dictionary(sets: LabelSets) -> dict[tuple[int, int], int]:
    keys = list(zip(sets.predicted.tolist(), sets.expected.tolist(), strict=True))
    assert len(set(keys)) == len(keys), "every pair of sets comes once"
    return dict(zip(keys, sets.pixels.tolist(), strict=True))


def random_masks(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape) < 0.05


@given(pair=PAIRS)
def test_every_pixel_is_counted_by_its_two_sets(pair: np.ndarray) -> None:
    prediction, reference = pair
    expected = Counter(zip(prediction.ravel().tolist(), reference.ravel().tolist(), strict=True))
    assert as_dictionary(label_sets(prediction, reference)) == expected


@pytest.mark.parametrize(
    "convert",
    [
        pytest.param(pack_masks, id="packed"),
        pytest.param(lambda masks: torch.from_numpy(pack_masks(masks)), id="packed tensor"),
        pytest.param(lambda masks: np.asfortranarray(pack_masks(masks)), id="packed, other order in memory"),
        pytest.param(torch.from_numpy, id="tensor"),
        pytest.param(lambda masks: masks.astype(np.uint8) * 255, id="bytes"),
    ],
)
def test_every_form_of_masks_gives_the_same_counts(convert) -> None:
    prediction, reference = random_masks(2, NUM_BONES, 12, 17)
    expected = as_dictionary(label_sets(prediction, reference))
    assert as_dictionary(label_sets(convert(prediction), convert(reference))) == expected
    assert as_dictionary(label_sets(convert(prediction), reference)) == expected


def test_bool_masks_are_not_copied() -> None:
    masks = np.zeros((NUM_BONES, 256, 256), bool)
    label_sets(masks, masks)
    tracemalloc.start()
    label_sets(masks, masks)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < masks.nbytes


def test_what_is_not_a_pair_of_masks_is_refused() -> None:
    masks, packed = random_masks(NUM_BONES, 4, 5), np.zeros((4, 5), np.uint32)
    for wrong in (masks[1:], masks[:, 1:], packed[1:], packed.T, packed.astype(np.int64), masks[None], packed[:0]):
        with pytest.raises((ValueError, TypeError), match=r"masks (of two dimensions )?must|size"):
            label_sets(wrong, masks)
    with pytest.raises(TypeError, match="threshold"):
        label_sets(masks, masks.astype(np.float32))
