"""Weights over the epochs: straight lines between the points, constant outside."""

from __future__ import annotations

import pytest

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.losses.schedule import WeightSchedule


def test_a_number_holds_in_every_epoch() -> None:
    schedule = WeightSchedule("bce_weight", 0.1)
    assert {schedule(epoch) for epoch in (1, 2, 1000)} == {0.1}


@pytest.mark.parametrize(
    ("epoch", "expected"), [(1, 5), (2, 5), (3, 4.5), (6, 3), (7, 2.75), (10, 2), (11, 2), (500, 2)]
)
def test_lines_between_points(epoch: int, expected: float) -> None:
    assert WeightSchedule("bce_weight", [[2, 5], [6, 3.0], [10, 2]])(epoch) == pytest.approx(expected)


def test_two_points_at_one_epoch_are_a_step() -> None:
    schedule = WeightSchedule("bce_weight", [[1, 5], [3, 5], [3, 1], [9, 1]])
    assert [schedule(epoch) for epoch in range(1, 6)] == [5, 5, 1, 1, 1]
    assert WeightSchedule("bce_weight", [[1, 5], [1, 1]])(1) == 1


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        (-1, "dice_weight: -1 is negative; choose 0 or more"),
        ([[1, 1], [2, -0.5]], "dice_weight: -0.5 is negative"),
        ([[5, 1], [2, 1]], "dice_weight: the epochs are not in order; sort the points by their epochs"),
        ([], r"dice_weight: \[\] is neither a number nor a list of \[epoch, weight\]"),
        ([1, 2], "is neither a number"),
        ([[1, 2, 3]], "is neither a number"),
        ([[1, 2], [3]], "is neither a number"),
        (None, "None is neither a number"),
        ("linear", "'linear' is neither a number"),
        (float("nan"), "is neither a number"),
    ],
)
def test_other_weights_are_refused(weight: object, expected: str) -> None:
    with pytest.raises(HandsegInputError, match=expected):
        WeightSchedule("dice_weight", weight)
