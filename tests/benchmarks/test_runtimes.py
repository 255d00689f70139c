"""Runtimes of the networks: equal logits first, then times."""

from __future__ import annotations

import pytest
import torch


def test_all_ways_but_bfloat16_must_give_the_same_logits(script):
    logits = torch.linspace(-4, 4, 9)
    ways = {script.PLAIN: lambda: logits, script.ONNX: lambda: logits + 1e-5, script.HALF: lambda: logits + 0.5}
    assert script.compare(ways)[script.ONNX] == pytest.approx(1e-5 / 4, rel=0.1)
    with pytest.raises(SystemExit, match="ONNX Runtime gives other logits"):
        script.compare(ways | {script.ONNX: lambda: logits + 0.1})


def test_the_median_of_each_way_is_taken_in_turns(script):
    clock = iter([0, 1, 10, 12, 20, 25, 30, 31, 40, 41, 50, 57])
    calls: list[str] = []
    ways = {name: lambda name=name: calls.append(name) for name in "ab"}
    assert script.time_in_turns(ways, 3, lambda: next(clock)) == {"a": 1, "b": 2}
    assert "".join(calls) == "ababab"
