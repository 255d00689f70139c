"""Votes of submissions, against masks decoded pixel by pixel."""

from __future__ import annotations

import csv
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from handseg_bundle_common.anatomy import BONE_NAMES, CHANNEL, NUM_BONES
from handseg_bundle_common.ensemble.vote import required_votes, vote_codes, vote_submissions
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.rle import encode_rle, read_submission

SIDE = 12


def naive_decode(rle: str, size: int) -> list[bool]:
    """Set one pixel after the other."""
    pixels = [False] * size
    numbers = [int(number) for number in rle.split()]
    for start, length in zip(numbers[::2], numbers[1::2], strict=True):
        for pixel in range(start, start + length):
            assert not pixels[pixel - 1]
            pixels[pixel - 1] = True
    return pixels


def naive_vote(codes: Sequence[str], votes: int, size: int) -> str:
    """Count the votes of every pixel."""
    counts = [sum(pixel) for pixel in zip(*(naive_decode(code, size) for code in codes), strict=True)]
    return encode_rle(np.array([[count >= votes for count in counts]]))


@st.composite
def codes_of_one_bone(draw: st.DrawFn) -> tuple[list[str], int, int]:
    """Codes of several masks of one size, some with touching runs as other programs write them; votes; the size."""
    size = draw(st.integers(1, 60))
    codes = []
    for _ in range(draw(st.integers(1, 6))):
        ends = sorted(draw(st.sets(st.integers(1, size), max_size=12)))
        runs = [(first, second) for first, second in zip([1, *ends], ends, strict=False) if draw(st.booleans())]
        codes.append(" ".join(f"{first} {second - first}" for first, second in runs if second > first))
    return codes, draw(st.integers(1, len(codes))), size


def write_submission(path: Path, images: dict[str, np.ndarray], *, reverse: bool = False, skip: str = "") -> Path:
    rows = [
        (name, bone, encode_rle(mask))
        for name, masks in images.items()
        for bone, mask in zip(BONE_NAMES, masks, strict=True)
        if bone != skip
    ]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("image_name", "class", "rle"), *(reversed(rows) if reverse else rows)])
    return path


def random_masks(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((NUM_BONES, SIDE, SIDE)) < 0.4


@pytest.fixture
def members(tmp_path: Path) -> list[Path]:
    """Three submissions of two images, the second with its rows in reverse."""
    return [
        write_submission(
            tmp_path / f"{seed}.csv", {"b.png": random_masks(seed), "a.png": random_masks(seed + 10)}, reverse=seed == 1
        )
        for seed in range(3)
    ]


@pytest.mark.parametrize(
    ("codes", "votes", "voted"),
    [
        (["3 4", "5 4"], 1, "3 6"),
        (["3 4", "5 4"], 2, "5 2"),
        (["1 2", "3 2"], 1, "1 4"),
        (["1 2", "3 2"], 2, ""),
        (["1 2 3 2"], 1, "1 4"),
        (["1 4", "1 2 3 2"], 2, "1 4"),
        (["1 9", "", "1 2 8 2"], 2, "1 2 8 2"),
        (["", ""], 1, ""),
        (["999999999999999999 1"] * 3, 3, "999999999999999999 1"),
    ],
    ids=[
        "union",
        "intersection",
        "runs that meet become one",
        "nothing in common",
        "touching runs of one code",
        "touching runs against one run",
        "an empty code votes for nothing",
        "all are empty",
        "far out",
    ],
)
def test_small_votes(codes: list[str], votes: int, voted: str) -> None:
    assert vote_codes(codes, votes) == voted


@given(codes_of_one_bone())
def test_the_vote_is_that_of_decoded_masks(case: tuple[list[str], int, int]) -> None:
    codes, votes, size = case
    assert vote_codes(codes, votes) == naive_vote(codes, votes, size)


@given(arrays(bool, st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9))))
def test_the_vote_of_masks_is_bit_identical_to_that_of_arrays(masks: np.ndarray) -> None:
    for votes in range(1, len(masks) + 1):
        assert vote_codes([encode_rle(mask) for mask in masks], votes) == encode_rle(masks.sum(axis=0) >= votes)


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("1", "has an odd count of numbers"),
        ("x 1", "'x' is no pixel number"),
        ("0 1", "the run 0 1 starts or lasts less than 1"),
        ("5 2 6 1", "the run 6 1 overlaps or precedes"),
    ],
)
def test_a_bad_code_is_refused_under_its_name(code: str, problem: str) -> None:
    with pytest.raises(HandsegInputError, match=rf"^b\.csv, a\.png, Ulna: {problem}"):
        vote_codes(["1 1", code], 1, ["a.csv", "b.csv, a.png, Ulna"])
    with pytest.raises(HandsegInputError, match=rf"^code 2: {problem}"):
        vote_codes(["1 1", code], 1)


@pytest.mark.parametrize(("codes", "votes"), [([""] * 3, 4), ([""] * 3, 0), ([], 1)])
def test_impossible_numbers_of_votes(codes: list[str], votes: int) -> None:
    with pytest.raises(HandsegInputError, match=f"^votes: {votes} of {len(codes)} is not possible; choose 1 to"):
        vote_codes(codes, votes)


@pytest.mark.parametrize("votes", [None, 1, 3, {"Pisiform": 1, "Radius": 3}])
def test_submissions_are_voted_on_bone_by_bone(
    members: list[Path], tmp_path: Path, votes: int | dict[str, int] | None
) -> None:
    assert vote_submissions(members, tmp_path / "voted.csv", votes) == 2
    voted = read_submission(tmp_path / "voted.csv")
    assert list(voted) == ["b.png", "a.png"], "the order of the first submission"
    for name, offset in (("b.png", 0), ("a.png", 10)):
        counts = np.sum([random_masks(seed + offset) for seed in range(3)], axis=0)
        for bone, code in voted[name].items():
            needed = votes if isinstance(votes, int) else (votes or {}).get(bone, 2)
            assert code == encode_rle(counts[CHANNEL[bone]] >= needed)


def test_one_number_or_one_a_bone() -> None:
    assert required_votes(3, 5) == dict.fromkeys(BONE_NAMES, 3)
    assert list(required_votes({"Ulna": 1}, 5)) == list(BONE_NAMES)
    assert [required_votes(None, voters)["Lunate"] for voters in (1, 2, 3, 4, 5)] == [1, 2, 2, 3, 3], "more than half"


@pytest.mark.parametrize(
    ("votes", "message"),
    [
        (4, r"^votes: 4 of 3 is not possible; choose 1 to 3\.$"),
        ({"Ulna": 4}, r"^votes for Ulna: 4 of 3 is not possible"),
        ({"ulna": 1}, r"^votes: 'ulna' is no bone; use finger-1, "),
    ],
)
def test_votes_that_cannot_be_used(
    members: list[Path], tmp_path: Path, votes: int | dict[str, int], message: str
) -> None:
    with pytest.raises(HandsegInputError, match=message):
        vote_submissions(members, tmp_path / "voted.csv", votes)
    assert not (tmp_path / "voted.csv").exists()


def test_an_image_that_one_submission_lacks_is_refused_or_empty_there(members: list[Path], tmp_path: Path) -> None:
    masks = random_masks(0)
    lacking = write_submission(tmp_path / "lacking.csv", {"b.png": masks})
    message = r"lacking\.csv: lacks 1 of 2 images, 'a\.png' first, which .*0\.csv has; predict it too"
    with pytest.raises(HandsegInputError, match=message):
        vote_submissions([members[0], lacking], tmp_path / "voted.csv", 1)
    assert vote_submissions([lacking, members[0]], tmp_path / "voted.csv", 2, allow_missing=True) == 2
    voted = read_submission(tmp_path / "voted.csv")
    assert voted["b.png"] == read_submission(lacking)["b.png"]
    assert not any(voted["a.png"].values())


def test_a_bone_that_one_submission_lacks_is_refused_or_empty_there(members: list[Path], tmp_path: Path) -> None:
    images = {"b.png": random_masks(0), "a.png": random_masks(10)}
    lacking = write_submission(tmp_path / "lacking.csv", images, skip="Lunate")
    with pytest.raises(HandsegInputError, match=r"lacking\.csv: 'b\.png' lacks 1 of 29 classes, Lunate first"):
        vote_submissions([members[0], lacking], tmp_path / "voted.csv", 1)
    vote_submissions([members[0], lacking], tmp_path / "voted.csv", 2, allow_missing=True)
    voted, whole = read_submission(tmp_path / "voted.csv"), read_submission(members[0])
    assert voted["a.png"] == whole["a.png"] | {"Lunate": ""}


def test_no_submission_votes_twice(
    members: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HandsegInputError, match=r"0\.csv: is named twice; name every submission once"):
        vote_submissions([members[0], members[1], "0.csv"], "voted.csv")
    Path("copy.csv").write_bytes(members[0].read_bytes())
    with caplog.at_level(logging.WARNING):
        vote_submissions([*members, "copy.csv"], "voted.csv")
    assert [record.getMessage() for record in caplog.records] == [
        f"copy.csv holds the same masks as {members[0]}: they vote twice"
    ]


def test_a_submission_is_not_replaced_by_the_vote(members: list[Path]) -> None:
    before = members[1].read_bytes()
    with pytest.raises(HandsegInputError, match=r"1\.csv: is one of the submissions that vote; choose another file"):
        vote_submissions(members, members[1])
    assert members[1].read_bytes() == before


def test_nothing_is_left_after_a_bad_code(members: list[Path], tmp_path: Path) -> None:
    text = members[2].read_text().splitlines()
    members[2].write_text("\n".join([*text[:-1], "a.png,Ulna,5 2 5 2"]))
    with pytest.raises(HandsegInputError, match=r"2\.csv, a\.png, Ulna: the run 5 2 overlaps or precedes"):
        vote_submissions(members, tmp_path / "voted.csv")
    assert not (tmp_path / "voted.csv").exists()


def test_some_submission_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(HandsegInputError, match=r"^submissions: 0 cannot vote; name two CSV files or more"):
        vote_submissions([], tmp_path / "voted.csv")
