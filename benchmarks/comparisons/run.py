"""The comparisons of docs/comparisons.md: trainings, their test, MLflow runs, experiment records and the page.

    python benchmarks/comparisons [--output runs/comparisons] [--publish]

`plan.json` says what is trained and what is compared with what. Everything is kept in the output folder; a command that
was interrupted goes on where it stopped. Conclusions are written by a person, into `records/NAME.md`; the command fills
in settings and results and leaves what was written. Writes comparisons.md, its figures and the records there, or with
`--publish` into docs/.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from page import write_page

from handseg_bundle_common.datasets import data_list
from handseg_bundle_common.datasets.folds import write_folds
from handseg_bundle_common.errors import HandsegInputError, explain_input_errors
from handseg_bundle_common.files import read_json, write_atomically

EXPERIMENT = "comparisons"
_REPOSITORY = Path(__file__).parents[2]
_PLAN = Path(__file__).with_name("plan.json")

Plan = Mapping[str, Any]


def simulate(plan: Plan, output: Path) -> None:
    """Make the hands to train on and to test with, and their folds: all of the test's are in one."""
    for name, settings in plan["data"].items():
        if name != "folds" and not (output / name / "simulation.json").exists():
            _handseg(output, "simulate", *_options(settings), "--output", name)
    if not (output / "folds.json").exists():
        _handseg(output, "make-folds", "training", "--output", "folds.json", "--count", str(plan["data"]["folds"]))
    if not (output / "test_folds.json").exists():
        write_folds(output / "test_folds.json", [sorted({item["patient"] for item in data_list(output / "test")})])


def train(plan: Plan, name: str, output: Path) -> None:
    """Train a run of the plan, or go on with it; tracking is left to `handseg log-run`."""
    run = plan["runs"][name]
    if "members" in run or (output / name / "done").exists():
        return
    files = ("train", *run.get("recipe", ()), "no_tracking")
    settings = plan["training"] | run["settings"] | {"resume": True, "data_dir": "training", "folds": "folds.json"}
    settings |= {"ckpt_dir": f"{name}/models", "output_dir": f"{name}/training", "run_name": name}
    _bundle(output, "training", run["bundle"], files, settings)
    (output / name / "done").touch()


def evaluate(plan: Plan, name: str, output: Path) -> None:
    """Segment the test hands with a run's weights, and find out what went wrong."""
    run, folder = plan["runs"][name], f"{name}/evaluation"
    settings = run["settings"] | {"data_dir": "test", "folds": "test_folds.json", "fold": 0, "num_workers": 1}
    settings |= {"output_dir": folder}
    files: tuple[str, ...] = ("evaluate",)
    if "members" in run:
        overlay = output / name / "members.json"
        # MONAI's command line cannot say null, which makes all members count alike.
        members = {"members": [_member(plan, member, output) for member in run["members"]], "weights": None}
        with write_atomically(overlay) as temporary:
            temporary.write_text(json.dumps(members, indent=4) + "\n", encoding="utf-8")
        files = ("evaluate", str(overlay.with_suffix("")))
    else:
        files = ("train", *run.get("recipe", ()), "evaluate", "no_tracking")
        settings |= {"weights": f"{name}/models/{run.get('weights', 'model.pt')}", "run_name": f"{name}-test"}
    if not (output / folder / "predictions.csv").exists():
        _bundle(output, "evaluating", run["bundle"], files, settings)
    predictions = f"{folder}/predictions.csv"
    _handseg(output, "analyze", "--predictions", predictions, "--labels", "test", "--output", f"{folder}/report")


def _member(plan: Plan, name: str, output: Path) -> dict[str, Any]:
    """Return a trained run as a member of the ensemble."""
    bundle = plan["runs"][name]["bundle"]
    weights = str((output / name / "models" / "model.pt").absolute())
    return {"name": bundle, "bundle": bundle, "weights": weights, "role": "general", "windows": None}


def log(plan: Plan, name: str, output: Path) -> None:
    """Put a run's training and its test into MLflow."""
    for part, run_name in (("training", name), ("evaluation", _tested(name))):
        if (output / name / part).is_dir():
            _handseg(output, "log-run", f"{name}/{part}", "--name", run_name, *_store(output))


def note(comparison: Mapping[str, Any], output: Path, records: Path) -> None:
    """Write the record of a comparison, or fill in its settings and results anew."""
    record = records / f"{comparison['name']}.md"
    runs = ["--run", _tested(comparison["runs"][0]), "--parent", _tested(comparison["baseline"])]
    if record.exists():
        _handseg(output, "record", "fill", str(record), *runs, *_store(output))
    else:
        written = ["--hypothesis", comparison["hypothesis"], "--expected", comparison["expected"]]
        _handseg(
            output,
            "record",
            "new",
            "--name",
            comparison["name"],
            *runs,
            *written,
            "--records",
            str(records),
            *_store(output),
        )


def draw(plan: Plan, output: Path, target: Path) -> list[Path]:
    """Draw the tests of the plan's runs beside each other, and return the figures, relative to the page."""
    names = ",".join(_tested(name) for name in plan["drawn"])
    _handseg(output, "compare", "--runs", names, "--output", "compared", "--log", "False", *_store(output))
    pictures = []
    for figure in sorted((output / "compared" / "comparison_figures").glob("difference_per_bone*.png")):
        pictures.append(Path("pictures", "comparisons", figure.name))
        with write_atomically(target / pictures[-1]) as temporary:
            shutil.copyfile(figure, temporary)
    return pictures


def _tested(name: str) -> str:
    """Return the name of the MLflow run that holds a run's test."""
    return f"{name}-test"


def _store(output: Path) -> list[str]:
    return ["--tracking_uri", f"sqlite:///{output / 'mlflow.db'}", "--experiment", EXPERIMENT]


def _bundle(output: Path, entry: str, bundle: str, files: Sequence[str], settings: Mapping[str, Any]) -> None:
    configs = _REPOSITORY / "bundles" / bundle / "configs"
    listed = str([str(configs / f"{name}.json") for name in files])
    _run(output, [sys.executable, "-m", "monai.bundle", "run", entry, "--config_file", listed, *_options(settings)])


def _handseg(output: Path, *words: str) -> None:
    _run(output, [str(Path(sys.executable).with_name("handseg")), *words])


def _options(settings: Mapping[str, Any]) -> list[str]:
    return [word for name, value in settings.items() for word in (f"--{name}", str(value))]


def _run(output: Path, command: Sequence[str]) -> None:
    """Run a command in the output folder.

    Raises:
        HandsegInputError: it failed.
    """
    ended = subprocess.run(command, check=False, cwd=output, env=os.environ | {"OMP_NUM_THREADS": "1"})  # noqa: S603
    if ended.returncode:
        problem = f"failed (exit status {ended.returncode})"
        raise HandsegInputError(" ".join(command), problem, "mend what it says and repeat; what is done is kept")


def main(words: Sequence[str] | None = None) -> None:
    """Do all that the plan says, and write the page.

    Args:
        words: command line; the process's own if None.

    Raises:
        HandsegInputError: a command of the plan failed, or a file cannot be written.
    """
    arguments = _parser().parse_args(words)
    explain_input_errors()
    plan, output = read_json(arguments.plan, "restore it"), arguments.output.absolute()
    target = _REPOSITORY / "docs" if arguments.publish else output
    output.mkdir(parents=True, exist_ok=True)
    simulate(plan, output)
    for step in (train, evaluate, log):
        for name in plan["runs"]:
            step(plan, name, output)
    for comparison in plan["comparisons"]:
        note(comparison, output, target / "records")
    print(write_page(plan, output, target, draw(plan, output, target)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--plan", type=Path, default=_PLAN, help="what is trained and compared")
    parser.add_argument("--output", type=Path, default=_REPOSITORY / "runs" / "comparisons", help="what is kept")
    parser.add_argument("--publish", action="store_true", help="write page, figures and records to docs/")
    return parser
