"""Sheets of tiles: which zones are shown, and that all text fits."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import ImageFont

from handseg_bundle_common.analysis import sheets
from handseg_bundle_common.analysis.sheets import ERROR_LEGEND, Tile, draw_sheet, worst_zones
from handseg_bundle_common.anatomy import OVERLAPPING_PAIRS

PAIRS = len(OVERLAPPING_PAIRS)


def cases(*rows):
    return [SimpleNamespace(pair_dice=np.array(row, float)) for row in rows]


def test_zones_come_lowest_mean_first_each_in_its_worst_image():
    dice = np.full((3, PAIRS), 0.9)
    dice[:, 4] = 0.9, 0.2, 0.7
    dice[:, 7] = np.nan, 0.5, 0.4
    dice[:, 9] = np.nan
    first, second, *others = worst_zones(cases(*dice), PAIRS)
    assert (first.pair, first.case, first.dice, first.mean) == (7, 2, 0.4, pytest.approx(0.45))
    assert (second.pair, second.case, second.dice, second.mean) == (4, 1, 0.2, pytest.approx(0.6))
    assert len(others) == PAIRS - 3
    assert first.bones == "trapezoid and capitate"


def test_perfect_zones_are_not_worst():
    assert worst_zones(cases(np.ones(PAIRS)), 5) == []


def test_the_number_of_zones_is_limited():
    assert len(worst_zones(cases(np.full(PAIRS, 0.5)), 5)) == 5


@pytest.mark.parametrize("name", ["short.png", "one word " * 30, "x" * 300, "spaced " + "y" * 200 + " out"])
def test_lines_are_broken_where_a_tile_ends_and_lose_nothing(name):
    font = ImageFont.load_default(sheets._FONT_PX)
    lines = [line for line, _ in sheets._wrapped_lines([name], font)]
    assert "".join(lines).replace(" ", "") == name.replace(" ", "")
    assert max(font.getlength(line) for line in lines) <= sheets._TILE_PX


def test_a_sheet_is_as_large_as_its_tiles_need():
    picture = np.full((400, 300, 3), 200, np.uint8)
    one, five = (draw_sheet([Tile(picture, ("a", "b"))] * count, ERROR_LEGEND, 4) for count in (1, 5))
    assert five.shape[1] == pytest.approx(4 * one.shape[1], rel=0.05)
    assert (five == 200).all(axis=2).sum() >= 5 * 400 * 300
    assert one.shape[2] == 3


def test_a_sheet_may_be_empty():
    assert draw_sheet([], ERROR_LEGEND, 4).ndim == 3
