"""Accuracy, speed and robustness of every bundle on hands of reserved seeds.

    python benchmarks/accuracy [--count 200] [--size 2048] [--robustness-count 20] [--bundles NAME,NAME]
        [--weights BUNDLE=FILE] [--output runs/benchmark] [--publish]

The hands are simulated once and kept in the output folder, and so are the scores of every picture: a run that was
interrupted goes on when it is repeated. Other weights, another configuration, other hands, another machine or number
of threads are scored anew. Writes benchmark.md and its figures into the output folder. With `--publish` they go into
docs/, the headline into README.md and the numbers of each bundle into its page and metadata; that takes the
repository's own bundles with their own weights and no others. Bundles without weights are named and left out.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import torch
from cards import update_cards
from contestants import Contestant, bundles_in, contestants, digest_of
from figures import draw
from hands import Half, Hand, robustness_hands, simulate
from memory import Peak, weigh
from page import PICTURES, Report, machine, update_readme, write_page
from results import Result
from scores import ScoreBook, Task, segment
from tqdm import tqdm
from variants import AS_IT_IS, VARIANTS

from handseg_bundle_common.errors import HandsegInputError, explain_input_errors
from handseg_bundle_common.files import write_atomically
from handseg_bundle_common.formats import radiograph
from handseg_bundle_common.inference import choose_device, load_predictor

REPOSITORY = Path(__file__).parents[2]

_reader = logging.getLogger(radiograph.__name__)


def main(words: Sequence[str] | None = None, repository: Path = REPOSITORY) -> None:
    """Measure all bundles and write the page.

    Args:
        words: command line; the process's own if None.
        repository: holds the bundles, and is what `--publish` writes to.

    Raises:
        HandsegInputError: something else than the repository's own bundles and weights is to be published, a bundle or
            weights are not there, or a file cannot be written.
    """
    arguments = _parser().parse_args(words)
    explain_input_errors()
    _reader.setLevel(logging.ERROR)  # which warns of every inverted picture
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
        cv2.setNumThreads(arguments.threads)
    field = contestants(arguments.bundles or bundles_in(repository / "bundles"), dict(arguments.weights))
    if arguments.publish:
        _check_own(field, arguments, repository / "bundles")
    ready, missing = _sorted_out(field)
    hands = simulate(arguments.count, arguments.size, arguments.output / "hands", arguments.workers)
    results = [measure(contestant, hands, arguments) for contestant in ready]
    report = Report(results, missing, _command(words), arguments.size, choose_device(arguments.device))
    target = repository / "docs" if arguments.publish else arguments.output
    draw(target / PICTURES, results)
    write_page(target / "benchmark.md", report)
    if arguments.publish:
        update_readme(repository / "README.md", report)
        update_cards(repository / "bundles", report)
    print(f"{target / 'benchmark.md'}: {len(results)} bundles measured, {len(missing)} without weights")


def measure(contestant: Contestant, hands: Sequence[Hand], arguments: argparse.Namespace) -> Result:
    """Segment what one bundle has not segmented yet, and return all of its scores."""
    changed = robustness_hands(list(hands), arguments.robustness_count)
    of_half = {half: [Task(hand) for hand in hands if hand.half is half] for half in Half}
    of_variant = {variant.name: [Task(hand, variant) for hand in changed] for variant in VARIANTS}
    name = f"{contestant.name}-{contestant.digest[:12]}-{_conditions(hands, arguments.device)}"
    book = ScoreBook(arguments.output / "scores" / f"{name}.csv")
    tasks = [task for tasks in (*of_half.values(), *of_variant.values()) for task in tasks]
    _score(contestant, [task for task in tasks if task not in book], book, arguments.device)
    unchanged = {AS_IT_IS: [Task(hand) for hand in changed]}
    return Result(
        contestant,
        {half: [book[task] for task in tasks] for half, tasks in of_half.items()},
        {name: [book[task] for task in tasks] for name, tasks in {**unchanged, **of_variant}.items()},
        _peak(contestant, hands[0], arguments.device, book.path.with_suffix(".json")),
    )


def _conditions(hands: Sequence[Hand], device: str) -> str:
    """Return what scores and times depend on beside the bundle, in short: the hands and the machine."""
    settings = sorted({hand.radiograph.parents[2] / "simulation.json" for hand in hands})
    of_machine = hashlib.sha256(machine(choose_device(device)).encode()).hexdigest()
    return f"{digest_of(settings)[:8]}-{of_machine[:8]}"


def _score(contestant: Contestant, tasks: Sequence[Task], book: ScoreBook, device: str) -> None:
    """Segment and score pictures, and write each down at once."""
    if not tasks:
        return
    # Half of the digits would make the figures depend on the machine.
    predictor = load_predictor(str(contestant.folder), weights=contestant.weights, device=device, precision="float32")
    for task in tqdm(tasks, contestant.name, unit="image", disable=None):
        book.add(segment(predictor, task))


def _peak(contestant: Contestant, hand: Hand, device: str, kept: Path) -> Peak:
    """Return the peak memory of a prediction, measured once."""
    if not kept.exists():
        peak = weigh(contestant, hand.radiograph, device)
        with write_atomically(kept) as temporary:
            temporary.write_text(json.dumps(peak._asdict()))
    return Peak(**json.loads(kept.read_text()))


def _check_own(field: Sequence[Contestant], arguments: argparse.Namespace, bundles: Path) -> None:
    """Refuse to publish other bundles than those of the repository, or other weights than their own."""
    if arguments.bundles or arguments.weights:
        remedy = "leave out --bundles and --weights, or --publish"
        raise HandsegInputError("--publish", "is for the repository's own bundles with their own weights", remedy)
    for contestant in field:
        for folder in contestant.member_folders:
            if folder.parent != bundles.resolve():
                problem = f"has the member {folder}, which is not the repository's"
                remedy = "run from the repository's root with HANDSEG_BUNDLES unset, or leave out --publish"
                raise HandsegInputError(contestant.name, problem, remedy)


def _sorted_out(field: Sequence[Contestant]) -> tuple[list[Contestant], list[Contestant]]:
    """Return the bundles with all their weights, and those without, whose names are printed."""
    ready = [contestant for contestant in field if not contestant.missing]
    missing = [contestant for contestant in field if contestant.missing]
    for contestant in missing:
        files = ", ".join(f"{name} ({path})" for name, path in contestant.missing.items())
        print(f"{contestant.name} is not measured: no weights of {files}", file=sys.stderr)
    if not ready:
        remedy = "train one, or name files with --weights"
        raise HandsegInputError("bundles", "have no weights at all", remedy)
    return ready, missing


def _command(words: Sequence[str] | None) -> str:
    """Return the command to write beside the numbers, without what does not change them."""
    _, given = _places().parse_known_args(words)
    return "make benchmark" if given == ["--publish"] else f"python benchmarks/accuracy {shlex.join(given)}".strip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/accuracy",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_places()],
        allow_abbrev=False,
    )
    parser.add_argument("--count", type=_positive, default=200, help="hands, half of them shifted")
    parser.add_argument("--size", type=_positive, default=2048, help="longer side of the hands in px")
    parser.add_argument("--robustness-count", type=_positive, default=20, help="hands of which variants are made")
    parser.add_argument(
        "--bundles",
        type=lambda text: text.split(","),
        metavar="NAME,NAME",
        help="names or folders; all of the repository by default",
    )
    parser.add_argument(
        "--weights",
        type=_named_file,
        action="append",
        default=[],
        metavar="BUNDLE=FILE",
        help="in place of the bundle's own; once for each bundle",
    )
    parser.add_argument("--publish", action="store_true", help="write to docs/, README.md and bundles/")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=_positive, help="of the network; as many as PyTorch takes by default")
    return parser


def _places() -> argparse.ArgumentParser:
    """Return the options that tell where and how fast the hands are made, and change no number."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--output", type=Path, default=REPOSITORY / "runs" / "benchmark", help="hands and scores")
    parser.add_argument("--workers", type=_positive, help="processes of the simulator; one a core by default")
    return parser


def _positive(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def _named_file(text: str) -> tuple[str, Path]:
    """Return a bundle and its file of weights."""
    name, equals, path = text.rpartition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"{text!r} is not BUNDLE=FILE")
    return name, Path(path).expanduser().absolute()
