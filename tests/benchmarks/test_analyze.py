"""The benchmark of the analysis on a small hand: its two ways agree, and a difference would be found."""

from __future__ import annotations

import numpy as np
import pytest

from handseg_bundle_common.masks import unpack_masks


def test_both_ways_give_the_same_numbers(script) -> None:
    pair = script.example_pair(256)
    plain = script.plain_analysis(*map(unpack_masks, pair))
    script.compare(script.fast_analysis(*pair), plain)
    assert np.count_nonzero(plain["confusion"]) > 30 + 29  # more than the diagonal and the background
    with pytest.raises(SystemExit, match="same dice"):
        script.compare(script.fast_analysis(*pair), plain | {"dice": plain["dice"] + 1e-6})


def test_the_plain_script_is_the_measure_of_speed(script, capsys: pytest.CaptureFixture[str]) -> None:
    script.print_ratio(6.0, 0.3)
    assert capsys.readouterr().out.splitlines()[-1] == "| analysis | 0.30 | 20 |"
