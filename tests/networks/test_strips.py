"""Rows of maps: those beyond the border are zeros, and every row belongs to one strip."""

import pytest
import torch

from handseg_bundle_common.networks import strips as module
from handseg_bundle_common.networks.strips import Strip, strips


def test_rows_beyond_the_map_are_zeros():
    values = torch.arange(1.0, 5.0).view(1, 1, 4, 1)
    assert Strip(values, 0, 4).rows(-2, 5).flatten().tolist() == [0, 0, 1, 2, 3, 4, 0]


def test_rows_are_counted_in_the_whole_map():
    middle = Strip(torch.tensor([5.0, 6.0, 7.0]).view(1, 1, 3, 1), 5, 100)
    assert middle.rows(6, 8).flatten().tolist() == [6, 7]


@pytest.mark.parametrize(("height", "values_of_a_row", "multiple"), [(64, 1, 1), (64, 9, 1), (33, 9, 2), (7, 1000, 4)])
def test_strips_cover_every_row_once(monkeypatch, height, values_of_a_row, multiple):
    monkeypatch.setattr(module, "STRIP_VALUES", 50)
    parts = list(strips(height, values_of_a_row, multiple))
    assert [row for start, stop in parts for row in range(start, stop)] == list(range(height))
    assert all(start % multiple == 0 for start, _ in parts)
    assert all(stop - start <= max(4, 50 // values_of_a_row) + multiple for start, stop in parts)
