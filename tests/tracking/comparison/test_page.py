"""The page in a real browser: sorted, offline, and with names that stay text."""

from __future__ import annotations

import json

import pytest

from handseg_bundle_common.tracking.comparison import compare_runs, write_comparison

pytest.importorskip("selenium", reason="pages in a browser (pip install selenium)")


@pytest.fixture(scope="module")
def comparison(store):
    return compare_runs(store.client, store.experiment)


@pytest.fixture(scope="module")
def address(comparison, tmp_path_factory):
    return write_comparison(comparison, tmp_path_factory.mktemp("page")).as_uri()


@pytest.fixture
def page(browser, address):
    """The page, freshly loaded, with the logs of what it asked for and complained of empty before."""
    browser.set_window_size(1360, 1000)
    browser.get("about:blank")
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(address)
    return browser


def column(page, table, number):
    """Return the texts of a column from top to bottom, without intervals."""
    script = (
        "return [...document.querySelectorAll('table')[arguments[0]].tBodies[0].rows]"
        ".map(row => row.cells[arguments[1]].childNodes[0].textContent.trim())"
    )
    return page.execute_script(script, table, number)


def click(page, table, number):
    script = "return document.querySelectorAll('table')[arguments[0]].tHead.rows[0].cells[arguments[1]]"
    head = page.execute_script(script, table, number)
    page.execute_script("arguments[0].querySelector('button').click()", head)
    return head


def test_it_opens_offline_without_a_request_or_a_complaint(page, address):
    events = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    requested = [
        event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"
    ]
    assert {url for url in requested if not url.startswith("data:")} == {address}
    assert page.get_log("browser") == []
    assert page.execute_script("return [...document.images].every(image => image.complete && image.naturalWidth)")


def test_names_and_settings_with_markup_stay_text(page, store):
    assert page.title == "Runs of trials"
    assert store.hostile_name in column(page, 0, 1)
    assert "<b>bce</b>" in column(page, 1, 3)


def test_runs_are_sorted_by_a_column_and_turned_by_a_second_click(page, comparison):
    assert column(page, 0, 0) == list("1234567")
    head = click(page, 0, 3)
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, 0, 3) == sorted(column(page, 0, 3), key=float)
    click(page, 0, 3)
    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, 0, 3) == sorted(column(page, 0, 3), key=float, reverse=True)
    click(page, 0, 1)
    assert column(page, 0, 1)[0].startswith("<script>")
    assert column(page, 0, 1)[1:] == sorted(run.name for run in comparison.runs)[1:]
    assert page.execute_script("return document.querySelectorAll('[aria-sort]').length") == 1


def test_what_is_not_known_stands_last_either_way(page):
    for _ in range(2):
        click(page, 0, 5)
        assert sorted(column(page, 0, 5)[3:]) == [
            "baseline",
            "no scores of images",
            "no scores of images",
            "other images",
        ]


def test_settings_are_sorted_on_their_own(page):
    before = column(page, 0, 0)
    click(page, 1, 2)
    assert column(page, 1, 2)[0] == "256"
    assert column(page, 0, 0) == before


def test_differences_of_bones_are_sorted_back_into_the_order_of_bones(page):
    anatomical = column(page, -1 + count(page), 0)
    assert anatomical[0].startswith("DP1")
    click(page, count(page) - 1, 2)
    assert column(page, count(page) - 1, 0)[0].startswith("R ")
    click(page, count(page) - 1, 0)
    assert column(page, count(page) - 1, 0) == anatomical


def test_it_fits_a_narrow_window(page):
    page.set_window_size(500, 900)
    assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")


def test_a_single_run_without_curves_has_a_page_too(browser, store, tmp_path):
    browser.get(write_comparison(compare_runs(store.client, store.experiment, ["numbers only"]), tmp_path).as_uri())
    assert column(browser, 0, 1) == ["numbers only"]
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def count(page):
    return page.execute_script("return document.querySelectorAll('table').length")
