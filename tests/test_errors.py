"""The one error that bad input raises."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from handseg_bundle_common.errors import HandsegInputError


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
