"""What each bundle gains by fine-tuning on a few labelled radiographs of another kind.

    python benchmarks/few_labels.py [--counts 0,2,5,10,20] [--bundles NAME,NAME] [--test 40] [--size 1024]
        [--presented 160] [--threads N] [--output runs/few_labels] [--publish]

The kind is that of the preset `shifted`, outside the ranges that the shipped weights were trained on. Every training
starts from a bundle's own weights by `finetune.json` and sees as many pictures, however few there are to see, so that
more labels cost no more time; the weights of its last epoch are scored, and nothing is chosen. Trainings and scores are
kept in the output folder and not repeated. Writes few-labels.md and its figure there, or with `--publish` into docs/.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from tqdm import tqdm

from handseg_bundle_common.anatomy import CHANNEL, SMALL_BONES
from handseg_bundle_common.datasets import data_list
from handseg_bundle_common.errors import explain_input_errors
from handseg_bundle_common.files import read_json, write_atomically
from handseg_bundle_common.formats.boostcamp import rasterise_packed, read_annotations
from handseg_bundle_common.inference import load_predictor
from handseg_bundle_common.metrics import Interval, bootstrap_interval, case_scores
from handseg_bundle_common.simulation import write_hands
from handseg_bundle_common.weights import find_bundle, stored_settings

BUNDLES = ("effisegnet", "segformer", "swin_unetr", "unetplusplus")
PRESET = "shifted"
# As in benchmarks/accuracy/hands.py: reserved, so that nothing is trained or chosen on them elsewhere.
TEST_SEED, LABELLED_SEED = 9002, 9004
PICTURE = Path("pictures", "few_labels.png")

_PAGE = Template("""# Few labels

What the shipped weights gain by fine-tuning on a few labelled radiographs of a kind they were not trained on: mean Dice
/ Dice of the small bones of $test other hands of that kind (preset `$preset`, $size px), by the number of labelled
ones. Every training has seen $presented pictures, the same few again and again.

$table

![Dice by the number of labelled radiographs]($picture)

Bars are 95 % bootstrap intervals over patients. Made by

```bash
$command
```

Your own radiographs take the same way: [own data](own-data.md#recipes).
""")
_SMALL = [CHANNEL[name] for name in SMALL_BONES]
_REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Score:
    """Mean Dice over all bones and over the small ones, with the ends of their 95 % intervals over patients."""

    all_bones: tuple[float, float, float]
    small_bones: tuple[float, float, float]


def labelled_subset(hands: Sequence[Path], count: int, folder: Path) -> Path:
    """Copy the first hands and those of the last patient into a data set, and return its file of folds.

    The last patient is the validation fold, which a training of MONAI has to have; nothing is chosen by it.

    Args:
        hands: radiographs of a data set, in the order in which they are labelled.
        count: number of hands to train on.
        folder: receives the data set and `folds.json`.
    """
    last = hands[-1].parent.name
    source = hands[0].parents[2]
    for image in [*hands[:count], *(hand for hand in hands if hand.parent.name == last)]:
        for place in ("DCM", "outputs_json"):
            file = Path(place, image.parent.name, image.stem).with_suffix(image.suffix if place == "DCM" else ".json")
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / file, folder / file)
    trained = sorted({hand.parent.name for hand in hands[:count]})
    folds = folder / "folds.json"
    folds.write_text(json.dumps({"folds": [[last], trained]}))
    return folds


def finetune(bundle: str, hands: Sequence[Path], count: int, arguments: argparse.Namespace) -> Path:
    """Fine-tune a bundle's own weights on the first of the labelled hands, and return the new weights."""
    root = Path(find_bundle(bundle))
    if not count:
        return root / "models" / "model.pt"
    folder = arguments.output / f"{root.name}-{count}"
    done = folder / "done.pt"
    if done.exists():
        return done
    folds = labelled_subset(hands, count, folder / "data")
    epochs = max(1, round(arguments.presented / count))
    files = [str(root / "configs" / f"{name}.json") for name in ("train", "finetune", "no_tracking")]
    own = stored_settings(root / "models" / "model.pt")
    settings = {name: value for name, value in own.items() if value is not None} | {
        "bundle_root": root,
        "data_dir": folds.parent,
        "folds": folds,
        "ckpt_dir": folder / "models",
        "output_dir": folder / "training",
        "batch_size": 2,
        "max_epochs": epochs,
        "val_interval": epochs,
        "num_workers": 1,
    }
    command = [sys.executable, "-m", "monai.bundle", "run", "training", "--config_file", str(files)]
    command += [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    threads = {"OMP_NUM_THREADS": str(arguments.threads)} if arguments.threads else {}
    subprocess.run(command, check=True, env=os.environ | threads)  # noqa: S603
    shutil.copyfile(folder / "models" / "model.pt", done)
    return done


def score(bundle: str, weights: Path, test: Path, count: int) -> Score:
    """Segment the first hands of a data set with a bundle and score them at their own size."""
    predictor = load_predictor(bundle, weights=weights)
    items = data_list(test)[:count]
    scores = []
    for item in tqdm(items, bundle, unit="image", disable=None):
        masks = predictor(item["image"])
        scores.append(case_scores(masks, rasterise_packed(read_annotations(item["label"]), *masks.shape)).dice)
    patients = [item["patient"] for item in items]
    dice = np.stack(scores)
    return Score(*(_ends(bootstrap_interval(part, patients)) for part in (dice, dice[:, _SMALL])))


def _ends(interval: Interval) -> tuple[float, float, float]:
    return interval.estimate, interval.low, interval.high


def curve(bundle: str, hands: Sequence[Path], test: Path, arguments: argparse.Namespace) -> dict[int, Score]:
    """Return the scores of a bundle by the number of labelled hands, those measured before as they are."""
    kept = arguments.output / f"{Path(bundle).name}.json"
    known = read_json(kept, "delete it") if kept.exists() else {}
    for count in arguments.counts:
        if str(count) not in known:
            found = score(bundle, finetune(bundle, hands, count, arguments), test, arguments.test)
            known[str(count)] = asdict(found)
            with write_atomically(kept) as temporary:
                temporary.write_text(json.dumps(known))
    return {count: Score(**known[str(count)]) for count in arguments.counts}


def page(curves: Mapping[str, Mapping[int, Score]], command: str, arguments: argparse.Namespace) -> str:
    """Return the page as Markdown."""
    rows = [("labelled radiographs", *curves), ("---",) * (len(curves) + 1)]
    rows += [(str(count), *(_told(scores[count]) for scores in curves.values())) for count in arguments.counts]
    return _PAGE.substitute(
        test=arguments.test,
        preset=PRESET,
        size=arguments.size,
        presented=arguments.presented,
        table="\n".join(f"| {' | '.join(row)} |" for row in rows),
        picture=PICTURE.as_posix(),
        command=command,
    )


def _told(found: Score) -> str:
    return f"{found.all_bones[0]:.3f} / {found.small_bones[0]:.3f}"


def draw(curves: Mapping[str, Mapping[int, Score]]) -> Figure:
    """Draw Dice against the number of labelled radiographs, all bones and small bones."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, part, title in zip(panels, ("all_bones", "small_bones"), ("all bones", "small bones"), strict=True):
        for bundle, scores in curves.items():
            counts = np.array(list(scores))
            middle, low, high = np.array([getattr(found, part) for found in scores.values()]).T
            axes.errorbar(counts, middle, yerr=(middle - low, high - middle), fmt="o-", capsize=3, label=bundle)
        axes.set_xscale("symlog", linthresh=2)
        axes.xaxis.set_major_locator(FixedLocator(counts))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.set_xlabel("labelled radiographs")
        axes.set_title(title)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("Dice")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(curves), frameon=False)
    return figure


def main(words: Sequence[str] | None = None, repository: Path = _REPOSITORY) -> None:
    """Measure all curves and write the page.

    Args:
        words: command line; the process's own if None.
        repository: what `--publish` writes to.
    """
    arguments = _parser().parse_args(words)
    explain_input_errors()
    number = max(arguments.counts) + max(arguments.counts) % 2 + 2  # two hands a patient, and one patient more
    hands = write_hands(number, arguments.size, LABELLED_SEED, arguments.output / "labelled", preset=PRESET)
    write_hands(arguments.test, arguments.size, TEST_SEED, arguments.output / "test", preset=PRESET)
    curves = {Path(name).name: curve(name, hands, arguments.output / "test", arguments) for name in arguments.bundles}
    given = shlex.join(sys.argv[1:] if words is None else words)
    target = repository / "docs" if arguments.publish else arguments.output
    with write_atomically(target / PICTURE) as temporary:
        draw(curves).savefig(temporary, dpi=120, format="png")
    with write_atomically(target / "few-labels.md") as temporary:
        temporary.write_text(page(curves, f"python benchmarks/few_labels.py {given}".strip(), arguments))
    print(target / "few-labels.md")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--counts", type=lambda text: [int(part) for part in text.split(",")], default=[0, 2, 5, 10, 20]
    )
    parser.add_argument("--bundles", type=lambda text: text.split(","), default=BUNDLES)
    parser.add_argument("--test", type=int, default=40, help="hands to score on")
    parser.add_argument("--size", type=int, default=1024, help="longer side of the hands in px")
    parser.add_argument("--presented", type=int, default=160, help="pictures that every training sees")
    parser.add_argument("--threads", type=int, help="of a training")
    parser.add_argument("--output", type=Path, default=_REPOSITORY / "runs" / "few_labels")
    parser.add_argument("--publish", action="store_true", help="write to docs/ in place of --output")
    return parser


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    main()
