"""The index of all records, as Markdown and in a browser."""

from __future__ import annotations

import re

import numpy as np
import pytest

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.tracking.records import fill_record, new_record, write_index

ATTACK = """</td></div><script>document.title = 1</script><img src=x onerror="alert(2)"> | [x](javascript:3) `a`"""


@pytest.fixture(scope="module")
def records(store, make_run, dice, tmp_path_factory):
    """Three records: a gain, a loss with markup in all it says, and a plan."""
    folder = tmp_path_factory.mktemp("index") / "records"
    whole = make_run(dice)
    texts = {"hypothesis": "Weights gain. Much.", "conclusion": "They do! On one seed.", "next_step": "More seeds."}
    new_record(folder, store.source(make_run(np.clip(dice + 0.02, 0, 1)), whole), name="gain", texts=texts)
    new_record(
        folder,
        store.source(make_run(dice - 0.1, name=ATTACK, parameters={"loss": ATTACK}), whole),
        name="loss",
        texts=dict.fromkeys(("hypothesis", "conclusion"), ATTACK),
    )
    new_record(folder, store.source(), name="plan")
    return folder


def test_the_table_has_a_line_for_each_record(records) -> None:
    lines = [line for line in (records / "README.md").read_text().split("\n") if line.startswith("|")]
    assert len(lines) == 5
    gain = next(line for line in lines if "[gain](gain.md)" in line)
    assert re.search(
        r"\| \d{4}-\d\d-\d\d \| \[gain\]\(gain.md\) \| Weights gain\. \| 0\.\d{4} \(0\.\d{4} to 0\.\d{4}\) "
        r"\| \+0\.0\d{3} \(\+0\.0\d{3} to \+0\.0\d{3}\) \| They do! \|",
        gain,
    )
    assert next(line for line in lines if "plan.md" in line).endswith("| [plan](plan.md) | - | - | - | - |")
    loss = next(line for line in lines if "loss.md" in line)
    assert "<" not in loss
    assert "-0.1000 (-0.1000 to -0.1000)" in loss


def test_the_page_sorts_searches_and_opens_conclusions(records, browser) -> None:
    browser.get((records / "index.html").as_uri())

    def find(selector):
        return browser.find_elements("css selector", selector)

    def names():
        return [cell.text for cell in find("tbody .name") if cell.is_displayed()]

    assert browser.title == "Experiment records"
    assert sorted(names()) == ["gain", "loss", "plan"]
    heads = find("thead button")
    heads[4].click()
    assert names() == ["loss", "gain", "plan"]
    heads[4].click()
    assert names() == ["gain", "loss", "plan"]
    heads[1].click()
    assert names() == ["gain", "loss", "plan"]
    assert find("thead th")[1].get_attribute("aria-sort") == "ascending"
    find("#search")[0].send_keys("SEED gain")
    assert names() == ["gain"]
    assert find("output")[0].text == "1 of 3"
    find("summary")[0].click()
    assert [text.text for text in find("details[open] .text")][-1] == "More seeds."
    find("#search")[0].clear()
    find("#search")[0].send_keys("x")
    assert browser.title == "Experiment records"
    assert ATTACK in find("tbody tr .text")[3].get_attribute("textContent")
    assert find(".better .interval") and find(".worse svg")
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert find("tbody .name a")[0].get_attribute("href").endswith("/records/gain.md")


def test_damaged_records_are_listed_as_such(store, folder) -> None:
    path = new_record(folder, store.source(), name="a", texts={"hypothesis": "It gains."})
    path.write_text(path.read_text().replace("<!-- handseg: result -->\n", ""))
    (folder / "b.md").write_bytes(b"\xff")
    page, count = write_index(folder)
    assert count == 2
    table = (folder / "README.md").read_text()
    assert re.search(r"\| It gains\. \| - \| - \| Damaged: line \d+, a part ends that has not begun \|", table)
    assert "| - | - | - | Damaged: cannot be read (it is not UTF-8) |" in table
    assert page.read_text().count("Damaged: ") == 2


def test_text_around_the_table_stays_and_other_files_are_not_written_over(store, folder) -> None:
    path = new_record(folder, store.source(), name="a")
    index = folder / "README.md"
    index.write_text("Our records\n" + index.read_text() + "and so on")
    fill_record(path, store.source(), texts={"hypothesis": "It gains."})
    assert index.read_text().startswith("Our records\n# Experiment records")
    assert index.read_text().endswith("and so on")
    assert "It gains." in index.read_text()
    before = path.read_bytes()
    (folder / "index.html").write_text("<p>a page of somebody else</p>")
    with pytest.raises(HandsegInputError, match="was not written by handseg"):
        fill_record(path, store.source(), texts={"conclusion": "It does."})
    with pytest.raises(HandsegInputError, match="was not written by handseg"):
        write_index(folder)
    (folder / "index.html").unlink()
    index.write_text("Notes of somebody else\n")
    with pytest.raises(HandsegInputError, match=r"README\.md:\d+: the part 'index' is missing"):
        fill_record(path, store.source(), texts={"conclusion": "It does."})
    assert path.read_bytes() == before


def test_an_empty_folder_has_an_empty_index(folder) -> None:
    folder.mkdir()
    assert write_index(folder)[1] == 0
    assert "0 records" in (folder / "index.html").read_text()


def test_a_folder_that_is_not_there_is_not_made(folder) -> None:
    with pytest.raises(HandsegInputError, match="is no folder"):
        write_index(folder)
    assert not folder.exists()


def test_a_folder_in_the_place_of_the_page_is_refused(folder) -> None:
    (folder / "index.html").mkdir(parents=True)
    with pytest.raises(HandsegInputError, match=r"index\.html: is no file"):
        write_index(folder)
    assert not (folder / "README.md").exists()


def test_a_difference_of_few_patients_is_not_coloured(store, folder, make_run, dice) -> None:
    for count, is_coloured in ((4, False), (5, True)):
        part = dice[: 2 * count]
        new_record(folder / str(count), store.source(make_run(np.clip(part + 0.02, 0, 1)), make_run(part)))
        assert ('class="number better"' in (folder / str(count) / "index.html").read_text()) == is_coloured
