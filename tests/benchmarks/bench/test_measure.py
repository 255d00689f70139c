"""Memory in a process of its own."""

from __future__ import annotations

import pytest
import torch


def test_a_map_is_weighed(script, monkeypatch):
    if not script._RESET.exists():
        pytest.skip("only Linux tells a process's peak memory")
    held = 100_000_000

    class Row:
        textbook = staticmethod(lambda: torch.ones(held, dtype=torch.uint8))
        ours = staticmethod(lambda: torch.ones(held // 10, dtype=torch.uint8))

    monkeypatch.setattr(script, "comparisons", lambda *_: [Row])
    assert script.added("group", 0, "textbook", 64) == pytest.approx(100, rel=0.1)
    assert script.added("group", 0, "ours", 64) == pytest.approx(10, abs=5)


def test_a_process_that_fails_tells_why(script):
    if not script._RESET.exists():
        pytest.skip("only Linux tells a process's peak memory")
    with pytest.raises(SystemExit, match="nowhere"):
        script.weigh("nowhere", 0, "ours", 64)
