"""The one error that bad input raises."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from torch.utils.data import DataLoader, Dataset

from handseg_bundle_common.errors import HandsegInputError, input_error_message


@pytest.mark.parametrize("source", ["hand.png", Path("hand.png")], ids=["text", "path"])
def test_message_is_one_sentence_of_source_problem_and_remedy(source: str | Path) -> None:
    error = HandsegInputError(source, "is empty", "export it again")
    assert str(error) == "hand.png: is empty; export it again."
    assert (error.source, error.problem, error.remedy) == ("hand.png", "is empty", "export it again")


def test_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="is empty"):
        raise HandsegInputError("hand.png", "is empty", "export it again")


def test_crosses_process_borders_with_its_parts() -> None:
    error = HandsegInputError("hand.png", "is empty", "export it again")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - made in this line
    assert type(copy) is HandsegInputError
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def _wrapped() -> Exception:
    """An input error inside two exceptions of other kinds, as MONAI raises them."""
    try:
        try:
            raise HandsegInputError("hand.png", "is empty", "export it again")
        except HandsegInputError as error:
            raise RuntimeError("applying transform") from error
    except RuntimeError:
        try:
            raise KeyError("while handling it")
        except KeyError as error:
            return error


class _BrokenData(Dataset[int]):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> int:
        raise HandsegInputError("hand.json", "has the unknown label 'finger-20'", "use another")


def test_the_sentence_is_found_behind_other_exceptions() -> None:
    assert input_error_message(_wrapped()) == "hand.png: is empty; export it again."


@pytest.mark.filterwarnings("ignore:.*fork.*")
def test_the_sentence_crosses_a_loader_worker() -> None:
    with pytest.raises(Exception, match=r"finger-20") as caught:
        list(DataLoader(_BrokenData(), num_workers=1))
    assert input_error_message(caught.value) == "hand.json: has the unknown label 'finger-20'; use another."


def test_other_exceptions_have_no_sentence() -> None:
    assert input_error_message(RuntimeError("out of memory")) is None


@pytest.mark.parametrize(
    ("statement", "code", "expected"),
    [
        ("raise RuntimeError from HandsegInputError('a.png', 'is empty', 'export it')", 2, "handseg: a.png: is empty"),
        ("raise ZeroDivisionError", 1, "ZeroDivisionError"),
    ],
)
def test_an_uncaught_input_error_ends_the_process_with_its_sentence(statement: str, code: int, expected: str) -> None:
    program = f"from handseg_bundle_common.errors import *\nexplain_input_errors()\n{statement}"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)  # noqa: S603
    assert result.returncode == code
    assert expected in result.stderr
    assert ("Traceback" in result.stderr) == (code == 1)
