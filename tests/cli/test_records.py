"""The verbs of record: their options, what they print and their exit codes."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest

from handseg_bundle_common.cli import main


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def plan(*options: str) -> int:
    return main(["record", "new", "--name", "plan", *options])


def test_a_record_is_made_checked_and_listed(capsys) -> None:
    text = "Dice gains 1e-3: {a: [1]}"
    assert plan("--hypothesis", text, "--next-step", "Train.\nThen look.") == 0
    assert capsys.readouterr().out == "record: records/plan.md\n"
    assert f"\n{text}\n" in Path("records/plan.md").read_text()
    assert "\nTrain.\nThen look.\n" in Path("records/plan.md").read_text()
    assert main(["record", "fill", "records/plan.md", "--conclusion", "None yet."]) == 0
    assert capsys.readouterr().out == "filled in: records/plan.md\n"
    assert main(["record", "index"]) == 0
    assert capsys.readouterr().out == "1 record: records/index.html\n"
    assert main(["record", "check"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("records/plan.md:")
    assert "no result was ever filled in" in out
    assert "1 of 1 record incomplete" in out
    assert "Not compared with MLflow" in out
    assert not Path("mlflow.db").exists()


def test_a_complete_record_ends_with_0(capsys, tmp_path) -> None:
    # MLflow keeps stores by their addresses, and a relative one may be that of another test's folder.
    store = f"sqlite:///{tmp_path}/runs.db"
    client = mlflow.MlflowClient(store)
    run = client.create_run(client.create_experiment("trials"), run_name="one").info.run_id
    client.set_terminated(run)
    texts = ["--hypothesis", "It runs.", "--conclusion", "It does."]
    assert main(["record", "new", "--run", "one", "--experiment", "trials", *texts, "--tracking_uri", store]) == 0
    capsys.readouterr()
    assert main(["record", "check", "records/one.md", "--tracking_uri", store]) == 0
    assert capsys.readouterr().out == "1 record complete\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("record new", "--run: is missing"),
        ("record new --name", "--name: has no value"),
        ("record new --run a", "no MLflow database"),
        ("record new --name a --hypothesis <!--", "--hypothesis: a comment opens here"),
        ("record fill absent.md", "absent.md: cannot be read"),
        ("record check", "records: holds no record"),
        ("record check absent.md", "absent.md: cannot be read"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_sentence(line, message, capsys) -> None:
    assert main(line.split()) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not Path("records").exists()
