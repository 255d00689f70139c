"""Verbs about ensembles: vote, select-members."""

from __future__ import annotations

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.cli.arguments import Job, check_switch, check_values, number_of
from handseg_bundle_common.errors import HandsegInputError


def vote(
    *more: str,
    output: str,
    csv: str | None = None,
    votes: int | str | None = None,
    allow_missing: bool = False,
) -> Job:
    """Join submissions by a hard vote: a pixel belongs to a bone when enough of them say so.

    Works on the run-length codes alone; the radiographs are not needed.

    Args:
        more: submission CSVs that vote, each once: --csv a.csv b.csv c.csv.
        output: submission CSV to write.
        csv: the first of the submissions.
        votes: votes that a pixel needs, such as 3, or 3,Pisiform=2,Trapezoid=1; where none is named, more than half.
        allow_missing: count an image or bone that a submission lacks as empty there, in place of refusing it.
    """
    check_values(output=output, csv=csv, votes=votes)
    check_switch("allow_missing", allow_missing)
    paths = [*([] if csv is None else [csv]), *more]
    needed = None if votes is None else _votes_of(str(votes))

    def start() -> str:
        from handseg_bundle_common import ensemble  # noqa: PLC0415

        images = ensemble.vote_submissions(paths, output, needed, allow_missing=allow_missing)
        return f"{images} image{'s' * (images != 1)} voted on by {len(paths)} submissions: {output}"

    return Job(start)


def select_members(
    *more: str,
    predictions: str,
    labels: str,
    output: str,
    weights: str | None = None,
    objective: str = "both",
    size: int | str | None = None,
    folds: int | str = 5,
    seed: int | str = 0,
) -> Job:
    """Choose the models that are best together, from predictions of images that none of them was trained on.

    Also tests, on patients left out in turn, whether weights, thresholds and calibration of each bone help.

    Args:
        more: results folders of further models: --predictions a b c.
        predictions: results folder of the first model, from predict or cross-validate; probabilities in it are used.
        labels: data set with the polygons of the images.
        output: folder for tables, a figure and, where the weights of all members are known, an ensemble bundle.
        weights: files of weights that shall take part, one a folder of predictions and in their order, separated by
            commas: those trained on all data after cross-validate. By default those that predict has used.
        objective: what to gain: mean (Dice of all bones), small (of the small bones) or both (the mean of the two).
        size: number of members; by default as many as help.
        folds: number of parts of the patients for the test.
        seed: the same seed gives the same folds and intervals.
    """
    check_values(predictions=predictions, labels=labels, output=output, weights=weights, objective=objective)
    files = None if weights is None else [file.strip() for file in weights.split(",")]
    members = None if size is None else number_of("size", size, int)
    parts, first = number_of("folds", folds, int), number_of("seed", seed, int)

    def start() -> str:
        from handseg_bundle_common import ensemble  # noqa: PLC0415

        selection = ensemble.select_members(
            [predictions, *more], labels, weights=files, objective=objective, size=members, folds=parts, seed=first
        )
        ensemble.write_selection(output, selection)
        text = ensemble.selection_text(selection, output)
        try:
            ensemble.write_ensemble_bundle(ensemble.ensemble_settings(selection), output)
        except HandsegInputError as error:
            return f"{text}\nNo bundle is made: {error}"
        return f"{text}\nensemble bundle: handseg predict RADIOGRAPHS --bundle {output} --output FOLDER"

    return Job(start)


def _votes_of(text: str) -> int | dict[str, int]:
    """Return one number for all bones, or numbers by bone name where a bone has one of its own."""
    common: int | None = None
    own: dict[str, int] = {}
    for part in text.split(","):
        bone, equals, number = (word.strip() for word in part.rpartition("="))
        if equals and bone not in own:
            own[bone] = number_of("votes", number, int)
        elif not equals and common is None:
            common = number_of("votes", number, int)
        else:
            problem = f"{text!r} has two numbers for {bone or 'all bones'}"
            raise HandsegInputError("--votes", problem, "write one number, and one for each bone that differs")
    if not own and common is not None:
        return common
    return own if common is None else dict.fromkeys(BONE_NAMES, common) | own
