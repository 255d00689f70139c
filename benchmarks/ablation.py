"""Equal trainings of one small network on several sets of simulated hands, compared on real radiographs.

    python benchmarks/ablation.py --data first=DIR second=DIR --landmarks DIR --output DIR [--max_epochs 4]

The landmark folder holds radiographs and points.json, with one point well inside each bone of each picture:
{"size_px": [width, height], "points": {"hand_00": {"finger-1": [x, y], ...}, ...}}. The first picture is the original,
the others are its variants; none of them is trained on. A bone scores when its mask covers its own point and the point
of no other bone, but for pisiform and triquetrum, which lie over each other.

Writes scores.csv and scores.md, and prints the latter. Trainings and predictions that are there already are kept.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.files import open_csv, read_json, write_atomically, write_csv
from handseg_bundle_common.formats.rle import decode_rle, read_submission
from handseg_bundle_common.resources import shared_path

RECIPE = {
    "batch_size": 2,
    "learning_rate": 0.003,
    "augmentation_strength": 0.8,
    "num_workers": 1,
}
LIE_OVER_EACH_OTHER = {"Pisiform", "Triquetrum"}
HANDSEG = (sys.executable, "-m", "handseg_bundle_common.cli")
MONAI = (sys.executable, "-m", "monai.bundle", "run")


@dataclass(frozen=True)
class Contestant:
    """One set of simulated hands and the network that is trained on it.

    Attributes:
        name: what it is called in the tables.
        data: folder in the layout of the data set.
        output: folder for everything that is made of it.
    """

    name: str
    data: Path
    output: Path

    @property
    def folds(self) -> Path:
        """Which patients belong to which fold."""
        return self.output / "folds.json"

    @property
    def weights(self) -> Path:
        """Weights of the network, there only when the training has ended."""
        return self.output / "weights.pt"


@dataclass(frozen=True)
class LandmarkScores:
    """Bones found in real radiographs.

    Attributes:
        found: number of bones that score, by picture.
        missed: how often each bone does not.
    """

    found: dict[str, int]
    missed: Counter[str]

    @property
    def original(self) -> int:
        """Bones found in the first picture."""
        return next(iter(self.found.values()))

    @property
    def mean(self) -> float:
        """Mean over all pictures."""
        return float(np.mean(list(self.found.values())))


def bundle_command(section: str, files: tuple[str, ...], options: dict[str, object]) -> list[str]:
    """Return the command line that runs a section of the effisegnet bundle without tracking."""
    configs = shared_path("bundles/effisegnet/configs")
    paths = [str(configs / file) for file in ("train.json", *files, "no_tracking.json")]
    named = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return [*MONAI, section, "--config_file", str(paths), *named]


def run(command: list[str]) -> None:
    """Run a command; its output is the user's."""
    subprocess.run(command, check=True)  # noqa: S603 - commands are built above


def train(contestant: Contestant, image_size: int, max_epochs: int, folds: int) -> None:
    """Train on all folds but the first, unless the weights are there."""
    if contestant.weights.exists():
        return
    data, models = str(contestant.data), contestant.output / "models"
    run([*HANDSEG, "make-folds", data, "--output", str(contestant.folds), "--count", str(folds)])
    options = {"data_dir": data, "folds": contestant.folds, "image_size": image_size, "max_epochs": max_epochs}
    places = {"ckpt_dir": models, "output_dir": contestant.output / "training"}
    run(bundle_command("training", (), options | RECIPE | places))
    shutil.copyfile(models / "model.pt", contestant.weights)


def validation_dice(contestant: Contestant, other: Contestant, image_size: int) -> float:
    """Return the mean Dice over bones of a network on the validation fold of a set of hands."""
    output = contestant.output / f"on_{other.name}"
    table = output / "per_bone.csv"
    if not table.exists():
        options = {"data_dir": other.data, "folds": other.folds, "image_size": image_size, "num_workers": 1}
        places = {"weights": contestant.weights, "output_dir": output}
        run(bundle_command("evaluating", ("evaluate.json",), options | places))
    with open_csv(table) as file:
        means = {row["name"]: row["mean"] for row in csv.DictReader(file)}
    return float(means["all"])


def landmark_scores(contestant: Contestant, landmarks: Path) -> LandmarkScores:
    """Segment the real radiographs and count the bones that are found."""
    output = contestant.output / "landmarks"
    predictions = output / "predictions.csv"
    if not predictions.exists():
        where = ["--bundle", "effisegnet", "--weights", str(contestant.weights), "--output", str(output)]
        run([*HANDSEG, "predict", str(landmarks), *where])
    return score(predictions, landmarks / "points.json")


def score(predictions: Path, points_file: Path) -> LandmarkScores:
    """Count the bones whose masks cover their own point and no other bone's."""
    marks = read_json(points_file, "make the folder of landmarks again")
    width, height = marks["size_px"]
    masks_of = {Path(name).stem: codes for name, codes in read_submission(predictions).items()}
    found: dict[str, int] = {}
    missed: Counter[str] = Counter()
    for picture in sorted(marks["points"]):
        points = marks["points"][picture]
        columns, rows = np.array([points[bone] for bone in points]).T
        covers = {bone: decode_rle(masks_of[picture][bone], height, width)[rows, columns] for bone in points}
        good = [bone for bone in points if _is_found(bone, dict(zip(points, covers[bone], strict=True)))]
        found[picture] = len(good)
        missed.update(bone for bone in points if bone not in good)
    return LandmarkScores(found, missed)


def _is_found(bone: str, covered: dict[str, bool]) -> bool:
    """Tell from the points that a bone's mask covers whether it is found."""
    allowed = LIE_OVER_EACH_OTHER if bone in LIE_OVER_EACH_OTHER else {bone}
    return covered[bone] and {other for other, is_covered in covered.items() if is_covered} <= allowed


def write_tables(output: Path, contestants: list[Contestant], scores: list[LandmarkScores], dice: np.ndarray) -> None:
    """Write the scores as CSV, one row a picture, and as a Markdown table, which is also printed."""
    with write_csv(output / "scores.csv") as file:
        writer = csv.writer(file)
        writer.writerow(["picture", *(contestant.name for contestant in contestants)])
        writer.writerows([picture, *(s.found[picture] for s in scores)] for picture in scores[0].found)
    pictures = f"original, of {len(BONE_NAMES)}", f"mean of {len(scores[0].found)} pictures"
    columns = "trained on", *pictures, "missed most", *(f"Dice on {contestant.name}" for contestant in contestants)
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for contestant, found, row in zip(contestants, scores, dice, strict=True):
        worst = ", ".join(f"{bone} {times}" for bone, times in found.missed.most_common(5))
        cells = (contestant.name, found.original, f"{found.mean:.2f}", worst, *(f"{value:.3f}" for value in row))
        lines.append(f"| {' | '.join(map(str, cells))} |")
    with write_atomically(output / "scores.md") as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def main() -> None:
    """Train, predict, score and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True, metavar="NAME=DIR")
    parser.add_argument("--landmarks", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--image_size", type=int, default=256)
    parser.add_argument("--max_epochs", type=int, default=4)
    parser.add_argument("--folds", type=int, default=60, help="the first of these many is for validation")
    arguments = parser.parse_args()
    named = [text.partition("=")[::2] for text in arguments.data]
    contestants = [Contestant(name, Path(data), arguments.output / name) for name, data in named]
    for contestant in contestants:
        train(contestant, arguments.image_size, arguments.max_epochs, arguments.folds)
    scores = [landmark_scores(contestant, arguments.landmarks) for contestant in contestants]
    dice = np.array(
        [[validation_dice(one, other, arguments.image_size) for other in contestants] for one in contestants]
    )
    write_tables(arguments.output, contestants, scores, dice)


if __name__ == "__main__":
    main()
