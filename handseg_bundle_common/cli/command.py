"""The command `handseg VERB`: python-fire over the package's functions.

Nothing heavy is imported before a verb runs, so that help and mistakes are answered at once.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import fire

from handseg_bundle_common import __version__
from handseg_bundle_common.errors import EXIT_CODE, HandsegInputError, input_error_message

Number = TypeVar("Number", int, float)

_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


@dataclass(frozen=True)
class Job:
    """What a command line asks for; it starts when Fire has found a place for every argument, and not before."""

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
        job = fire.Fire(_VERBS, [*words[:1], *map(_quoted, words[1:])], "handseg", serialize=_shown)
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


def predict(
    *images: str,
    bundle: str,
    output: str,
    device: str = "auto",
    image_size: int | str | None = None,
    threshold: float | str | None = None,
    weights: str | None = None,
    keep_folders: bool = False,
) -> Job:
    """Segment radiographs: overlays and a submission CSV at their native sizes.

    Args:
        images: radiographs (PNG, JPEG, TIFF) and folders, which are searched recursively.
        bundle: name or folder of a bundle, such as effisegnet.
        output: folder for overlays/IMAGE.png and predictions.csv.
        device: auto, cpu, cuda or cuda:1.
        image_size: longer side in px at which the network works, by default that of the training.
        threshold: probability above which a pixel belongs to a bone, in place of the bundle's.
        weights: file of weights in place of the bundle's.
        keep_folders: name results by relative paths, for images of one name in several folders.
    """
    _check_values(bundle=bundle, output=output, device=device, weights=weights)
    _check_switch("keep_folders", keep_folders)
    probability = None if threshold is None else _number("threshold", threshold, float)
    working_size = None if image_size is None else _number("image_size", image_size, int)

    def start() -> str:
        from handseg_bundle_common import inference  # noqa: PLC0415

        done = inference.predict(
            images,
            bundle,
            output,
            device=device,
            image_size=working_size,
            threshold=probability,
            weights=weights,
            keep_folders=keep_folders,
        )
        return f"{len(done)} segmented: {Path(output, inference.SUBMISSION)} and {Path(output, inference.OVERLAYS)}"

    return Job(start)


def simulate(
    *,
    output: str | None = None,
    count: int | str = 8,
    size: int | str = 2048,
    seed: int | str = 0,
    workers: int | str | None = None,
    assets: str | None = None,
    about: bool = False,
) -> Job:
    """Simulate radiographs of hands with exact overlapping masks, in the layout of the data set.

    Args:
        output: folder for DCM/ and outputs_json/; hands that are there already are kept.
        count: number of radiographs, two a patient.
        size: side of the square radiographs in px.
        seed: the same seed gives the same hands.
        workers: number of processes, by default one a core.
        assets: file of bone surfaces in place of the cached one.
        about: tell instead where the bone surfaces come from.
    """
    _check_values(output=output, assets=assets)
    _check_switch("about", about)
    hands, side, first = _number("count", count, int), _number("size", size, int), _number("seed", seed, int)
    processes = None if workers is None else _number("workers", workers, int)

    def start() -> str:
        try:
            from handseg_bundle_common import simulation  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise HandsegInputError(error.name or "", "is not installed", 'pip install "handseg[simulate]"') from error
        if about:
            return simulation.about()
        if output is None:
            raise HandsegInputError("--output", "is missing", "name the folder for the simulated hands")
        surfaces = None if assets is None else Path(assets)
        done = simulation.write_hands(hands, side, first, output, assets=surfaces, workers=processes)
        return f"{len(done)} simulated: {output}"

    return Job(start)


def make_folds(data: str, *, output: str, count: int | str = 5, seed: int | str = 0) -> Job:
    """Deal the patients of a data set to folds for cross-validation, both hands of a patient to one fold.

    Args:
        data: folder in the layout of the data set.
        output: JSON file to write, for the id `folds` of a bundle.
        count: number of folds.
        seed: the same seed gives the same folds.
    """
    _check_values(data=data, output=output)
    folds, first = _number("count", count, int), _number("seed", seed, int)

    def start() -> str:
        from handseg_bundle_common import datasets  # noqa: PLC0415

        dealt = datasets.make_folds(datasets.data_list(data), folds, first)
        datasets.write_folds(output, dealt, first)
        return f"{sum(map(len, dealt))} patients in {len(dealt)} folds: {output}"

    return Job(start)


_VERBS = {"make-folds": make_folds, "predict": predict, "simulate": simulate}


def _shown(result: object) -> object:
    """Let Fire print its help, but not a job."""
    return None if isinstance(result, Job) else result


def _quoted(word: str) -> str:
    """Quote a value that Fire would take for something else than text: `1e3` is a file here, not 1000."""
    flag: str = re.findall(r"^(?:--?[a-zA-Z][\w-]*=?|--?$|)", word)[0]
    value = word[len(flag) :]
    return flag + (value if fire.parser.DefaultParseValue(value) == value else repr(value))


def _check_values(**values: object) -> None:
    """Refuse flags without a value, of which Fire makes True."""
    for name, value in values.items():
        if isinstance(value, bool):
            raise HandsegInputError(_flag(name), "has no value", "write one after it")


def _check_switch(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise HandsegInputError(_flag(name), f"takes no value, but {value!r} follows", "put it at the end")


def _number(name: str, text: Number | str, kind: type[Number]) -> Number:
    number: Number
    _check_values(**{name: text})
    try:
        number = kind(text)
    except ValueError as error:
        what = "a whole number" if kind is int else "a number"
        raise HandsegInputError(_flag(name), f"{text!r} is not {what}", "write it in digits") from error
    return number


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


if __name__ == "__main__":
    sys.exit(main())
