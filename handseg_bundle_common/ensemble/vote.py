"""Hard votes of submissions, run by run: a pixel belongs to a bone when enough submissions say so.

No mask is decoded, so that the radiographs need not be at hand and their sizes need not be known.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

import numpy as np
from tqdm import tqdm

from handseg_bundle_common.anatomy import BONE_NAMES, CHANNEL
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.rle import SubmissionWriter, read_submission
from handseg_bundle_common.formats.runs import decode_runs, encode_runs

logger = logging.getLogger(__name__)

Votes = int | Mapping[str, int] | None

_Codes = dict[str, dict[str, str]]
_ALL_EMPTY = dict.fromkeys(BONE_NAMES, "")


def vote_codes(codes: Sequence[str], votes: int, sources: Sequence[str] | None = None) -> str:
    """Return the run-length code of the pixels that at least `votes` of several codes cover.

    The result is the one that `encode_rle` gives for the vote of the decoded masks. Without the size of the image a
    run beyond it cannot be told from a good one; `decode_rle` refuses it later, if the vote keeps it.

    Args:
        codes: codes of one bone in the same image; an empty code votes for no pixel.
        votes: 1 gives the union, the number of codes their intersection.
        sources: what an error about each code names, such as its file, image and bone.

    Raises:
        HandsegInputError: a code is what `decode_runs` refuses, or the number of votes is impossible.
    """
    _check_votes("votes", votes, len(codes))
    names = [f"code {number}" for number in range(1, len(codes) + 1)] if sources is None else sources
    starts, ends = (np.sort(places) for places in decode_runs(codes, names))
    # Both ascend. Where n runs have ended, enough codes cover a pixel if at least n + votes runs have started: the vote
    # is the union over n of what lies between start n + votes - 1 and end n, counted from 0.
    starts, ends = starts[votes - 1 :], ends[: max(ends.size - votes + 1, 0)]
    is_run = starts < ends
    starts, ends = starts[is_run], ends[is_run]
    is_gap = np.ones(starts.size + 1, bool)
    is_gap[1:-1] = starts[1:] > ends[:-1]
    return encode_runs(starts[is_gap[:-1]], ends[is_gap[1:]])


def vote_submissions(
    paths: Sequence[str | PathLike[str]],
    output: str | PathLike[str],
    votes: Votes = None,
    *,
    allow_missing: bool = False,
) -> int:
    """Write the submission of the pixels that enough of several submissions give to a bone.

    Rows may come in any order; images are the same when their names are, and the images of the result are in the order
    of the first submission that has them. That submissions were written for radiographs of the same size cannot be
    checked, see `vote_codes`.

    Args:
        paths: submissions of single models, each once; two with the same codes are reported by a warning.
        output: submission to write, none of `paths`.
        votes: see `required_votes`.
        allow_missing: count an image or bone that a submission lacks as empty there, in place of refusing it.

    Returns:
        The number of images.

    Raises:
        HandsegInputError: a submission cannot be read, is named twice, or lacks an image or bone; a code or the votes
            cannot be used; or the output cannot be written.
    """
    files = [Path(path) for path in paths]
    _check_files(files, Path(output))
    required = required_votes(votes, len(files))
    submissions = [read_submission(file, allow_missing=allow_missing) for file in files]
    images = list(dict.fromkeys(name for submission in submissions for name in submission))
    if not allow_missing:
        _check_images(files, submissions, images)
    _warn_of_copies(files, submissions)
    with SubmissionWriter(output) as writer:
        for image in tqdm(images, "voting", unit="image", disable=None):
            of_image = [submission.get(image, _ALL_EMPTY) for submission in submissions]
            voted = []
            for bone, number in required.items():
                sources = [f"{file}, {image}, {bone}" for file in files]
                voted.append(vote_codes([codes[bone] for codes in of_image], number, sources))
            writer.write_codes(image, voted)
    return len(images)


def required_votes(votes: Votes, voters: int) -> dict[str, int]:
    """Return how many votes each bone needs, by bone name in channel order.

    Args:
        votes: one number for all bones, or numbers by bone name; bones without a number need more than half.
        voters: number of those who vote.

    Raises:
        HandsegInputError: a bone is unknown, or a number is not between 1 and `voters`.
    """
    if not isinstance(votes, (int, Mapping, type(None))):
        raise HandsegInputError("votes", f"{votes!r} is no number", "write a whole number, or one for each bone's name")
    chosen = votes if isinstance(votes, Mapping) else {} if votes is None else dict.fromkeys(BONE_NAMES, votes)
    for name, number in chosen.items():
        if name not in CHANNEL:
            raise HandsegInputError("votes", f"{name!r} is no bone", f"use {', '.join(BONE_NAMES)}")
        _check_votes("votes" if isinstance(votes, int) else f"votes for {name}", number, voters)
    return dict.fromkeys(BONE_NAMES, voters // 2 + 1) | dict(chosen)


def _check_votes(source: str, votes: int, voters: int) -> None:
    if isinstance(votes, bool) or not isinstance(votes, int) or not 1 <= votes <= voters:
        raise HandsegInputError(source, f"{votes} of {voters} is not possible", f"choose 1 to {max(voters, 1)}")


def _check_files(files: Sequence[Path], output: Path) -> None:
    """Refuse fewer than two submissions, one that would vote twice, and one that the result would replace."""
    if len(files) < 2:
        raise HandsegInputError("submissions", f"{len(files)} cannot vote", "name two CSV files or more")
    real = [file.resolve() for file in files]
    for number, file in enumerate(real):
        if file in real[:number]:
            raise HandsegInputError(files[number], "is named twice", "name every submission once")
    if output.resolve() in real:
        raise HandsegInputError(output, "is one of the submissions that vote", "choose another file for the result")


def _check_images(files: Sequence[Path], submissions: Sequence[_Codes], images: Sequence[str]) -> None:
    """Refuse submissions of different images."""
    for file, submission in zip(files, submissions, strict=True):
        missing = [image for image in images if image not in submission]
        if missing:
            other = next(f for f, images_of in zip(files, submissions, strict=True) if missing[0] in images_of)
            problem = f"lacks {len(missing)} of {len(images)} images, {missing[0]!r} first, which {other} has"
            raise HandsegInputError(file, problem, "predict it too, or count it as empty with allow_missing")


def _warn_of_copies(files: Sequence[Path], submissions: Sequence[_Codes]) -> None:
    for number, submission in enumerate(submissions):
        if submission in submissions[:number]:
            original = files[submissions.index(submission)]
            logger.warning("%s holds the same masks as %s: they vote twice", files[number], original)
