"""`handseg log-run`: what it takes, and what it says."""

from __future__ import annotations

import pytest

from handseg_bundle_common import tracking
from handseg_bundle_common.cli import main
from handseg_bundle_common.tracking import LoggedRun


@pytest.fixture
def calls(monkeypatch):
    """What the verb asks for; a run named `twice` stands there already."""
    found = []

    def log_run(folder, **options):
        found.append((folder, options))
        model = "models:/handseg-effisegnet/1" if options["log_model"] else None
        return LoggedRun("0123", options["name"] or "effisegnet-1", "training", options["name"] != "twice", model)

    monkeypatch.setattr(tracking, "log_run", log_run)
    return found


def test_it_says_what_it_logged(calls, capsys):
    assert main(["log-run", "runs/first/training"]) == 0
    assert capsys.readouterr().out == "training effisegnet-1 logged: run 0123\n"
    assert calls == [
        (
            "runs/first/training",
            {
                "tracking_uri": "sqlite:///mlflow.db",
                "experiment": "handseg",
                "name": None,
                "weights": None,
                "log_model": False,
            },
        )
    ]


def test_it_says_when_there_was_nothing_to_do(calls, capsys):
    assert main(["log-run", "1e3", "--name", "twice"]) == 0
    assert capsys.readouterr().out == "training twice stands in MLflow already: run 0123\n"
    assert calls[0][0] == "1e3"


def test_it_says_where_the_model_is(calls, capsys):
    assert main(["log-run", "run", "--tracking-uri", "http://127.0.0.1:5000", "--log-model"]) == 0
    assert capsys.readouterr().out.endswith("\nregistered as models:/handseg-effisegnet/1\n")
    assert calls[0][1]["tracking_uri"] == "http://127.0.0.1:5000"


@pytest.mark.parametrize("words", [["run", "--name"], ["run", "--log-model", "yes"], ["run", "--weights"]])
def test_options_are_checked_before_anything_starts(words, calls, capsys):
    assert main(["log-run", *words]) == 2
    assert capsys.readouterr().err.startswith(f"handseg: {words[1]}")
    assert not calls
