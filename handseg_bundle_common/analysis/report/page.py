"""The page itself: charts and pictures drawn, everything put into the template."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from handseg_bundle_common import __version__
from handseg_bundle_common.analysis.collect import Analysis
from handseg_bundle_common.analysis.compare import differences_table, pair_up
from handseg_bundle_common.analysis.figures import (
    Chart,
    boundary_chart,
    confusion_chart,
    dice_chart,
    difference_chart,
    save_chart,
    size_chart,
    wrist_chart,
)
from handseg_bundle_common.analysis.overlays import Scene, read_scene
from handseg_bundle_common.analysis.report import content
from handseg_bundle_common.analysis.report.pictures import CasePicture, case_picture, data_uri, png_uri
from handseg_bundle_common.analysis.sheets import (
    ERROR_LEGEND,
    ZONE_LEGEND,
    case_tile,
    draw_sheet,
    printable,
    worst_zones,
    zone_tile,
)
from handseg_bundle_common.analysis.sources import SUBMISSION
from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.drawing import save_png
from handseg_bundle_common.files import make_folder, write_atomically
from handseg_bundle_common.metrics import Interval

REPORT, FIGURES = "report.html", "figures"

_WORST, _ZONES, _LISTED = 20, 12, 20


@dataclass(frozen=True)
class Illustration:
    """A chart or a sheet of pictures in the page: heading, what to see in it, data URI and size in px."""

    title: str
    caption: str
    source: str
    width: int
    height: int


@dataclass(frozen=True)
class DrawnCase:
    """One of the worst images in the page: its row of the table and its pictures."""

    row: content.Row
    picture: CasePicture


def write_report(analysis: Analysis, output: Path, other: Analysis | None = None, *, worst: int = _WORST) -> Path:
    """Write `figures/*.png` and `report.html`, which holds all it shows and makes no request.

    Args:
        analysis: what was found.
        output: folder of the results.
        other: what was found of another model on the same images, to compare with.
        worst: number of images, lowest mean Dice first, whose errors are drawn.

    Returns:
        The path of the page.

    Raises:
        HandsegInputError: the two models have no image in common, masks or a radiograph cannot be read, or a file
            cannot be written.
    """
    folder = make_folder(Path(output, FIGURES))
    cases = analysis.cases
    order = sorted(range(len(cases)), key=lambda number: cases[number].mean_dice)
    table = content.rows(cases, order)
    numbers, figures = content.summary(analysis), []
    if other is not None:
        chart, differences = _difference(analysis, other)
        numbers += differences
        figures.append(_illustration(folder, chart))
    figures += [_illustration(folder, chart) for chart in _charts(analysis)]
    figures += _zones(folder, analysis)
    faults = content.faults_worst_first(cases)
    drawn = _draw_worst(folder, analysis, table[:worst])
    page = _render(
        run=_run_name(analysis),
        other=None if other is None else _run_name(other),
        version=__version__,
        images=len(cases),
        patients=len(set(analysis.patients)),
        faulty=sum(bool(case.faults) for case in cases),
        numbers=numbers,
        faults=faults,
        listed=_LISTED,
        frequent=content.frequent_faults(cases),
        left_out=_left_out(analysis),
        choices=content.choices(),
        rows=table,
        drawn=drawn,
        figures=figures,
        data=content.page_data(cases),
    )
    path = Path(output, REPORT)
    with write_atomically(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _charts(analysis: Analysis) -> list[Chart]:
    return [
        dice_chart(analysis.scores("dice")),
        boundary_chart(analysis.scores("boundary_error_rate"), analysis.patients),
        confusion_chart(analysis.confusion),
        size_chart(analysis.cases),
        wrist_chart(analysis.cases),
    ]


def _difference(analysis: Analysis, other: Analysis) -> tuple[Chart, list[content.Number]]:
    """Return the chart of the differences between two runs, and those of the summary."""
    table = differences_table(pair_up(analysis, other))
    intervals = [Interval(*row) for row in table[["difference", "low", "high"]][:NUM_BONES].itertuples(index=False)]
    return difference_chart(intervals, _run_name(analysis), _run_name(other)), content.difference_numbers(table)


def _illustration(folder: Path, chart: Chart) -> Illustration:
    source = png_uri(save_chart(folder, chart))
    width, height = (round(inches * chart.figure.dpi) for inches in chart.figure.get_size_inches())
    return Illustration(chart.title, chart.caption, source, width, height)


def _zones(folder: Path, analysis: Analysis) -> list[Illustration]:
    """Draw the overlap zones that are worst; none if no bones overlap."""
    zones = worst_zones(analysis.cases, _ZONES)
    if not zones:
        return []
    names = [analysis.cases[zone.case].image_name for zone in zones]
    tiles = [zone_tile(_scene(analysis, name), zone, name) for zone, name in zip(zones, names, strict=True)]
    sheet = draw_sheet(tiles, ZONE_LEGEND, columns=4)
    save_png(folder / "overlap_zones.png", sheet)
    means = ", ".join(f"{zone.bones} {zone.mean:.3f}" for zone in zones[:3])
    caption = f"Pairs of bones with the lowest Dice of their overlap, each in its worst image. Lowest means: {means}."
    return [Illustration("Where bones overlap", caption, data_uri(sheet), sheet.shape[1], sheet.shape[0])]


def _draw_worst(folder: Path, analysis: Analysis, rows: Sequence[content.Row]) -> list[DrawnCase]:
    """Draw the errors of images, as a sheet in the folder and for the page."""
    drawn, tiles = [], []
    for row in rows:
        case = analysis.cases[row.case]
        scene = _scene(analysis, case.image_name)
        tiles.append(case_tile(scene, case))
        drawn.append(DrawnCase(row, case_picture(scene, case)))
    save_png(folder / "worst_cases.png", draw_sheet(tiles, ERROR_LEGEND, columns=5))
    return drawn


def _scene(analysis: Analysis, image_name: str) -> Scene:
    return read_scene(analysis.sources.radiograph(image_name), *analysis.sources.masks(image_name))


def _run_name(analysis: Analysis) -> str:
    """Return the last two parts of the path of the predictions, without a file name that all of them have."""
    path = analysis.sources.predictions.absolute()
    if path.name == SUBMISSION:
        path = path.parent
    return printable("/".join(path.parts[-2:]))


def _left_out(analysis: Analysis) -> list[tuple[str, list[str]]]:
    """Return images that could not be scored, by the reason."""
    sources = analysis.sources
    reasons = (("Without a prediction", sources.unpredicted), ("Without a label", sources.unlabelled))
    return [(reason, [printable(name) for name in names]) for reason, names in reasons if names]


def _render(**values: object) -> str:
    """Fill the template; names are escaped, and nothing but the page's own style and script can work in it."""
    files = resources.files(__package__)
    template, style, script = (
        files.joinpath(name).read_text(encoding="utf-8") for name in ("template.html", "report.css", "report.js")
    )
    colours = dict(zip(("missed", "false", "mistaken", "outline"), (colour for colour, _ in ERROR_LEGEND), strict=True))
    variables = "".join(f"--{name}:rgb({red} {green} {blue});" for name, (red, green, blue) in colours.items())
    style = f":root{{{variables}}}\n{style}"
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(
        **values,
        style=style,
        script=script,
        style_hash=_digest(style),
        script_hash=_digest(script),
    )


def _digest(text: str) -> str:
    """Return what a content security policy calls a text by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
