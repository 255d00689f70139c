"""The verb `select-members`: what it passes on, and what it refuses before anything is read."""

from __future__ import annotations

from types import SimpleNamespace

import fire
import pytest

from handseg_bundle_common import ensemble
from handseg_bundle_common.cli.arguments import Job
from handseg_bundle_common.cli.ensembles import select_members
from handseg_bundle_common.errors import HandsegInputError


def job(*words: str) -> Job:
    found = fire.Fire(select_members, list(words), "handseg", serialize=lambda _: None)
    assert isinstance(found, Job)
    return found


@pytest.fixture
def called(monkeypatch):
    """What the package's functions are called with."""
    member = {"name": "a", "bundle": "bundles/a", "weights": "a.pt"}
    calls = SimpleNamespace(chosen=None, written=None, made=None, settings={"members": [member]})

    def choose(*arguments, **options):
        calls.chosen = (arguments, options)
        return "a selection"

    monkeypatch.setattr(ensemble, "select_members", choose)
    monkeypatch.setattr(ensemble, "write_selection", lambda *arguments: setattr(calls, "written", arguments))
    monkeypatch.setattr(ensemble, "selection_text", lambda selection, output: f"{selection} in {output}")
    monkeypatch.setattr(ensemble, "ensemble_settings", lambda selection: calls.settings)
    monkeypatch.setattr(ensemble, "write_ensemble_bundle", lambda *arguments: setattr(calls, "made", arguments))
    return calls


def test_folders_options_and_defaults(called):
    assert (
        job("--predictions", "a", "b", "c", "--labels", "data", "--output", "out")
        .start()
        .startswith("a selection in out")
    )
    assert called.chosen == (
        (["a", "b", "c"], "data"),
        {"weights": None, "objective": "both", "size": None, "folds": 5, "seed": 0},
    )
    assert called.written == ("out", "a selection")
    assert called.made == (called.settings, "out")


def test_it_says_why_no_bundle_is_made(called, monkeypatch):
    def refuse(settings, output):
        raise HandsegInputError("theirs", "is an ensemble itself", "name its members instead")

    monkeypatch.setattr(ensemble, "write_ensemble_bundle", refuse)
    text = job("--predictions", "a", "--labels", "data", "--output", "out").start()
    assert text == ("a selection in out\nNo bundle is made: theirs: is an ensemble itself; name its members instead.")
    assert called.written == ("out", "a selection")


def test_weights_that_shall_take_part(called):
    job("--predictions", "a", "b", "--weights", "1.pt, 2.pt", "--labels", "data", "--output", "out").start()
    assert called.chosen[0][0] == ["a", "b"]
    assert called.chosen[1]["weights"] == ["1.pt", "2.pt"]


def test_numbers(called):
    words = ("--predictions=a", "b", "--labels=data", "--output=out", "--objective=small")
    job(*words, "--size=2", "--folds=3", "--seed=4").start()
    assert called.chosen[1] == {"weights": None, "objective": "small", "size": 2, "folds": 3, "seed": 4}


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("--size=two", "--size: 'two' is not a whole number"),
        ("--objective", "--objective: has no"),
        ("--weights", "--weights: has no"),
    ],
)
def test_values_that_cannot_be_used(word, problem):
    with pytest.raises(HandsegInputError, match=f"^{problem}"):
        job("--predictions=a", "b", "--labels=data", "--output=out", word)
