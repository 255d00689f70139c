"""What each bundle gains by fine-tuning on a few labelled radiographs of another kind.

    python benchmarks/few_labels.py [--counts 0,2,5,10,20] [--bundles NAME,NAME] [--test 40] [--size 1024]
        [--presented 160] [--threads N] [--output runs/few_labels] [--publish]

The kind is that of the preset `shifted`, outside the ranges that the shipped weights were trained on. Every training
starts from a bundle's own weights by `finetune.json` and sees as many pictures, however few there are to see, so that
more labels cost no more time; the weights of its last epoch are scored, and nothing is chosen. Trainings and scores are
kept in the output folder and not repeated until weights, configuration, hands or `--presented` change. Writes
few-labels.md and its figure there, or with `--publish`, which takes the repository's own bundles alone, into docs/.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from string import Template

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from tqdm import tqdm

from handseg_bundle_common.anatomy import CHANNEL, SMALL_BONES
from handseg_bundle_common.datasets import data_list
from handseg_bundle_common.errors import HandsegInputError, explain_input_errors
from handseg_bundle_common.files import read_json, write_atomically
from handseg_bundle_common.formats.boostcamp import rasterise_packed, read_annotations
from handseg_bundle_common.inference import choose_device, load_predictor
from handseg_bundle_common.metrics import bootstrap_interval, case_scores
from handseg_bundle_common.simulation import write_hands
from handseg_bundle_common.weights import find_bundle, stored_settings

BUNDLES = ("effisegnet", "segformer", "swin_unetr", "unetplusplus")
PRESET = "shifted"
# As in benchmarks/accuracy/hands.py: reserved, so that nothing is trained or chosen on them elsewhere.
TEST_SEED, LABELLED_SEED = 9002, 9004
PICTURE = Path("pictures", "few_labels.png")
WEIGHTS = Path("models", "model.pt")
RECIPE = ("train", "finetune", "no_tracking")

_PAGE = Template("""# Few labels

What the shipped weights gain by fine-tuning on a few labelled radiographs of a kind they were not trained on: mean Dice
/ Dice of the small bones of $test other hands of that kind (preset `$preset`, $size px), by the number of labelled
ones. Every training has seen $presented pictures, the same few again and again.

$table

![Dice by the number of labelled radiographs]($picture)

Bars are 95 % bootstrap intervals over patients. Bones that are not in a picture do not count. Made by

```bash
$command
```

on $machine, from the weights with these SHA-256 digests: $digests.

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
    """Copy the first patient and the hands that follow into a data set, and return its file of folds.

    The first patient is the validation fold, which a training of MONAI has to have; nothing is chosen by it.

    Args:
        hands: radiographs of a data set, in the order in which they are labelled, two a patient.
        count: number of hands to train on.
        folder: receives the data set and `folds.json`.
    """
    validated, trained = hands[:2], hands[2 : count + 2]
    source = hands[0].parents[2]
    for image in (*validated, *trained):
        for place in ("DCM", "outputs_json"):
            file = Path(place, image.parent.name, image.stem).with_suffix(image.suffix if place == "DCM" else ".json")
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / file, folder / file)
    folds = folder / "folds.json"
    _write(folds, json.dumps({"folds": [sorted({hand.parent.name for hand in part}) for part in (validated, trained)]}))
    return folds


def finetune(root: Path, hands: Sequence[Path], count: int, folder: Path, arguments: argparse.Namespace) -> Path:
    """Fine-tune a bundle's own weights on some of the labelled hands, and return the new weights.

    The folder is this training's alone: what an interrupted one left there is removed. Without hands to train on, the
    bundle's own weights are returned.

    Raises:
        HandsegInputError: the training failed; its log tells why.
    """
    done = folder / "done.pt"
    if not count or done.exists():
        return done if count else root / WEIGHTS
    shutil.rmtree(folder, ignore_errors=True)
    folds = labelled_subset(hands, count, folder / "data")
    epochs = max(1, round(arguments.presented / count))
    own = stored_settings(root / WEIGHTS)
    settings = {name: value for name, value in own.items() if value is not None} | {
        "bundle_root": root,
        "data_dir": folds.parent,
        "folds": folds,
        "ckpt_dir": folder / WEIGHTS.parent,
        "output_dir": folder / "training",
        "batch_size": 2,
        "max_epochs": epochs,
        "val_interval": epochs,
        "num_workers": 1,
    }
    _train(root, settings, folder / "training.log", arguments.threads)
    with write_atomically(done) as temporary:
        shutil.copyfile(folder / WEIGHTS, temporary)
    return done


def _train(root: Path, settings: Mapping[str, object], log: Path, threads: int | None) -> None:
    files = [str(root / "configs" / f"{name}.json") for name in RECIPE]
    command = [sys.executable, "-m", "monai.bundle", "run", "training", "--config_file", str(files)]
    command += [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    environment = os.environ | ({"OMP_NUM_THREADS": str(threads)} if threads else {})
    print(f"training, see {log}", file=sys.stderr)
    with log.open("w", encoding="utf-8") as file:
        ended = subprocess.run(command, check=False, env=environment, stdout=file, stderr=file)  # noqa: S603
    if ended.returncode:
        problem = f"tells why a training failed (exit status {ended.returncode})"
        raise HandsegInputError(log, problem, "read its end, mend the cause and repeat the command")


def score(root: Path, weights: Path, test: Path, count: int) -> Score:
    """Segment the first hands of a data set with a bundle and score them at their own size."""
    predictor = load_predictor(str(root), weights=weights)
    items = data_list(test)[:count]
    scores = []
    for item in tqdm(items, root.name, unit="image", disable=None):
        masks = predictor(item["image"])
        case = case_scores(masks, rasterise_packed(read_annotations(item["label"]), *masks.shape))
        scores.append(np.where(case.reference_px > 0, case.dice, np.nan))
    patients = [item["patient"] for item in items]
    dice = np.stack(scores)
    return Score(*(astuple(bootstrap_interval(part, patients)) for part in (dice, dice[:, _SMALL])))


def curve(root: Path, hands: Sequence[Path], test: Path, arguments: argparse.Namespace) -> dict[int, Score]:
    """Return the scores of a bundle by the number of labelled hands, those measured before as they are."""
    configurations = [root / "configs" / f"{name}.json" for name in ("inference", *RECIPE)]
    of_hands = [folder / "simulation.json" for folder in (hands[0].parents[2], test)]
    depends_on = digest(*configurations, root / WEIGHTS, *of_hands)
    folder = arguments.output / f"{root.name}-{depends_on[:12]}-{arguments.presented}"
    kept = folder / f"scores-{arguments.test}.json"
    known = read_json(kept, "delete it") if kept.exists() else {}
    for count in arguments.counts:
        if str(count) not in known:
            weights = finetune(root, hands, count, folder / str(count), arguments)
            known[str(count)] = asdict(score(root, weights, test, arguments.test))
            _write(kept, json.dumps(known))
    return {count: Score(**known[str(count)]) for count in arguments.counts}


def digest(*files: Path) -> str:
    """Return the SHA-256 of files, one after the other, hexadecimal."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def page(
    curves: Mapping[str, Mapping[int, Score]], roots: Sequence[Path], command: str, arguments: argparse.Namespace
) -> str:
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
        machine=_machine(),
        digests=", ".join(f"{root.name} `{digest(root / WEIGHTS)[:12]}`" for root in roots),
    )


def _machine() -> str:
    device = choose_device()
    gpu = f"{torch.cuda.get_device_name(device)}, " if device.type == "cuda" else ""
    return f"{gpu}{os.cpu_count()} cores ({platform.machine()}), PyTorch {torch.__version__}"


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
        axes.xaxis.set_major_locator(FixedLocator(counts.tolist()))
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
        repository: holds the bundles, and is what `--publish` writes to.

    Raises:
        HandsegInputError: other bundles than the repository's are to be published, a bundle has no weights, a training
            failed, or a file cannot be written.
    """
    arguments = _parser().parse_args(words)
    explain_input_errors()
    roots = _bundles(arguments, repository)
    labelled, test = (arguments.output / f"{name}-{arguments.size}" for name in ("labelled", "test"))
    hands = write_hands(max(arguments.counts) + 2, arguments.size, LABELLED_SEED, labelled, preset=PRESET)
    write_hands(arguments.test, arguments.size, TEST_SEED, test, preset=PRESET)
    curves = {root.name: curve(root, hands, test, arguments) for root in roots}
    given = shlex.join(_output().parse_known_args(words)[1])
    target = repository / "docs" if arguments.publish else arguments.output
    with write_atomically(target / PICTURE) as temporary:
        draw(curves).savefig(temporary, dpi=120, format="png")
    _write(target / "few-labels.md", page(curves, roots, f"python benchmarks/few_labels.py {given}".strip(), arguments))
    print(target / "few-labels.md")


def _bundles(arguments: argparse.Namespace, repository: Path) -> list[Path]:
    """Return the folders of the bundles, which have weights; names alone might mean bundles elsewhere."""
    if arguments.publish and arguments.bundles:
        raise HandsegInputError("--publish", "is for the repository's own bundles", "leave out --bundles or --publish")
    own = [str(repository / "bundles" / name) for name in BUNDLES]
    roots = [Path(find_bundle(name)) for name in arguments.bundles or own]
    bare = [root for root in roots if not (root / WEIGHTS).is_file()]
    if bare and (arguments.bundles or len(bare) == len(roots)):
        raise HandsegInputError(bare[0] / WEIGHTS, "is not there", "train the bundle, or name others with --bundles")
    for root in bare:
        print(f"{root.name} is left out: it has no weights", file=sys.stderr)
    return [root for root in roots if root not in bare]


def _write(path: Path, text: str) -> None:
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_output()],
        allow_abbrev=False,
    )
    parser.add_argument("--counts", type=_numbers, default=[0, 2, 5, 10, 20], help="labelled hands")
    parser.add_argument("--bundles", type=lambda text: text.split(","), help=f"{', '.join(BUNDLES)} by default")
    parser.add_argument("--test", type=_positive, default=40, help="hands to score on")
    parser.add_argument("--size", type=_positive, default=1024, help="longer side of the hands in px")
    parser.add_argument("--presented", type=_positive, default=160, help="pictures that every training sees")
    parser.add_argument("--threads", type=_positive, help="of a training")
    parser.add_argument("--publish", action="store_true", help="write to docs/ in place of --output")
    return parser


def _output() -> argparse.ArgumentParser:
    """Return the option that changes no number and is left out of the command on the page."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--output", type=Path, default=_REPOSITORY / "runs" / "few_labels", help="what is kept")
    return parser


def _numbers(text: str) -> list[int]:
    if not all(part.isdecimal() for part in text.split(",")):
        raise argparse.ArgumentTypeError(f"{text!r} are no whole numbers with commas between")
    return sorted({int(part) for part in text.split(",")})


def _positive(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


if __name__ == "__main__":
    main()
