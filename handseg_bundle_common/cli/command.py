"""The command `handseg VERB`: python-fire over the package's functions.

Nothing heavy is imported before a verb runs, so that help and mistakes are answered at once.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

import fire

from handseg_bundle_common import __version__
from handseg_bundle_common.cli.analyze import analyze
from handseg_bundle_common.cli.arguments import Job, Result
from handseg_bundle_common.cli.compare import compare
from handseg_bundle_common.cli.convert import convert
from handseg_bundle_common.cli.data import check_data, make_folds, simulate
from handseg_bundle_common.cli.ensembles import select_members, vote
from handseg_bundle_common.cli.export import export
from handseg_bundle_common.cli.measure import measure
from handseg_bundle_common.cli.models import cross_validate, info, install_weights, predict
from handseg_bundle_common.cli.packaging import verify
from handseg_bundle_common.cli.records import RECORD
from handseg_bundle_common.cli.serve import serve
from handseg_bundle_common.cli.tracking import log_run
from handseg_bundle_common.errors import EXIT_CODE, HandsegInputError, input_error_message

_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code: 0, 2 after one sentence about bad input, or what the verb says.

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
        job = read_command(words)
        if isinstance(job, Job):
            outcome = job.start()
            result = Result(outcome) if isinstance(outcome, str) else outcome
            print(result.text)
            return result.exit_code
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


def read_command(words: Sequence[str]) -> object:
    """Return the `Job` that a command line asks for, without starting it, or what Fire made of a call for help.

    Raises:
        HandsegInputError: an option stands twice, has no value or not the right kind of one.
        SystemExit: by Fire, with 0 after help and 2 after an unknown verb or flag.
    """
    _check_flags(words)
    return fire.Fire(_VERBS, [*words[:1], *map(_quoted, words[1:])], "handseg", serialize=_shown)


_VERBS = {
    "analyze": analyze,
    "check-data": check_data,
    "compare": compare,
    "convert": convert,
    "cross-validate": cross_validate,
    "export": export,
    "info": info,
    "install-weights": install_weights,
    "log-run": log_run,
    "make-folds": make_folds,
    "measure": measure,
    "predict": predict,
    "record": RECORD,
    "select-members": select_members,
    "serve": serve,
    "simulate": simulate,
    "verify": verify,
    "vote": vote,
}


def _check_flags(words: Sequence[str]) -> None:
    """Refuse a flag that stands twice, of which Fire would keep the last without a word."""
    found = [match[1].replace("-", "_") for word in words if (match := re.match(r"--?([a-zA-Z][\w-]*)", word))]
    twice = next((name for number, name in enumerate(found) if name in found[:number]), None)
    if twice is not None:
        raise HandsegInputError(f"--{twice.replace('_', '-')}", "stands twice", "write all its values behind one")


def _shown(result: object) -> object:
    """Let Fire print its help, but not a job."""
    return None if isinstance(result, Job) else result


def _quoted(word: str) -> str:
    """Quote a value that Fire would take for something else than text: `1e3` is a file here, not 1000."""
    flag: str = re.findall(r"^(?:--?[a-zA-Z][\w-]*=?|--?$|)", word)[0]
    value = word[len(flag) :]
    return flag + (value if fire.parser.DefaultParseValue(value) == value else repr(value))
