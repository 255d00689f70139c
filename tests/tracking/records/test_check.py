"""What keeps a record from being complete, with file and line."""

from __future__ import annotations

import pytest

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.tracking.records import check_records, fill_record, new_record
from handseg_bundle_common.tracking.runs import find_run

WRITTEN = {"hypothesis": "It gains.", "conclusion": "It does."}


@pytest.fixture
def complete(store, folder, make_run, dice):
    """A complete record, and the run that it is about."""
    run = make_run(dice)
    return new_record(folder, store.source(run, make_run(dice - 0.1)), texts=WRITTEN), run


def found(folder, uri, *files):
    """Return the line and text of every problem."""
    return [(problem.line, problem.text) for problem in check_records(files, folder, uri)[1]]


def line_of(path, text):
    return path.read_text().split("\n").index(text) + 1


def test_a_complete_record_has_no_problem(store, folder, complete) -> None:
    assert check_records([], folder, store.uri) == (1, [])
    assert check_records([complete[0]], folder / "elsewhere", None) == (1, [])


@pytest.mark.parametrize("text", ["", " \n\t\n", "<!-- later -->", "<!--\nlater\n-->", "<!-- What? --> <!-- When? -->"])
@pytest.mark.parametrize("heading", ["Hypothesis", "Conclusion"])
def test_an_empty_hypothesis_or_conclusion_is_refused(store, folder, complete, heading, text) -> None:
    path = complete[0]
    written = WRITTEN[heading.lower()]
    path.write_text(path.read_text().replace(written, text))
    fill_record(path, store.source())
    assert found(folder, store.uri) == [(line_of(path, f"## {heading}"), f"the {heading.lower()} is empty")]


def test_a_heading_that_is_missing_or_there_twice_is_found(store, folder, complete) -> None:
    path = complete[0]
    text = path.read_text().replace("## Data\n", "## Dates\n").replace("It does.", "It does.\n\n## hypothesis\n\nNo.")
    path.write_text(text)
    assert found(folder, None) == [
        (line_of(path, "## hypothesis"), "the heading '## Hypothesis' is there twice"),
        (len(text.split("\n")), "the heading '## Data' is missing"),
    ]


def test_damaged_markers_are_all_found(store, folder, complete) -> None:
    path = complete[0]
    text = path.read_text()
    path.write_text(text.replace("<!-- handseg: data -->", "<!-- handseg:data -->").replace("It does.", "<!-- done"))
    problems = check_records([], folder, store.uri)[1]
    # The comment that is not closed swallows the next heading, and what would be the conclusion with it.
    assert [problem.text for problem in problems] == [
        "the marker '<!-- handseg:data -->' is damaged",
        "the conclusion is empty",
        "the heading '## Next step' is missing",
    ]
    assert str(problems[0]).startswith(f"{path}:{line_of(path, '<!-- handseg:data -->')}: ")


def test_a_result_that_was_never_filled_in_is_refused(store, folder) -> None:
    path = new_record(folder, store.source(), name="plan", texts=WRITTEN)
    assert found(folder, None) == [(line_of(path, "<!-- handseg: result -->"), "no result was ever filled in")]


def test_a_result_that_is_older_than_its_run_is_refused(store, folder, complete, dice, tmp_path) -> None:
    path, run = complete
    run_id = find_run(store.client, "handseg", run).run_id
    store.client.log_metric(run_id, "val_mean_dice", 0.9, step=4)
    assert found(folder, store.uri) == [
        (line_of(path, "<!-- handseg: result -->"), "the part 'result' is older than its run")
    ]
    assert found(folder, None) == []
    fill_record(path, store.source())
    assert found(folder, store.uri) == []


def test_a_run_that_has_not_ended_or_is_gone_is_named(store, folder, make_run, dice) -> None:
    running = make_run(dice, status=None)
    path = new_record(folder, store.source(running), texts=WRITTEN)
    assert found(folder, store.uri) == [(line_of(path, "<!-- handseg: result -->"), "the run has not ended")]
    run_id = find_run(store.client, "handseg", running).run_id
    store.client.delete_run(run_id)
    assert found(folder, store.uri) == [(3, f"{run_id}: this run was deleted in MLflow")]
    path.write_text(path.read_text().replace(run_id, "0" * 32))
    assert "has this name or identifier" in found(folder, store.uri)[0][1]


def test_a_text_that_changed_after_filling_is_not_yet_the_note(store, folder, complete) -> None:
    path, run = complete
    path.write_text(path.read_text().replace("It does.", "It does not."))
    assert found(folder, store.uri) == [(1, "the run's note in MLflow is another text than this record")]
    fill_record(path, store.source())
    assert found(folder, store.uri) == []
    assert "It does not." in find_run(store.client, "handseg", run).tags["mlflow.note.content"]


def test_line_ends_of_windows_are_no_problem(store, folder, complete) -> None:
    path = complete[0]
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    fill_record(path, store.source())
    assert found(folder, store.uri) == []


def test_a_folder_without_a_record_is_refused(folder) -> None:
    folder.mkdir()
    (folder / "README.md").write_text("mine")
    with pytest.raises(HandsegInputError, match="holds no record"):
        check_records([], folder, None)


def test_a_record_that_cannot_be_read_is_a_problem_among_those_of_the_others(folder) -> None:
    folder.mkdir()
    (folder / "a.md").write_bytes(b"\xff")
    (folder / "b.md").write_text("# b\n")
    count, problems = check_records([], folder, None)
    assert count == 2
    assert (problems[0].path.name, problems[0].line) == ("a.md", 1)
    assert "it is not UTF-8" in problems[0].text
    assert {problem.path.name for problem in problems} == {"a.md", "b.md"}
