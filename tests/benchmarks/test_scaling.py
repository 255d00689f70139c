"""Figures of cost: what is measured, drawn and told."""

from __future__ import annotations

import sys

import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory as Linux tells it")
def test_peak_memory_is_that_of_the_work(script):
    small = script.measured(lambda: len(bytearray(1)))
    large = script.measured(lambda: len(b"x" * 400_000_000))
    assert small[0] == 1
    assert large[1] >= 0
    assert large[2] > small[2] + 0.3


def test_a_chart_shows_seconds_and_memory_from_zero(script, tmp_path):
    costs = [script.Cost(1, 0.5, 1.0), script.Cost(2, 1.0, 1.1)]
    drawn = script.chart("images", "Images", "images", "Caption.", costs)
    seconds, memory = drawn.figure.axes
    assert seconds.get_lines()[0].get_ydata().tolist() == [0.5, 1.0]
    assert memory.get_lines()[0].get_ydata().tolist() == [1.0, 1.1]
    assert seconds.get_ylim()[0] == memory.get_ylim()[0] == 0


def test_the_table_has_a_line_for_every_amount(script):
    told = script.table("images", [script.Cost(1, 0.5, 1.0), script.Cost(8, 4.0, 1.05)])
    assert told.splitlines()[2:] == ["| 1 | 0.50 | 1.00 |", "| 8 | 4.00 | 1.05 |"]
