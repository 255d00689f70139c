"""The Markdown of a record: what a person writes is kept byte for byte, and damage is named with its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.tracking.records.document import (
    CONCLUSION,
    HEADINGS,
    HYPOTHESIS,
    Record,
    check_text,
    template,
    write_record,
)
from handseg_bundle_common.tracking.records.markdown import cells, escaped, first_sentence, table, visible
from handseg_bundle_common.tracking.records.markers import PARTS

PATH = Path("swa.md")
FILLED = {name: f"\nnumbers of {name}\n" for name in PARTS}

# Lines that mean something to a record, to Markdown or to HTML, between ordinary ones.
LINES = st.sampled_from(
    [
        *("## Result", "##  hypothesis ##", "   ## Data", "## Results", "# swa", "### Result", "-----"),
        *(
            "<!-- handseg: result -->",
            "<!-- /handseg -->",
            " <!-- handseg: result --> ",
            "<!--handseg: data",
            "<!-- x -->",
        ),
        *("<!--", "-->", "<!-->", "```", "````python", "~~~", "    code", "`<!--`", "| a | b |", "", " ", "text", "\r"),
    ]
)
TEXTS = st.lists(LINES | st.text(max_size=12), max_size=8).map("\n".join)


def without_parts(text: str) -> str:
    """Return a text without what stands between markers, found in another way than the package does."""
    marker = r"^[^\S\n]*<!-- handseg: (?:facts|changes|data|result) -->[^\S\n]*\n"
    return re.sub(rf"({marker})(?:.*\n)*?([^\S\n]*<!-- /handseg -->)", r"\1\2", text, flags=re.MULTILINE)


@given(TEXTS, TEXTS)
def test_a_text_from_the_command_line_is_kept_or_refused(hypothesis_text: str, conclusion: str) -> None:
    try:
        check_text("--hypothesis", hypothesis_text)
        check_text("--conclusion", conclusion)
    except HandsegInputError:
        return
    record = template(PATH, "swa").with_written(HYPOTHESIS, hypothesis_text).with_parts(FILLED)
    record = record.with_written(CONCLUSION, conclusion).with_parts(FILLED)
    assert not record.problems()
    for heading, text in ((HYPOTHESIS, hypothesis_text), (CONCLUSION, conclusion)):
        assert record.written(heading) == visible(text)
        assert f"\n\n{text}\n" in record.text
    assert [record.part(name) for name in PARTS] == list(FILLED.values())


@given(TEXTS, st.sampled_from([HYPOTHESIS, "Result", "Next step"]))
def test_a_text_in_the_file_survives_filling_or_filling_is_refused(text: str, heading: str) -> None:
    typed = template(PATH, "swa").text.replace(f"## {heading}\n", f"## {heading}\n{text}\n")
    try:
        filled = Record(PATH, typed).with_parts(FILLED)
    except HandsegInputError as error:
        assert re.match(r"swa\.md:\d+: ", str(error))
        return
    assert without_parts(filled.text) == without_parts(typed)
    assert text in filled.text
    assert filled.with_parts(FILLED) == filled


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4))
def test_values_of_a_table_come_back(values: list[str]) -> None:
    shown = [" ".join("".join(letter if letter.isprintable() else " " for letter in value).split()) for value in values]
    row = table(["head"] * len(values), [values]).split("\n")[2]
    assert "<" not in row
    assert cells(row) == shown


def test_a_new_record_has_its_headings_in_order_and_asks_for_what_a_person_writes() -> None:
    text = template(PATH, "swa *1*").text
    assert text.startswith("# swa \\*1\\*\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == list(HEADINGS)
    assert re.search(r"## Hypothesis\n\n<!-- .*\? -->\n", text)
    assert not template(PATH, "swa").written(HYPOTHESIS)


def test_line_ends_of_windows_stay() -> None:
    text = template(PATH, "swa").text.replace("\n", "\r\n")
    filled = Record(PATH, text).with_parts({"result": "one\ntwo"}).text
    assert "\r\none\r\ntwo\r\n" in filled
    assert filled.count("\n") == filled.count("\r\n")
    assert Record(PATH, filled).part("result") == "one\ntwo"


def test_what_is_not_text_for_markdown_stays_too(tmp_path: Path) -> None:
    record = template(tmp_path / "a.md", "a").with_written(HYPOTHESIS, "\ufeffDice \x00 \x0b \u2028 1")
    write_record(record)
    assert record.path.read_bytes() == record.text.encode()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<!-- handseg: result -->", "<!-- handseg: resul -->", r"swa\.md:26: .*damaged"),
        ("<!-- handseg: result -->", "<!--handseg: result-->", r"swa\.md:26: .*damaged"),
        ("<!-- handseg: result -->\n", "", r"swa\.md:26: a part ends that has not begun"),
        ("<!-- handseg: result -->\n<!-- /handseg -->", "<!-- handseg: result -->", r"swa\.md:26: .*has no end"),
        ("<!-- handseg: data -->\n<!-- /handseg -->", "<!-- handseg: data -->", r"swa\.md:21: .*has no end"),
        ("<!-- handseg: result -->\n<!-- /handseg -->\n", "", r"'result' is missing"),
        ("<!-- handseg: result -->", "<!-- handseg: data -->", r"swa\.md:26: .*'data' is there twice"),
    ],
)
def test_a_damaged_marker_is_named_with_its_line(old: str, new: str, message: str) -> None:
    damaged = Record(PATH, template(PATH, "swa").text.replace(old, new, 1))
    with pytest.raises(HandsegInputError, match=message):
        damaged.with_parts(FILLED)
    assert any(re.search(message, str(problem)) for problem in damaged.problems())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("  \n", "no text"),
        ("<!-- only a comment -->", "no text"),
        ("so\n## conclusion", "heading"),
        ("so\n <!-- handseg: result -->", "marker"),
        ("so\n<!-- that", "a comment opens here"),
        ("so\n```\ncode", "code opens here"),
        ("\udcff", "not Unicode"),
    ],
)
def test_a_text_that_would_break_the_record_is_refused(text: str, reason: str) -> None:
    with pytest.raises(HandsegInputError, match=f"--hypothesis: .*{reason}"):
        check_text("--hypothesis", text)


def test_a_written_part_is_not_written_over() -> None:
    record = template(PATH, "swa").with_written(HYPOTHESIS, "A gain.")
    assert record.with_written(HYPOTHESIS, "A gain.") == record
    with pytest.raises(HandsegInputError, match="there is text below '## Hypothesis' already"):
        record.with_written(HYPOTHESIS, "A loss.")


def test_a_comment_of_ones_own_stays_beside_the_text() -> None:
    text = template(PATH, "swa").text
    own = Record(PATH, re.sub(r"(?<=## Hypothesis\n\n)<!--.*-->", "<!-- mine -->", text))
    record = own.with_written(HYPOTHESIS, "A gain.")
    assert record.written(HYPOTHESIS) == "A gain."
    assert "<!-- mine -->" in record.text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("One. Two.", "One."),
        ("Dice of 0.95 is\nreached! <!-- no -->", "Dice of 0.95 is reached!"),
        ("no stop", "no stop"),
        ("", ""),
        ("a" * 500, "a" * 220 + "..."),
    ],
)
def test_the_first_sentence(text: str, sentence: str) -> None:
    assert first_sentence(text) == sentence


def test_names_cannot_become_markup() -> None:
    assert escaped("<b>|`x`\n[a](javascript:b)") == "&lt;b&gt;\\|\\`x\\` [a]\\(javascript:b)"
