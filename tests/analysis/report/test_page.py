"""The page as text: what it says, that it needs nothing else, and that no name in it can do harm."""

from __future__ import annotations

import base64
import configparser
import hashlib
import io
import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from handseg_bundle_common.analysis.collect import analyse
from handseg_bundle_common.analysis.faults import Fault, FaultKind
from handseg_bundle_common.analysis.report import write_report
from handseg_bundle_common.analysis.report.content import frequent_faults
from handseg_bundle_common.analysis.report.page import _worth_drawing
from handseg_bundle_common.anatomy import CHANNEL, NUM_BONES
from handseg_bundle_common.files import printable
from handseg_bundle_common.formats.rle import SubmissionWriter

VOID = {"meta", "link", "img", "input", "br"}


@dataclass
class Element:
    """An element with its attributes, its text and what it holds."""

    name: str
    attributes: dict[str, str | None]
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def all(self, name=None, **wanted):
        found = []
        for child in self.children:
            if name in (None, child.name) and wanted.items() <= child.attributes.items():
                found.append(child)
            found += child.all(name, **wanted)
        return found

    def everything(self):
        return self.text + "".join(child.everything() for child in self.children)


class Tree(HTMLParser):
    """Builds the tree of a page and refuses one whose elements do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag, attributes):
        element = Element(tag, dict(attributes))
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open.pop().name == tag

    def handle_data(self, text):
        self.open[-1].text += text


def tree_of(path):
    tree = Tree()
    tree.feed(path.read_text(encoding="utf-8"))
    assert tree.open == [tree.root]
    return tree.root


@pytest.fixture(scope="module")
def page(report):
    return tree_of(report.page)


@pytest.fixture(scope="module")
def data(page):
    (element,) = page.all("script", id="data")
    return json.loads(element.text)


def pictures_of(page):
    """Yield every picture of the page, decoded."""
    for image in page.all("img"):
        head, content = image.attributes["src"].split(",", 1)
        assert re.fullmatch("data:image/(webp|png);base64", head)
        yield image, Image.open(io.BytesIO(base64.b64decode(content)))


def test_every_planted_fault_is_named_at_the_top_worst_first(page, report):
    sections = page.all("section")
    assert sections[0].attributes["id"] == "faults"
    entries = [link for link in sections[0].all("a") if link.attributes["href"].startswith("#case-")]
    texts = [link.everything() for link in entries]
    for planted, image in (
        ("scaphoid and the lunate are swapped|lunate and the scaphoid are swapped", "swapped.png"),
        ("The distal phalanx of the little finger is missing", "<script>"),
        ("The pisiform is shifted by 14 px", "shifted.png"),
        ("The radius has a hole of 144 px", "hole.png"),
        ("The trapezoid has a second part", "doubled.png"),
    ):
        (number,) = (n for n, text in enumerate(texts) if re.search(planted, text))
        assert image in texts[number]
        case = report.analysis.cases[int(entries[number].attributes["href"].removeprefix("#case-"))]
        assert image in case.image_name
    severities = [float(re.search(r"(\d\.\d\d)$", text)[1]) for text in texts]
    assert severities == sorted(severities, reverse=True)
    assert len(texts) == sum(len(case.faults) for case in report.analysis.cases)


def test_the_page_needs_no_other_file(page):
    for element in page.all():
        for name in ("src", "href"):
            target = element.attributes.get(name)
            assert target is None or target.startswith(("data:", "#")), f"{element.name} {name}={target[:60]}"
    style = page.all("style")[0].text
    assert "url(" not in style
    assert "@import" not in style


def test_nothing_but_the_pages_own_style_and_script_may_work(page):
    (policy,) = (meta for meta in page.all("meta") if meta.attributes.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.attributes["content"].split(";"))
    assert rules["default-src"] == "'none'"
    (script,) = (element for element in page.all("script") if "type" not in element.attributes)
    (style,) = page.all("style")
    for rule, element in (("script-src", script), ("style-src", style)):
        digest = base64.b64encode(hashlib.sha256(element.text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    for element in page.all():
        assert not [name for name in element.attributes if name.startswith("on") or name == "style"]


def test_names_of_files_stay_text(page, report):
    assert len(page.all("script")) == 2
    hostile = next(case for case in report.analysis.cases if "<script>" in case.image_name)
    (link,) = (link for link in page.all("table")[0].all("a") if link.text == hostile.image_name)
    assert link.attributes["href"] == f"#case-{report.analysis.cases.index(hostile)}"
    raw = report.page.read_text(encoding="utf-8")
    assert raw.count("<script") == 2
    assert raw.count("</script") == 2


def test_the_scores_in_the_page_are_those_of_the_analysis(data, report):
    assert [bone["short"] for bone in data["bones"]][CHANNEL["Pisiform"]] == "P"
    assert len(data["cases"]) == len(report.analysis.cases)
    for shown, case in zip(data["cases"], report.analysis.cases, strict=True):
        assert shown["image"] == case.image_name
        assert shown["patient"] == case.patient
        assert shown["size"] == [case.height, case.width]
        assert shown["wrist"] == pytest.approx(case.wrist_angle, abs=1e-4)
        for key, values in (
            ("dice", case.scores.dice),
            ("boundary", case.scores.boundary_error_rate),
            ("hd95", case.scores.hd95_px),
            ("overlap", case.overlap_dice),
        ):
            numbers = [np.nan if value is None else value for value in shown[key]]
            np.testing.assert_allclose(numbers, values, atol=1e-5)
        assert [fault["text"] for fault in shown["faults"]] == [fault.text for fault in case.faults]


def test_both_bones_of_a_swap_are_told(data):
    swaps = [fault["bones"] for case in data["cases"] for fault in case["faults"] if "swapped" in fault["text"]]
    assert [set(bones) for bones in swaps] == [{CHANNEL["Lunate"], CHANNEL["Scaphoid"]}]


def test_the_table_shows_every_image_worst_first(page, report):
    rows = page.all("tbody")[0].all("tr")
    cases = [report.analysis.cases[int(row.attributes["data-case"])] for row in rows]
    assert len(rows) == 6
    assert [case.mean_dice for case in cases] == sorted(case.mean_dice for case in cases)
    for row, case in zip(rows, cases, strict=True):
        cells = {cell.attributes["data-column"]: cell.everything() for cell in (*row.all("th"), *row.all("td"))}
        assert cells["dice"] == f"{case.mean_dice:.3f}"
        number = f"{len(case.faults)} faults. " if len(case.faults) > 1 else ""
        assert cells["faults"] == (number + case.faults[0].text if case.faults else "")
        assert cells["wrist"] == f"{case.wrist_angle:.0f}"
        assert cells["boundary"] == f"{100 * np.nanmean(case.scores.boundary_error_rate):.1f}"


def test_the_summary_has_intervals_and_the_differences_to_the_other_run(page, report):
    numbers = {
        group.all("dt")[0].text: [part.text for part in group.all("span")] for group in page.all("dl")[0].children
    }
    value, interval = numbers["Dice of all bones"]
    assert float(value) == pytest.approx(report.analysis.scores("dice").mean(), abs=5e-4)
    low, high = map(float, interval.split(" to "))
    assert low <= float(value) <= high
    assert "patients are too narrow" in page.everything()
    difference = report.analysis.scores("dice").mean() - report.other.scores("dice").mean()
    assert float(numbers["Difference, all bones"][0]) == pytest.approx(difference, abs=5e-5)


def test_pictures_have_alternative_texts_and_a_sensible_size(page, report):
    longest = 0
    for image, picture in pictures_of(page):
        assert len(image.attributes["alt"]) > 10
        if "width" in image.attributes:
            aspect = int(image.attributes["width"]) / int(image.attributes["height"])
            assert aspect == pytest.approx(picture.width / picture.height, rel=0.01)
        longest = max(longest, *picture.size)
    assert longest <= 2000
    assert report.page.stat().st_size < 4e6


def test_the_worst_images_and_those_of_faults_are_drawn_and_the_others_are_rows(page, report):
    """Two were asked for; the third to the fifth have faults, and the sixth is right."""
    drawn = [figure for figure in page.all("figure") if figure.attributes.get("id", "").startswith("picture-")]
    numbers = [int(figure.attributes["id"].removeprefix("picture-")) for figure in drawn]
    dice = [case.mean_dice for case in report.analysis.cases]
    assert numbers == np.argsort(dice, kind="stable")[:5].tolist()
    galleries = [group for group in page.all("div") if group.attributes.get("class") == "gallery"]
    assert [len([f for f in group.children if f.name == "figure"]) for group in galleries] == [2, 3]
    for figure, number in zip(drawn, numbers, strict=True):
        radiograph, errors, *details = figure.all("img")
        assert errors.attributes["class"] == "errors"
        faults = [fault.text for fault in report.analysis.cases[number].faults]
        assert [detail.attributes["alt"].removeprefix("Magnified: ") for detail in details][: len(faults)] == faults
        assert radiograph.attributes["width"] == errors.attributes["width"]


def test_the_worst_image_of_every_bone_is_drawn():
    dice = np.ones((6, NUM_BONES))
    dice[2, CHANNEL["Ulna"]] = 0.98
    dice[[3, 4], CHANNEL["Lunate"]] = 0.9, 0.8
    analysis = SimpleNamespace(scores=lambda column: {"dice": dice}[column])
    faults = [SimpleNamespace(case=5)]
    assert _worth_drawing(analysis, [1, 4, 3, 2, 5, 0], faults, worst=1) == {1, 5, 2, 4}
    assert _worth_drawing(analysis, [1, 4, 3, 2, 5, 0], [], worst=0) == {2, 4}


def test_a_swap_counts_for_both_bones():
    swap = Fault(FaultKind.SWAPPED, "Scaphoid", "Lunate", severity=1)
    hole = Fault(FaultKind.HOLE, "Radius")
    cases = [SimpleNamespace(faults=faults) for faults in ((swap, hole), (swap,), (hole,))]
    assert {(fault.text, fault.images) for fault in frequent_faults(cases)} == {
        ("scaphoid: swapped", 2),
        ("lunate: swapped", 2),
        ("radius: hole", 2),
    }


def test_errors_are_a_transparent_layer_of_their_own(page):
    layers = [picture for image, picture in pictures_of(page) if image.attributes.get("class") == "errors"]
    assert len(layers) == 5
    for layer in layers:
        opacity = np.asarray(layer.convert("RGBA"))[..., 3]
        assert (opacity == 0).mean() > 0.5
        assert opacity.max() > 100


def test_identifiers_are_unique_and_references_lead_somewhere(page):
    identifiers = [element.attributes["id"] for element in page.all() if "id" in element.attributes]
    assert len(identifiers) == len(set(identifiers))
    for element in page.all():
        for name in ("aria-labelledby", "for"):
            assert element.attributes.get(name, identifiers[0]) in identifiers
        target = element.attributes.get("href", "")
        assert not target.startswith("#") or target.startswith("#case-") or target[1:] in identifiers


def test_one_can_ask_for_every_bone_and_group(page):
    options = {option.text: option.attributes["value"] for option in page.all("option")}
    assert options["pisiform"] == str(CHANNEL["Pisiform"])
    assert options["All bones"].split() == [str(channel) for channel in range(NUM_BONES)]
    assert len(options["All carpals"].split()) == 8
    assert len(options) == NUM_BONES + 2 + 4


def test_the_wheel_carries_template_style_and_script(repository):
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(repository / "setup.cfg")
    package = repository / "handseg_bundle_common"
    patterns = settings["options.package_data"]["handseg_bundle_common"].split(",")
    carried = {path.name for pattern in patterns for path in package.glob(pattern.strip())}
    assert {"template.html", "report.css", "report.js"} <= carried


def test_figures_are_files_too(report):
    names = {path.name for path in (report.folder / "first/figures").iterdir()}
    assert names == {
        "boundary_error.png",
        "bone_size.png",
        "confusion.png",
        "dice_per_bone.png",
        "difference_per_bone.png",
        "overlap_zones.png",
        "worst_cases.png",
        "wrist_angle.png",
    }


def test_a_perfect_prediction_without_radiographs_makes_a_calm_page(tmp_path, items, hands):
    masks, label = next(iter(hands.values())), items[0]["label"]
    folder = tmp_path / "labels"
    folder.mkdir()
    odd = b"caf\xe9".decode(errors="surrogateescape")
    (folder / f"{odd}.json").write_bytes(Path(label).read_bytes())
    with SubmissionWriter(tmp_path / "predictions.csv") as writer:
        writer.write(f"{odd}.png", masks)
    height, width = masks.shape[1:]
    sizes = f"image_name,height,width\n{odd}.png,{height},{width}\n"
    (tmp_path / "images.csv").write_bytes(sizes.encode(errors="surrogateescape"))
    page = tree_of(write_report(analyse(tmp_path / "predictions.csv", folder, tmp_path, workers=1), tmp_path))
    assert "No bone is missing" in page.all("section")[0].everything()
    assert printable(f"{odd}.png") in page.all("table")[0].everything()
    assert "a single patient allows none" in page.everything()
    (drawn,) = (picture for image, picture in pictures_of(page) if image.attributes["alt"].startswith("Radiograph"))
    assert np.ptp(np.asarray(drawn.convert("L")).astype(int)) <= 4
    assert "Difference" not in page.all("dl")[0].everything()
    (worst,) = (cell for cell in page.all("td") if cell.attributes["data-column"] == "worst")
    assert worst.text == "-"
    assert "lowest" not in " ".join(caption.text for caption in page.all("figcaption")).lower()


def test_a_radiograph_that_is_broken_is_drawn_on_grey_and_told(tmp_path, items, hands):
    data = tmp_path / "data"
    (data / "DCM/p1").mkdir(parents=True)
    (data / "outputs_json/p1").mkdir(parents=True)
    (data / "outputs_json/p1/1.json").write_bytes(Path(items[0]["label"]).read_bytes())
    content = Path(items[0]["image"]).read_bytes()
    (data / "DCM/p1/1.png").write_bytes(content[: len(content) // 2])
    masks = next(iter(hands.values())).copy()
    masks[CHANNEL["Pisiform"]] = False
    with SubmissionWriter(tmp_path / "predictions.csv") as writer:
        writer.write("1.png", masks)
    page = tree_of(write_report(analyse(tmp_path / "predictions.csv", data, tmp_path, workers=1), tmp_path))
    (told,) = page.all("section")[0].all("details")
    assert "Radiograph cannot be read, drawn on grey: 1 image" in told.everything()
    assert "1.png" in told.everything()
    assert any(figure.attributes.get("id") == "picture-0" for figure in page.all("figure"))
