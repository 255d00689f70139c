"""The page in a real browser: sorted, filtered, read with mouse and keyboard, offline."""

from __future__ import annotations

import json

import numpy as np
import pytest

from handseg_bundle_common.anatomy import CHANNEL

Keys = pytest.importorskip("selenium.webdriver.common.keys", reason="pages in a browser (pip install selenium)").Keys
from selenium.webdriver import ActionChains  # noqa: E402
from selenium.webdriver.support.select import Select  # noqa: E402
from selenium.webdriver.support.wait import WebDriverWait  # noqa: E402


class Page:
    """The report in a browser."""

    def __init__(self, browser, url):
        self.browser, self.url = browser, url
        self.load()

    def load(self, fragment=""):
        self.browser.get("about:blank")
        for log in ("browser", "performance"):
            self.browser.get_log(log)
        self.browser.get(self.url + fragment)

    def find(self, selector):
        return self.browser.find_element("css selector", selector)

    def run(self, script, *arguments):
        return self.browser.execute_script(f"return {script}", *arguments)

    def order(self):
        """Return the numbers of the images in the table, from top to bottom."""
        return self.run("[...document.querySelectorAll('tbody tr:not([hidden])')].map(row => +row.dataset.case)")

    def column(self, name):
        return self.run(
            "[...document.querySelectorAll(`tbody tr:not([hidden]) [data-column=${arguments[0]}]`)]"
            ".map(cell => cell.textContent)",
            name,
        )

    def press(self, *keys):
        ActionChains(self.browser).send_keys(*keys).perform()

    def shows(self, number):
        """Tell whether the viewer comes to show an image; None stands for a closed viewer."""
        shown = "document.querySelector('#viewer').open ? +location.hash.slice(6) : null"
        WebDriverWait(self.browser, 20).until(lambda _: self.run(shown) == number)
        return True


@pytest.fixture
def page(browser, report):
    browser.set_window_size(1360, 1000)
    return Page(browser, report.page.as_uri())


def ranked(report, key):
    return sorted(range(len(report.analysis.cases)), key=lambda number: key(report.analysis.cases[number]))


def test_it_opens_offline_without_a_request_or_a_complaint(page, browser):
    page.load("#case-0")
    page.press("e", "j", Keys.ESCAPE)
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requested = [
        event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"
    ]
    assert {url.split("#")[0] for url in requested if not url.startswith("data:")} == {page.url}
    assert browser.get_log("browser") == []
    assert page.run("[...document.images].every(image => image.complete && image.naturalWidth)")
    assert browser.title.startswith("Error analysis of ")


def test_a_column_is_sorted_by_its_button_and_turned_by_a_second_click(page, report):
    assert page.order() == ranked(report, lambda case: case.mean_dice)
    head = page.find("th[data-column=wrist]")
    head.find_element("css selector", "button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert page.column("wrist") == sorted(page.column("wrist"), key=float)
    head.find_element("css selector", "button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert page.column("wrist") == sorted(page.column("wrist"), key=float, reverse=True)
    assert page.run("document.querySelectorAll('[aria-sort]').length") == 1


def test_names_are_sorted_as_text_and_faults_by_what_they_cost(page, report):
    page.find("th[data-column=patient] button").click()
    assert page.column("patient") == sorted(page.column("patient"))
    page.find("th[data-column=faults] button").click()
    page.find("th[data-column=faults] button").click()
    costs = [sum(fault.severity for fault in report.analysis.cases[number].faults) for number in page.order()]
    assert costs == sorted(costs, reverse=True)


def test_a_bone_is_picked_and_its_scores_and_faults_are_shown(page, report):
    Select(page.find("#bones")).select_by_visible_text("pisiform")
    pisiform = CHANNEL["Pisiform"]
    cases = [report.analysis.cases[number] for number in page.order()]
    assert page.column("dice") == [f"{case.scores.dice[pisiform]:.3f}" for case in cases]
    assert page.column("dice") == sorted(page.column("dice"))
    assert [text for text in page.column("faults") if text] == ["".join(f.text for f in cases[0].faults)]
    assert not page.find("th[data-column=worst]").is_displayed()


def test_a_group_of_bones_shows_its_means_and_its_worst_bone(page, report):
    Select(page.find("#bones")).select_by_visible_text("All forearm")
    expected = [report.analysis.cases[number].scores.dice[[27, 28]].mean() for number in page.order()]
    assert [float(text) for text in page.column("dice")] == pytest.approx(expected, abs=6e-4)
    assert page.column("worst")[0].startswith("radius")


def test_images_are_searched_and_those_without_faults_hidden(page):
    page.find("#search").send_keys("SWAP")
    assert page.column("image") == ["p1/swapped.png"]
    assert page.find("#count").text == "1 of 6 images"
    page.find("#search").send_keys(Keys.BACKSPACE * 4)
    page.find("#faulty").click()
    assert page.find("#count").text == "5 of 6 images"
    assert "p3/right.png" not in page.column("image")


def test_a_click_on_a_row_shows_its_case_and_escape_leads_back(page, report):
    number = page.order()[1]
    page.find(f"tr[data-case='{number}'] td[data-column=dice]").click()
    case = report.analysis.cases[number]
    assert page.shows(number)
    assert page.find("#viewer-title").text == case.image_name
    sentences = [entry.text for entry in page.browser.find_elements("css selector", "#viewer-faults li")]
    assert sentences == [fault.text for fault in case.faults]
    scores = [entry.text for entry in page.browser.find_elements("css selector", "#viewer-bones .score")]
    assert scores == [f"{score:.3f}" for score in case.scores.dice]
    assert page.find("#stage .errors").is_displayed()
    page.press(Keys.ESCAPE)
    assert page.shows(None)
    assert page.run("document.activeElement.textContent") == case.image_name


def test_keys_lead_to_the_next_and_the_previous_case(page):
    order = page.order()
    page.load(f"#case-{order[0]}")
    assert page.shows(order[0])
    for key, place in (("j", 1), (Keys.ARROW_RIGHT, 2), ("k", 1), (Keys.ARROW_LEFT, 0), (Keys.ARROW_LEFT, 0)):
        page.press(key)
        assert page.shows(order[place])
    assert page.find("#viewer-position").text == "1 of 6"
    assert not page.find("#previous").is_enabled()


def test_the_next_case_is_the_next_row_of_the_table_as_it_is_sorted(page, report):
    Select(page.find("#bones")).select_by_visible_text("lunate")
    page.find("th[data-column=dice] button").click()
    order = page.order()
    dice = [report.analysis.cases[number].scores.dice[CHANNEL["Lunate"]] for number in order]
    assert dice == sorted(dice, reverse=True)
    page.find(f"tr[data-case='{order[0]}'] a").click()
    page.find("#next").click()
    assert page.shows(order[1])


def test_the_table_is_walked_and_opened_by_keys(page):
    order = page.order()
    page.press("j")
    assert page.run("document.activeElement === document.body"), "keys are those of the table"
    page.run("document.querySelector('#cases .scroll').focus()")
    page.press("j", "j")
    assert page.run("+document.activeElement.closest('tr').dataset.case") == order[1]
    page.press(Keys.ARROW_UP, Keys.ENTER)
    assert page.shows(order[0])


def test_a_fault_at_the_top_leads_to_its_case(page):
    link = page.find(".faults a")
    assert "swapped" in link.text
    link.click()
    assert page.shows(1)
    assert page.find("#viewer-title").text == "p1/swapped.png"
    assert "swapped" in page.find("#viewer-details figcaption").text


def test_errors_are_switched_off_to_see_the_bone_below(page):
    page.load(f"#case-{page.order()[0]}")
    assert page.find("#stage .errors").is_displayed()
    page.press("e")
    assert not page.find("#stage .errors").is_displayed()
    assert page.find("#stage img").is_displayed()


def test_the_picture_is_magnified_by_a_key_and_a_button(page):
    page.load(f"#case-{page.order()[0]}")
    for press, is_zoomed in (
        (lambda: page.press("z"), True),
        (lambda: page.press("z"), False),
        (page.find("#magnify").click, True),
    ):
        press()
        assert page.run("document.querySelector('#stage .layers').classList.contains('zoomed')") == is_zoomed
        assert page.find("#magnify").get_attribute("aria-pressed") == str(is_zoomed).lower()


def test_escape_leads_back_to_the_fault_that_was_clicked(page):
    link = page.find(".faults a")
    link.click()
    assert page.shows(1)
    page.press(Keys.ESCAPE)
    assert page.shows(None)
    assert page.run("document.activeElement.matches('.faults a')")


def test_a_case_that_is_not_drawn_says_so(page):
    page.load(f"#case-{page.order()[-1]}")
    assert "This image is not drawn" in page.find("#stage").text
    assert page.find("#viewer-bones .score").text == "1.000"


def test_names_of_files_do_no_harm(page, report):
    (number,) = (n for n, case in enumerate(report.analysis.cases) if "<script>" in case.image_name)
    page.load(f"#case-{number}")
    assert page.find("#viewer-title").text == report.analysis.cases[number].image_name
    assert page.browser.title != "taken"


@pytest.mark.parametrize("fragment", ["", "#case-0"])
def test_a_narrow_screen_scrolls_in_one_direction_only(page, browser, fragment):
    browser.set_window_size(500, 900)
    page.load(fragment)
    width = page.run("innerWidth")
    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.run("document.querySelector('#viewer .body').scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_the_light_and_in_the_dark(page, browser, scheme):
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    page.load()
    for selector in (".faults .text", ".faults .kind", ".faults .where", ".muted", "thead button"):
        ink = page.run("getComputedStyle(document.querySelector(arguments[0])).color", selector)
        ground = page.run("getComputedStyle(document.querySelector('section')).backgroundColor")
        assert contrast(ink, ground) >= 4.5, f"{selector}: {ink} on {ground}"
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def contrast(*colours):
    """Return the contrast ratio of two colours (WCAG 2.2)."""
    values = [np.array([int(part) for part in colour[4:-1].split(",")]) / 255 for colour in colours]
    linear = [np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4) for value in values]
    low, high = sorted(value @ (0.2126, 0.7152, 0.0722) for value in linear)
    return (high + 0.05) / (low + 0.05)
