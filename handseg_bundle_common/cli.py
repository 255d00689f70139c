"""The command `handseg VERB`: python-fire over the package's functions.

Nothing heavy is imported before a verb runs, so that help and mistakes are answered at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import fire
from fire.decorators import SetParseFn, SetParseFns

from handseg_bundle_common import __version__
from handseg_bundle_common.errors import EXIT_CODE, HandsegInputError, input_error_message

_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


@dataclass(frozen=True)
class Job:
    """What a command line asks for. It starts after Fire has found a place for every argument, and not before."""

    _start: Callable[[], str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code: 0, or 2 after one sentence about bad input on stderr.

    Args:
        arguments: what stands behind `handseg`; taken from the process if None.

    Raises:
        SystemExit: by Fire, with 0 after help and 2 after an unknown verb or flag.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words == ["--version"]:
        print(f"handseg {__version__}")
        return 0
    try:
        job = fire.Fire({"predict": predict, "simulate": simulate}, words, "handseg", serialize=_shown)
        if isinstance(job, Job):
            print(job._start())
    except KeyboardInterrupt:
        print("handseg: interrupted.", file=sys.stderr)
        return _INTERRUPTED
    except Exception as error:
        message = input_error_message(error)
        if message is None:
            raise
        print(f"handseg: {message}", file=sys.stderr)
        return EXIT_CODE
    return 0


def _shown(result: object) -> object:
    """Let Fire print its help, but not a job."""
    return None if isinstance(result, Job) else result


def _text(flag: str) -> Callable[[str], str]:
    """Return a parser that keeps text as it is: `001` is a folder, not the number 1."""

    def parse(value: str) -> str:
        if value == "True":  # what Fire makes of a flag without a value
            raise HandsegInputError(flag, "has no value", "write one after it (./True for a file of that name)")
        return value

    return parse


def _number(flag: str, kind: type[int] | type[float]) -> Callable[[str], int | float]:
    """Return a parser of numbers."""

    def parse(value: str) -> int | float:
        try:
            return kind(value)
        except ValueError as error:
            what = "a whole number" if kind is int else "a number"
            raise HandsegInputError(flag, f"{value!r} is not {what}", "write it in digits") from error

    return parse


def _switch(flag: str) -> Callable[[str], bool]:
    """Return a parser of flags that are on or off."""

    def parse(value: str) -> bool:
        if value not in ("True", "False"):
            raise HandsegInputError(flag, f"takes no value, but {value!r} follows", "put it at the end")
        return value == "True"

    return parse


@SetParseFn(str)
@SetParseFns(
    bundle=_text("--bundle"),
    output=_text("--output"),
    device=_text("--device"),
    weights=_text("--weights"),
    threshold=_number("--threshold", float),
    keep_folders=_switch("--keep-folders"),
)
def predict(
    *images: str,
    bundle: str,
    output: str,
    device: str = "auto",
    threshold: float | None = None,
    weights: str | None = None,
    keep_folders: bool = False,
) -> Job:
    """Segment radiographs: overlays and a submission CSV at their native sizes.

    Args:
        images: radiographs (PNG, JPEG, TIFF) and folders, which are searched recursively.
        bundle: name or folder of a bundle, such as effisegnet.
        output: folder for overlays/IMAGE.png and predictions.csv.
        device: auto, cpu, cuda or cuda:1.
        threshold: probability above which a pixel belongs to a bone, in place of the bundle's.
        weights: file of weights in place of the bundle's.
        keep_folders: name results by relative paths, for images of one name in several folders.
    """

    def start() -> str:
        from handseg_bundle_common import inference

        done = inference.predict(
            images,
            bundle,
            output,
            device=device,
            threshold=threshold,
            weights=weights,
            keep_folders=keep_folders,
        )
        return f"{len(done)} segmented: {Path(output, 'predictions.csv')}, {Path(output, 'overlays')}"

    return Job(start)


@SetParseFn(str)
@SetParseFns(
    count=_number("--count", int),
    size=_number("--size", int),
    seed=_number("--seed", int),
    output=_text("--output"),
    assets=_text("--assets"),
    about=_switch("--about"),
)
def simulate(
    *,
    output: str | None = None,
    count: int = 8,
    size: int = 2048,
    seed: int = 0,
    assets: str | None = None,
    about: bool = False,
) -> Job:
    """Simulate radiographs of hands with exact overlapping masks, in the layout of the data set.

    Args:
        output: folder for DCM/ and outputs_json/.
        count: number of radiographs.
        size: side of the square radiographs in px.
        seed: the same seed gives the same hands.
        assets: folder of bone surfaces in place of the installed ones.
        about: tell what the simulation is made of, and from which sources, instead.
    """

    def start() -> str:
        from handseg_bundle_common import simulation

        if about:
            return str(simulation.about())
        if output is None:
            raise HandsegInputError("--output", "is missing", "name the folder for the simulated hands")
        simulation.write_hands(output, count=count, size=size, seed=seed, assets=assets)
        return f"{count} simulated: {output}"

    return Job(start)


if __name__ == "__main__":
    sys.exit(main())
