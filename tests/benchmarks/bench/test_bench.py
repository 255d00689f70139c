"""The table of speed and memory: equal results first, ways in turns, groups that are measured again."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from handseg_bundle_common.errors import HandsegInputError

MARKED = "before\n<!-- bench -->\nnothing\n<!-- /bench -->\nafter\n"


@pytest.fixture
def calls() -> list[str]:
    return []


@pytest.fixture
def groups(script, monkeypatch, calls) -> dict[str, list]:
    """Two groups of rows in place of the real ones, whose memory is not measured."""
    make = sys.modules["comparison"].Comparison

    def row(name: str, result: int = 1):
        def check(textbook: int, ours: int) -> str:
            assert textbook == ours, f"{textbook} is not {ours}"
            return "equal"

        def way(label: str, value: int):
            return lambda: calls.append(f"{name} {label}") or value

        return make(name, way("textbook", 1), way("ours", result), check, target=2, weigh=False)

    found = {"first": [row("a")], "second": [row("b"), row("c")], "wrong": [row("d", 2)]}
    monkeypatch.setattr(script, "groups", lambda: ["first", "second"])
    monkeypatch.setattr(script, "comparisons", lambda group, _: found[group])
    return found


@pytest.fixture
def root(tmp_path) -> Path:
    (tmp_path / "README.md").write_text(MARKED)
    return tmp_path


def test_ways_take_turns_after_their_results_were_compared(script, groups, calls, tmp_path):
    script.main(["--only", "first", "--rounds", "2", "--output", str(tmp_path)])
    assert calls == ["a textbook", "a ours"] * 3


def test_the_table_goes_into_results_and_readme(script, groups, root):
    script.main(["--publish", "--rounds", "1"], repository=root)
    readme = (root / "README.md").read_text()
    assert readme.startswith("before\n<!-- bench -->\nMade by")
    assert readme.endswith("<!-- /bench -->\nafter\n")
    assert "nothing" not in readme
    report = json.loads((root / "benchmarks" / "results" / "bench.json").read_text())
    assert [row["name"] for row in report["rows"]] == ["a", "b", "c"]
    assert all(row["equality"] == "equal" and row["times_faster"] > 0 for row in report["rows"])
    assert "| a |" in (root / "benchmarks" / "results" / "bench.md").read_text()


def test_rows_of_other_groups_stay_if_they_were_measured_alike(script, groups, tmp_path):
    output = ["--rounds", "1", "--output", str(tmp_path)]
    script.main(output)
    kept = json.loads((tmp_path / "bench.json").read_text())["rows"][0]
    groups["second"].pop()
    script.main([*output, "--only", "second"])
    rows = json.loads((tmp_path / "bench.json").read_text())["rows"]
    assert [row["name"] for row in rows] == ["a", "b"]
    assert rows[0] == kept
    script.main([*output, "--only", "second", "--size", "64"])
    assert [row["name"] for row in json.loads((tmp_path / "bench.json").read_text())["rows"]] == ["b"]


def test_different_results_are_no_row(script, groups, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "groups", lambda: ["wrong"])
    with pytest.raises(AssertionError, match="1 is not 2"):
        script.main(["--output", str(tmp_path)])
    assert not list(tmp_path.iterdir())


def test_a_readme_without_markers_is_refused(script, groups, root):
    (root / "README.md").write_text("nothing")
    with pytest.raises(HandsegInputError, match="has no <!-- bench -->"):
        script.main(["--publish", "--rounds", "1"], repository=root)


def test_every_file_of_rows_is_a_group(script):
    module = sys.modules["comparison"]
    assert "effisegnet" in module.groups()
    assert all((module.ROWS / f"{group}.py").is_file() for group in module.groups())


def test_rows_of_effisegnet_are_equal(script):
    """At the smallest size that leaves the last features more than one pixel."""
    for row in sys.modules["comparison"].comparisons("effisegnet", 128):
        assert row.check(row.textbook(), row.ours())
