"""What the network of each bundle learns in about the same processor time.

    python benchmarks/equal_budget.py TRAINING TEST --output FOLDER [--minutes 30] [--bundles effisegnet,segformer]
        [--image_size 256] [--batch_size 4] [--augmentation_strength 0.5] [--threads 1]

TRAINING and TEST are folders of radiographs and polygons. A few steps of network and loss on random images, and what
loading is known to take, tell how many epochs fit into the time; then the bundle is trained by its train.json with
size, batch and augmentation as given here, and evaluated on all hands of TEST. The table gives the processor time that
the training really took, its data loading included.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import torch
from networks import BUNDLES, subject

from handseg_bundle_common.anatomy import SMALL_BONES
from handseg_bundle_common.datasets import data_list
from handseg_bundle_common.weights import find_bundle

_STEPS = 4
_LOADING_S = 0.03  # a window of a radiograph of 320 px with every augmentation on


def seconds_a_step(bundle: str, size: int, batch_size: int) -> float:
    """Return the processor time of a training step, loading included."""
    tested = subject(bundle, size, batch_size)
    tested.train()
    start = time.process_time()
    for _ in range(_STEPS):
        tested.train()
    return (time.process_time() - start) / _STEPS + _LOADING_S * batch_size


def write_folds_with_first(folder: Path, patients: list[str], path: Path) -> Path:
    """Write a folds file whose first fold is the patients given, and whose second one is all others."""
    others = sorted({item["patient"] for item in data_list(folder)} - set(patients))
    path.write_text(json.dumps({"folds": [patients, others] if others else [patients]}))
    return path


def run(bundle: str, overlays: list[str], run_id: str, arguments: argparse.Namespace, **settings: object) -> float:
    """Run a bundle's configuration through MONAI's command and return the minutes of processor time it took."""
    configs = Path(find_bundle(bundle), "configs")
    files = [str(configs / name) for name in ("train.json", *overlays, "no_tracking.json")]
    command = [sys.executable, "-m", "monai.bundle", "run", run_id, "--config_file", str(files)]
    common = {"image_size": arguments.image_size, "device": "cpu", "batch_size": arguments.batch_size}
    for name, value in (common | settings).items():
        command += [f"--{name}", str(value)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"OMP_NUM_THREADS": str(arguments.threads), "OMP_WAIT_POLICY": "passive"}
    subprocess.run(command, check=True, env=environment)  # noqa: S603
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 60


def compare(bundle: str, arguments: argparse.Namespace) -> list[str]:
    """Train and evaluate one bundle; return its row of the table."""
    folder = arguments.output / bundle
    folder.mkdir(parents=True, exist_ok=True)
    patients = sorted({item["patient"] for item in data_list(arguments.training)})
    folds = write_folds_with_first(arguments.training, patients[:2], folder / "training_folds.json")
    hands = sum(item["patient"] in patients[2:] for item in data_list(arguments.training))
    steps = arguments.minutes * 60 / seconds_a_step(bundle, arguments.image_size, arguments.batch_size)
    epochs = max(1, round(steps * arguments.batch_size / hands))
    models = {"ckpt_dir": folder / "models"}
    minutes = run(
        bundle,
        [],
        "training",
        arguments,
        data_dir=arguments.training,
        folds=folds,
        output_dir=folder / "training",
        max_epochs=epochs,
        val_interval=epochs,
        augmentation_strength=arguments.augmentation_strength,
        num_workers=1,
        **models,
    )
    tested = sorted({item["patient"] for item in data_list(arguments.test)})
    folds = write_folds_with_first(arguments.test, tested, folder / "test_folds.json")
    results = folder / "evaluation"
    run(
        bundle,
        ["evaluate.json"],
        "evaluating",
        arguments,
        data_dir=arguments.test,
        folds=folds,
        output_dir=results,
        **models,
    )
    return [f"{minutes:.1f}", str(epochs), str(epochs * hands), *scores(results)]


def scores(results: Path) -> list[str]:
    """Return mean Dice, that of the small bones and that of the overlap zones."""
    with (results / "metrics.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    small = sum(float(row[f"dice/{bone}"]) for bone in SMALL_BONES) / len(SMALL_BONES)
    return [f"{float(row['mean_dice']):.3f}", f"{small:.3f}", f"{float(row['overlap_dice']):.3f}"]


def main() -> None:
    """Train the bundles one after another and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("training", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--bundles", default=",".join(BUNDLES))
    parser.add_argument("--image_size", type=int, default=256)
    parser.add_argument("--batch_size", type=int, default=4)
    parser.add_argument("--augmentation_strength", type=float, default=0.5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = [(name, *compare(name, arguments)) for name in arguments.bundles.split(",")]
    header = ("bundle", "processor min", "epochs", "windows", "mean Dice", "small bones", "overlap zones")
    print("\n" + "\n".join(f"| {' | '.join(row)} |" for row in (header, ("---",) * len(header), *rows)))


if __name__ == "__main__":
    main()
