"""The page in a real browser: a radiograph goes in, bones are pointed at, hidden, compared and downloaded."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request

import cv2
import numpy as np
import pytest

from handseg_bundle_common.anatomy import CHANNEL

from .conftest import NAME

ActionChains = pytest.importorskip(
    "selenium.webdriver", reason="pages in a browser (pip install selenium)"
).ActionChains
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.select import Select  # noqa: E402
from selenium.webdriver.support.wait import WebDriverWait  # noqa: E402


class Page:
    """The page in a browser."""

    def __init__(self, browser, address):
        self.browser, self.address = browser, address
        browser.get("about:blank")
        for log in ("browser", "performance"):
            browser.get_log(log)
        browser.get(address)
        self.until("'ready' in document.documentElement.dataset")

    def find(self, selector):
        return self.browser.find_element("css selector", selector)

    def run(self, script, *arguments):
        return self.browser.execute_script(f"return {script}", *arguments)

    def until(self, script):
        WebDriverWait(self.browser, 60).until(lambda _: self.run(script))

    def open(self, path):
        self.find("#file").send_keys(str(path))
        self.done()

    def done(self):
        self.until("document.querySelector('#busy').hidden")

    def colour(self, column, row, canvas=0):
        """Return red, green and blue of the canvas where a pixel of the 256 px picture is drawn."""
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        script = """(() => { const canvas = document.querySelectorAll('canvas')[arguments[2]];
            const scale = 0.97 * Math.min(canvas.width, canvas.height) / 256;
            const [x, y] = [(arguments[0] - 128) * scale + canvas.width / 2,
                            (arguments[1] - 128) * scale + canvas.height / 2];
            return [...canvas.getContext('2d').getImageData(x, y, 1, 1).data].slice(0, 3); })()"""
        return self.run(script, column, row, canvas)

    def point(self, column, row, canvas=0):
        """Move the pointer onto a pixel of the 256 px picture."""
        element = self.browser.find_elements("css selector", "canvas")[canvas]
        scale = 0.97 * min(element.size["width"], element.size["height"]) / 256
        offset = round((column - 128) * scale), round((row - 128) * scale)
        ActionChains(self.browser).move_to_element_with_offset(element, *offset).perform()

    def tip(self):
        box = self.find("#tip")
        return box.text if box.is_displayed() else None

    def row(self, bone):
        found = self.find(f"[data-bone='{bone}']")
        self.run("arguments[0].scrollIntoView({block: 'center'})", found)
        return found


@pytest.fixture(scope="module")
def loaded(browser, address, radiograph):
    """The page with the radiograph, as it comes."""
    browser.set_window_size(1400, 900)
    page = Page(browser, address)
    page.open(radiograph)
    assert not page.find("#alert").is_displayed(), page.find("#alert").text
    return page


@pytest.fixture
def page(loaded):
    """The page with all bones visible and the pointer elsewhere."""
    loaded.find("#tab-bones").click()
    loaded.run("document.querySelector('#panel-bones').scrollTo(0, 0)")
    loaded.find(".bones-all button").click()
    ActionChains(loaded.browser).move_to_element(loaded.find("h1")).perform()
    return loaded


def place_of(expected, bones):
    """Return column and row of a pixel deep inside those that belong to exactly these bones."""
    inside = (expected == sum(1 << CHANNEL[bone] for bone in bones)).astype(np.uint8)
    distance = cv2.distanceTransform(np.pad(inside, 1), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    row, column = np.unravel_index(distance.argmax(), distance.shape)
    assert distance.max() > 1
    return column + 0.5, row + 0.5


def test_the_empty_page_tells_what_happens_to_a_radiograph(browser, address):
    page = Page(browser, address)
    assert "It stays on this computer, and is deleted" in page.find("#promise").text
    assert "1 MiB" in page.find("#promise").text
    assert [option.text for option in Select(page.find("#bundle")).options] == [
        "effisegnet",
        "unetplusplus",
        "ensemble",
    ]
    assert not page.find("#side").is_displayed()


def test_it_asks_nobody_but_its_server_and_nothing_complains(loaded, browser):
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requested = {
        event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"
    }
    assert len(requested) > 8
    assert all(url.startswith((f"{loaded.address}/", "blob:")) for url in requested)
    assert browser.get_log("browser") == []


def test_the_case_is_described(page):
    text = page.find("#case").text
    assert NAME in text
    assert "256 \N{MULTIPLICATION SIGN} 256 px" in text
    assert "right hand by the file's name" in text
    assert page.run("document.querySelectorAll('.bone').length") == 29


def test_a_bone_is_hidden_and_shown_by_its_box(page, expected):
    place = place_of(expected, ["finger-11"])
    tinted = page.colour(*place)
    page.row("finger-11").click()
    plain = page.colour(*place)
    assert max(plain) - min(plain) <= 2
    assert tinted != plain
    page.point(*place)
    assert page.tip() is None
    page.row("finger-11").click()
    ActionChains(page.browser).move_to_element(page.find("h1")).perform()
    assert page.colour(*place) == tinted


def test_groups_and_all_bones_are_hidden_at_once(page):
    shown = "[...document.querySelectorAll('.bone input')].filter(box => box.checked).length"
    page.find("legend input").click()
    assert page.run(shown) == 29 - 14
    page.row("finger-1").click()
    assert page.run("document.querySelector('legend input').indeterminate")
    page.browser.find_elements("css selector", ".bones-all button")[1].click()
    assert page.run(shown) == 0


def test_pointing_at_a_bone_tells_its_name_confidence_and_measures(page, expected):
    page.point(*place_of(expected, ["finger-11"]))
    assert page.tip().startswith("Third metacarpal\nconfidence ")
    assert "on" in page.row("finger-11").get_attribute("class")
    detail = page.find("#detail").text
    assert detail.startswith("Third metacarpal\nMC3\nLength\n")
    area = int((expected >> 10 & 1).sum())
    assert f"Area\n{area} px²" in detail


def test_pointing_at_an_overlap_lists_both_bones(page, expected):
    place = place_of(expected, ["Triquetrum", "Pisiform"])
    page.point(*place)
    text = page.tip()
    assert text.startswith("2 bones overlap here")
    assert "Triquetrum" in text
    assert "Pisiform" in text
    page.row("Pisiform").click()
    page.point(*place)
    assert page.tip().startswith("Triquetrum")


def test_rows_are_reached_by_keyboard_and_show_their_bone(page):
    box = page.row("Scaphoid").find_element("css selector", "input")
    page.run("arguments[0].focus()", box)
    assert page.find("#detail").text.startswith("Scaphoid")
    box.send_keys(Keys.SPACE)
    assert not box.is_selected()


def test_the_picture_is_zoomed_by_keys_and_wheel_and_fitted_again(page):
    canvas = page.find("canvas")
    zoom = page.find("#zoom")
    fitted = zoom.text
    canvas.send_keys("+", "+", Keys.ARROW_LEFT)
    assert int(zoom.text.split()[0]) > int(fitted.split()[0]) * 1.4
    canvas.send_keys("0")
    assert zoom.text == fitted
    ActionChains(page.browser).move_to_element(canvas).scroll_from_origin(
        ScrollOrigin.from_element(canvas), 0, -400
    ).perform()
    page.until(f"document.querySelector('#zoom').textContent !== '{fitted}'")
    page.find("[data-do=fit]").click()
    assert zoom.text == fitted


def test_measurements_and_downloads_have_tabs_that_arrows_move_between(page, served):
    page.find("#tab-bones").send_keys(Keys.ARROW_RIGHT)
    assert "Carpal height" in page.find("#panel-measures").text
    assert page.run("document.querySelectorAll('#panel-measures tbody tr').length") == 29 + 42
    page.find("#tab-measures").send_keys(Keys.ARROW_RIGHT)
    formats = page.run("[...document.querySelectorAll('[data-format]')].map(link => link.dataset.format)")
    assert set(formats) >= {"overlay", "rle", "bone-sizes", "nifti", "seg-nrrd", "polygons"}
    assert "is no DICOM file" in page.find("#panel-files").text


def test_a_download_arrives_under_its_name(page, tmp_path, predicted):
    page.browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    page.find("#tab-files").click()
    page.find("[data-format=rle]").click()
    target = tmp_path / NAME.replace(".png", "_masks.csv")
    end = time.monotonic() + 30
    while not target.exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert target.read_bytes() == (predicted / "predictions.csv").read_bytes()


def test_two_bundles_stand_side_by_side_and_move_together(page, expected):
    Select(page.find("#other")).select_by_visible_text("unetplusplus")
    page.done()
    captions = [caption.text for caption in page.browser.find_elements("css selector", "figcaption")]
    assert captions[0].startswith("effisegnet")
    assert captions[1].startswith("unetplusplus")
    assert "mean Dice 0." in captions[1]
    assert page.find(".bones-head").text.split()[-3:] == ["effisegnet", "unetplusplus", "Dice"]
    assert 0 < float(page.row("Radius").find_element("css selector", ".dice").text) < 1
    place = place_of(expected, ["Radius"])
    page.point(*place, canvas=1)
    assert page.tip().count("Radius") == 2
    before = [page.colour(*place, canvas=k) for k in (0, 1)]
    page.browser.find_elements("css selector", "canvas")[1].send_keys("+", "+", "+", "+", Keys.ARROW_UP)
    assert all(page.colour(*place, canvas=k) != old for k, old in zip((0, 1), before, strict=True))
    Select(page.find("#other")).select_by_visible_text("nothing")
    page.done()
    assert len(page.browser.find_elements("css selector", "canvas")) == 1


def test_a_pixel_size_turns_pixels_into_millimetres(page):
    field = page.find("#spacing")
    field.send_keys("0.5", Keys.TAB)
    page.done()
    assert "0.5 mm a pixel" in page.find("#case").text
    page.find("#tab-measures").click()
    assert "Length, mm" in page.find("#panel-measures").text
    field.clear()
    field.send_keys(Keys.TAB)
    page.done()


def test_a_file_that_is_no_radiograph_is_a_sentence_and_the_old_one_stays(page, tmp_path):
    (tmp_path / "letter.png").write_text("Dear radiologist")
    page.open(tmp_path / "letter.png")
    assert page.find("#alert").text.startswith("letter.png ")
    assert page.find("#case h2").text == NAME
    page.find("#alert-close").click()
    assert not page.find("#alert").is_displayed()
    page.browser.get_log("browser")


def test_it_fits_a_narrow_window(page):
    page.browser.set_window_size(500, 900)
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    page.browser.set_window_size(1400, 900)


def test_delete_forgets_the_radiograph(page):
    address = page.run("document.querySelector('[data-format=rle]').getAttribute('href')")
    page.find("#remove").click()
    assert page.find("#empty").is_displayed()
    assert not page.find("#side").is_displayed()
    end = time.monotonic() + 10
    while page.run("fetch(arguments[0]).then(answer => answer.status)", address) != 404 and time.monotonic() < end:
        time.sleep(0.05)
    assert page.run("fetch(arguments[0]).then(answer => answer.status)", address) == 404


def test_closing_the_page_deletes_the_radiograph(browser, address, radiograph):
    page = Page(browser, address)
    page.open(radiograph)
    study = page.run("document.querySelector('[data-format=rle]').getAttribute('href')").split("/")[3]
    assert is_there(address, study)
    browser.get("about:blank")
    end = time.monotonic() + 20
    while is_there(address, study) and time.monotonic() < end:
        time.sleep(0.05)
    assert not is_there(address, study)


def is_there(address, study):
    try:
        with urllib.request.urlopen(f"{address}/api/studies/{study}") as answer:  # noqa: S310
            return answer.status == 200
    except urllib.error.HTTPError as error:
        assert error.code == 404
        return False
