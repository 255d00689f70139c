"""What is trained and compared: a plan that the bundles understand, and commands that go on where they stopped."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.simulation import RESERVED_SEEDS


@pytest.fixture(scope="module")
def plan(repository: Path) -> dict[str, Any]:
    return dict(json.loads((repository / "benchmarks" / "comparisons" / "plan.json").read_text()))


@pytest.fixture
def commands(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Commands are noted and not run."""
    noted: list[list[str]] = []

    def note(_: Path, command: Sequence[str]) -> None:
        noted.append(list(command))

    monkeypatch.setattr(script, "_run", note)
    return noted


def option(command: Sequence[str], name: str) -> str:
    return command[command.index(name) + 1]


def test_the_plan_names_runs_recipes_and_settings_that_there_are(plan: dict[str, Any], repository: Path) -> None:
    for run in plan["runs"].values():
        configs = repository / "bundles" / run["bundle"] / "configs"
        names = ["evaluate"] if "members" in run else ["train", *run.get("recipe", ())]
        known: set[str] = set()
        for name in names:
            known |= json.loads((configs / f"{name}.json").read_text()).keys()
        assert run["settings"].keys() <= known
        assert set(run.get("members", ())) <= plan["runs"].keys()
    for comparison in plan["comparisons"]:
        assert {comparison["baseline"], *comparison["runs"]} <= plan["runs"].keys()


def test_hands_to_test_with_are_apart_from_training_and_benchmark(plan: dict[str, Any]) -> None:
    seeds = [plan["data"][part]["seed"] for part in ("training", "test")]
    assert len(set(seeds)) == 2
    assert not set(seeds) & set(RESERVED_SEEDS)


def test_a_pair_differs_in_what_its_title_says(plan: dict[str, Any]) -> None:
    runs = plan["runs"]
    whole, windows = (runs[f"effisegnet-{name}"]["settings"] for name in ("dice-focal", "windows"))
    assert windows == whole | {"image_size": 2 * whole["image_size"], "window_size": whole["image_size"]}
    assert runs["effisegnet-swa"]["settings"] == whole
    assert runs["effisegnet-tuned"] == runs["swin-unetr-tuned"] | {"bundle": "effisegnet"}


def test_a_finished_training_is_not_repeated(
    script: ModuleType, plan: dict[str, Any], commands: list[list[str]], tmp_path: Path
) -> None:
    (tmp_path / "effisegnet-swa").mkdir()
    script.train(plan, "effisegnet-swa", tmp_path)
    script.train(plan, "effisegnet-swa", tmp_path)
    script.train(plan, "ensemble-of-three", tmp_path)

    (command,) = commands
    files = option(command, "--config_file")
    assert files.index("train.json") < files.index("dice_focal.json") < files.index("swa.json")
    assert option(command, "--resume") == "True"
    assert option(command, "--batch_size") == "4"


def test_averaged_weights_and_members_are_what_is_tested(
    script: ModuleType, plan: dict[str, Any], commands: list[list[str]], tmp_path: Path
) -> None:
    script.evaluate(plan, "effisegnet-swa", tmp_path)
    script.evaluate(plan, "ensemble-of-three", tmp_path)

    averaged, _, ensemble, analysed = commands
    assert option(averaged, "--weights") == "effisegnet-swa/models/swa.pt"
    overlay = json.loads((tmp_path / "ensemble-of-three" / "members.json").read_text())
    assert option(ensemble, "--config_file").endswith("members.json']")
    assert overlay["weights"] is None
    assert [Path(member["weights"]).parts[-3] for member in overlay["members"]] == plan["runs"]["ensemble-of-three"][
        "members"
    ]
    assert option(analysed, "--predictions") == "ensemble-of-three/evaluation/predictions.csv"


def test_a_record_that_is_there_is_filled_and_not_begun_anew(
    script: ModuleType, plan: dict[str, Any], commands: list[list[str]], tmp_path: Path
) -> None:
    comparison = plan["comparisons"][0]
    script.note(comparison, tmp_path, tmp_path)
    (tmp_path / f"{comparison['name']}.md").touch()
    script.note(comparison, tmp_path, tmp_path)

    assert [command[1:3] for command in commands] == [["record", "new"], ["record", "fill"]]
    assert option(commands[0], "--hypothesis") == comparison["hypothesis"]


def test_a_command_that_fails_is_named(script: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(HandsegInputError, match="exit status 3"):
        script._run(tmp_path, [sys.executable, "-c", "raise SystemExit(3)"])


def test_figures_of_the_tests_are_copied_to_the_page(
    script: ModuleType, plan: dict[str, Any], commands: list[list[str]], tmp_path: Path
) -> None:
    drawn = tmp_path / "compared" / "comparison_figures" / "difference_per_bone.png"
    drawn.parent.mkdir(parents=True)
    drawn.write_bytes(b"picture")

    (picture,) = script.draw(plan, tmp_path, tmp_path / "docs")

    assert (tmp_path / "docs" / picture).read_bytes() == b"picture"
    assert option(commands[0], "--runs").split(",") == [f"{name}-test" for name in plan["drawn"]]
