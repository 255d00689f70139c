"""The benchmark of metrics on a small hand: its two ways agree, and a difference would be found."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from handseg_bundle_common.masks import unpack_masks
from handseg_bundle_common.metrics import case_scores


def test_both_ways_give_the_same_numbers_in_which_every_score_finds_something(script) -> None:
    pair = script.example_pair(256)
    fast = case_scores(*pair)
    plain = [script.plain_scores(*bone) for bone in zip(*map(unpack_masks, pair), strict=True)]
    script.compare(fast, plain)
    for name in plain[0]:
        assert np.unique(getattr(fast, name)).size > 1, name
    with pytest.raises(SystemExit, match="hd95_px"):
        script.compare(dataclasses.replace(fast, hd95_px=fast.hd95_px + 0.1), plain)


def test_the_slowest_way_is_the_measure_of_speed(script, capsys: pytest.CaptureFixture[str]) -> None:
    script.print_table({"plain": 2.0, "fast": 0.05})
    assert capsys.readouterr().out.splitlines()[-1] == "| fast | 0.050 | 40 |"
