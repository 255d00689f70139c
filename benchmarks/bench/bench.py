"""Speed and memory: our way against the textbook's, row by row, in one table.

    python benchmarks/bench [--size 1024] [--rounds 5] [--threads 1] [--only effisegnet] [--output FOLDER] [--publish]

Both ways of a row first have to give equal results; then they take turns, because absolute times vary with the machine.
On one thread the processor's time is taken, which other programs hardly change. Writes bench.json and bench.md into the
output folder. With `--publish` they go into benchmarks/results/, and the table into README.md. `--only` measures some
groups, and keeps the rows of the others from before where they were measured alike. A group is a file in rows/.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from comparison import comparisons, groups
from measure import measure
from table import Report, kept_rows, machine, told, update_readme, write

from handseg_bundle_common.errors import explain_input_errors

REPOSITORY = Path(__file__).parents[2]


def main(words: Sequence[str] | None = None, repository: Path = REPOSITORY) -> None:
    """Measure and print the table.

    Args:
        words: command line; the process's own if None.
        repository: what `--publish` writes to.

    Raises:
        AssertionError: the two ways of a row do not give the same.
        HandsegInputError: the results cannot be written.
    """
    arguments = _parser().parse_args(words)
    explain_input_errors()
    torch.set_num_threads(arguments.threads)
    folder = repository / "benchmarks" / "results" if arguments.publish else arguments.output
    rows = [
        measure(group, number, compared, arguments.size, arguments.rounds)
        for group in arguments.only
        for number, compared in enumerate(comparisons(group, arguments.size))
    ]
    report = Report(machine(), _command(arguments), arguments.size, arguments.rounds, rows)
    rows += kept_rows(folder, report, arguments.only)
    rows.sort(key=lambda row: row.group)  # in a group they stay as they are
    path = write(folder, report)
    if arguments.publish:
        update_readme(repository / "README.md", report)
    print(f"{told(report)}\n\n{path}")


def _command(arguments: argparse.Namespace) -> str:
    """Return the command to write beside the numbers: that of all groups."""
    given = [f"--{name} {value}" for name, value in vars(arguments).items() if name in ("size", "rounds", "threads")]
    usual = [f"--{name} {_parser().get_default(name)}" for name in ("size", "rounds", "threads")]
    if arguments.publish and given == usual:
        return "make bench"
    return " ".join(["python benchmarks/bench", *(option for option in given if option not in usual)])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--size", type=int, default=1024, help="side of the images in px")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=groups(), default=groups(), metavar="GROUP", help="measure these")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "runs" / "bench")
    parser.add_argument("--publish", action="store_true", help="write to benchmarks/results/ and README.md")
    return parser
