"""Numbers per bone: one for all or one for each, by channel or by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from handseg_bundle_common.anatomy import CHANNEL, NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.losses.bones import BoneMean, BoneNumbers


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_numbers_fit_the_logits(dtype: torch.dtype) -> None:
    logits = torch.zeros((2, 3, 4, 5), dtype=dtype)
    each, all_alike = BoneNumbers("alpha", [1, 2, 3])(logits), BoneNumbers("alpha", 0.5)(logits)
    assert (each.shape, each.dtype, each.flatten().tolist()) == ((3, 1, 1), dtype, [1, 2, 3])
    assert (all_alike.shape, all_alike.item()) == ((1, 1, 1), 0.5)


@pytest.mark.parametrize("numbers", [-1, [1, -1], [], [[1, 2]], "many", None, float("nan"), [1, float("inf")]])
def test_what_is_no_number_of_0_or_more_is_refused(numbers: object) -> None:
    with pytest.raises(HandsegInputError, match=r"alpha: .* is not a number of 0 or more, or a list"):
        BoneNumbers("alpha", numbers)


def test_as_many_numbers_as_bones() -> None:
    with pytest.raises(HandsegInputError, match="alpha: has 2 numbers for 3 bones; give one number for all bones or"):
        BoneNumbers("alpha", [1, 2])(torch.zeros((1, 3, 2, 2)))


def test_mean_over_bones_by_hand() -> None:
    losses = torch.tensor([[[[1.0]], [[5.0]]], [[[3.0]], [[9.0]]]])  # (N, C, 1, 1): 2 and 7 on average
    assert BoneMean()(losses).item() == 4.5
    for weights in ([3, 1], [0.75, 0.25]):
        assert BoneMean(weights)(losses).item() == pytest.approx((3 * 2 + 7) / 4)
    assert BoneMean([0, 2])(losses).item() == pytest.approx(7)
    assert BoneMean([2])(losses).item() == pytest.approx(4.5)


def test_bones_by_name() -> None:
    losses = torch.from_numpy(np.random.default_rng(0).random((1, NUM_BONES, 2, 2)))
    weights = np.ones(NUM_BONES)
    weights[[CHANNEL["Pisiform"], CHANNEL["Ulna"]]] = 4, 0
    expected = np.average(losses.mean((0, 2, 3)).numpy(), weights=weights)
    assert BoneMean({"Ulna": 0, "Pisiform": 4.0})(losses).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"Pisform": 2.0}, "bone_weights: 'Pisform' is no bone; did you mean Pisiform"),
        ({"skull": 2.0}, "bone_weights: 'skull' is no bone; take the data set's names, such as finger-1 or Ulna"),
        ({"Ulna": -1.0}, "bone_weights of Ulna: -1.0 is not a number of 0 or more"),
        ([1.0, -1.0], r"bone_weights: .* is not a number of 0 or more"),
        ([0.0, 0.0], "bone_weights: are all 0"),
    ],
)
def test_other_weights_are_refused(weights: object, expected: str) -> None:
    with pytest.raises(HandsegInputError, match=expected):
        BoneMean(weights)
