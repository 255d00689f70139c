"""The verb vote: how it is written, and what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.cli.ensembles import vote
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.rle import SubmissionWriter, read_submission


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with three submissions; the first pixel has three votes, the second two, the third one."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("a.csv", "b.csv", "c.csv")):
        mask = np.arange(3) < 3 - number
        with SubmissionWriter(name) as submission:
            submission.write("hand.png", np.tile(mask, (NUM_BONES, 1, 1)))


def voted() -> dict[str, str]:
    return read_submission("out.csv")["hand.png"]


def test_as_fire_hands_over_several_values_of_a_flag() -> None:
    """Fire keeps the first value for the flag and passes the others on as positional arguments."""
    assert vote("b.csv", "c.csv", csv="a.csv", votes="3", output="out.csv").start() == (
        "1 image voted on by 3 submissions: out.csv"
    )
    assert set(voted().values()) == {"1 1"}


def test_the_flag_may_be_left_out() -> None:
    vote("a.csv", "b.csv", "c.csv", votes="1", output="out.csv").start()
    assert set(voted().values()) == {"1 3"}


@pytest.mark.parametrize(
    ("votes", "pisiform", "radius", "ulna"),
    [
        (None, "1 2", "1 2", "1 2"),
        ("3,Pisiform=1", "1 3", "1 1", "1 1"),
        ("Pisiform=1, 3", "1 3", "1 1", "1 1"),
        ("Radius=3", "1 2", "1 1", "1 2"),
        ("Radius=3,Pisiform=1", "1 3", "1 1", "1 2"),
    ],
)
def test_bones_may_need_numbers_of_their_own(votes: str | None, pisiform: str, radius: str, ulna: str) -> None:
    vote("a.csv", "b.csv", "c.csv", votes=votes, output="out.csv").start()
    assert [voted()[bone] for bone in ("Pisiform", "Radius", "Ulna")] == [pisiform, radius, ulna]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"votes": "many"}, "--votes: 'many' is not a whole number"),
        ({"votes": "Ulna=x"}, "--votes: 'x' is not a whole number"),
        ({"votes": "2,3"}, "--votes: '2,3' has two numbers for all bones"),
        ({"votes": "Ulna=2,Ulna=3"}, "--votes: 'Ulna=2,Ulna=3' has two numbers for Ulna"),
        ({"votes": True}, "--votes: has no value"),
        ({"csv": True}, "--csv: has no value"),
        ({"allow_missing": "c.csv"}, "--allow-missing: takes no value"),
    ],
)
def test_mistakes_are_found_before_anything_starts(options: dict[str, object], message: str) -> None:
    with pytest.raises(HandsegInputError, match=message):
        vote("a.csv", "b.csv", output="out.csv", **options)


@pytest.mark.parametrize(
    ("files", "votes", "message"),
    [
        ([], None, "submissions: 0 cannot vote"),
        (["a.csv", "b.csv"], "3", "votes: 3 of 2 is not possible"),
        (["a.csv", "b.csv"], "ulna=1", "votes: 'ulna' is no bone"),
        (["a.csv", "x.csv"], None, "x.csv: cannot be read"),
    ],
)
def test_what_only_the_files_tell_is_one_sentence(files: list[str], votes: str | None, message: str) -> None:
    with pytest.raises(HandsegInputError, match=message):
        vote(*files, votes=votes, output="out.csv").start()
    assert not Path("out.csv").exists()


def test_what_is_missing_counts_as_empty_on_request() -> None:
    Path("c.csv").write_text("image_name,class,rle\n")
    vote("a.csv", "b.csv", "c.csv", output="out.csv", allow_missing=True).start()
    assert set(voted().values()) == {"1 2"}
