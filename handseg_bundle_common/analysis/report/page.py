"""The page itself: charts and pictures drawn, everything put into the template."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from tqdm import tqdm

from handseg_bundle_common import __version__
from handseg_bundle_common.analysis.collect import Analysis
from handseg_bundle_common.analysis.compare import Comparison
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
from handseg_bundle_common.analysis.report.pictures import CasePicture, case_picture, picture_uri
from handseg_bundle_common.analysis.sheets import (
    ERROR_LEGEND,
    ZONE_LEGEND,
    Tile,
    case_tile,
    draw_sheet,
    worst_zones,
    zone_tile,
)
from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.datasets.predictions import SUBMISSION
from handseg_bundle_common.drawing import save_png
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import make_folder, printable, write_atomically
from handseg_bundle_common.metrics import Interval
from handseg_bundle_common.metrics.differences import patients_caution
from handseg_bundle_common.pages import png_uri, render_page

REPORT, FIGURES = "report.html", "figures"

# Images that are drawn, lowest mean Dice first.
WORST = 20
_ZONES, _LISTED = 12, 20


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
    """An image whose errors are drawn: its row of the table and its pictures."""

    row: content.Row
    picture: CasePicture


class _Scenes:
    """The images of an analysis to draw; one whose radiograph cannot be read is drawn on grey.

    Attributes:
        analysis: what was found.
        unreadable: names of the images whose radiograph could not be read, so far.
    """

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self.unreadable: dict[str, None] = {}

    def read(self, image_name: str) -> Scene:
        """Return masks and radiograph of an image."""
        sources = self.analysis.sources
        masks = sources.masks(image_name)
        try:
            return read_scene(sources.radiograph(image_name), *masks)
        except HandsegInputError:
            self.unreadable[image_name] = None
            return read_scene(None, *masks)


def write_report(analysis: Analysis, output: Path, comparison: Comparison | None = None, *, worst: int = WORST) -> Path:
    """Write `figures/*.png` and `report.html`, which holds all it shows and makes no request.

    Args:
        analysis: what was found.
        output: folder of the results.
        comparison: the same images beside those of another model.
        worst: number of images, lowest mean Dice first, whose errors are drawn; drawn as well are those of the faults
            at the top, and the worst image of every bone.

    Returns:
        The path of the page.

    Raises:
        HandsegInputError: masks or a radiograph cannot be read, or a file cannot be written.
    """
    folder = make_folder(Path(output, FIGURES))
    scenes = _Scenes(analysis)
    figures = _figures(folder, scenes, comparison)
    about = _about_cases(folder, scenes, worst)
    page = _render(
        run=_run_name(analysis.sources.predictions),
        other=None if comparison is None else _run_name(comparison.other),
        version=__version__,
        listed=_LISTED,
        worst=worst,
        left_out=_left_out(analysis, scenes.unreadable),
        choices=content.choices(),
        figures=figures,
        **about,
        numbers=_numbers(analysis, comparison),
    )
    path = Path(output, REPORT)
    with write_atomically(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _numbers(analysis: Analysis, comparison: Comparison | None) -> list[content.Number]:
    differences = [] if comparison is None else content.difference_numbers(comparison.differences)
    return content.summary(analysis) + differences


def _about_cases(folder: Path, scenes: _Scenes, worst: int) -> dict[str, object]:
    """Return what the template shows of the images: counts, faults, the table, pictures, and all scores."""
    analysis, cases = scenes.analysis, scenes.analysis.cases
    patients = len(set(analysis.patients))
    patients = len(set(analysis.patients))
    order = sorted(range(len(cases)), key=lambda number: cases[number].mean_dice)
    table, faults = content.rows(cases, order), content.faults_worst_first(cases)
    wanted = _worth_drawing(analysis, order, faults[:_LISTED], worst)
    return {
        "images": len(cases),
        "patients": patients,
        "caution": patients_caution(patients) if patients > 1 else "",
        "faulty": sum(bool(case.faults) for case in cases),
        "faults": faults,
        "frequent": content.frequent_faults(cases),
        "rows": table,
        "drawn": _draw_cases(folder, scenes, [row for row in table if row.case in wanted], worst),
        "data": content.page_data(cases),
    }


def _worth_drawing(
    analysis: Analysis, order: Sequence[int], faults: Sequence[content.NamedFault], worst: int
) -> set[int]:
    """Return the numbers of the worst images, of those that the faults are in, and of the worst image of every bone."""
    of_bones = (int(column.argmin()) for column in analysis.scores("dice").T if column.min() < 1)
    return {*order[:worst], *(fault.case for fault in faults), *of_bones}


def _figures(folder: Path, scenes: _Scenes, comparison: Comparison | None) -> list[Illustration]:
    compared = [] if comparison is None else [_difference(scenes.analysis, comparison)]
    charts = [_illustration(folder, chart) for chart in (*compared, *_charts(scenes.analysis))]
    return [*charts, *_zones(folder, scenes)]


def _charts(analysis: Analysis) -> list[Chart]:
    return [
        dice_chart(analysis.scores("dice")),
        boundary_chart(analysis.scores("boundary_error_rate"), analysis.patients),
        confusion_chart(analysis.confusion),
        size_chart(analysis.cases),
        wrist_chart(analysis.cases),
    ]


def _difference(analysis: Analysis, comparison: Comparison) -> Chart:
    """Return the chart of the differences between two runs."""
    table = comparison.differences[:NUM_BONES]
    intervals = [Interval(*row) for row in table[["difference", "low", "high"]].itertuples(index=False)]
    names = map(_run_name, (analysis.sources.predictions, comparison.other))
    return difference_chart(intervals, *names, is_certain=table["is_certain"].tolist())


def _illustration(folder: Path, chart: Chart) -> Illustration:
    source = png_uri(save_chart(folder, chart))
    width, height = (round(inches * chart.figure.dpi) for inches in chart.figure.get_size_inches())
    return Illustration(chart.title, chart.caption, source, width, height)


def _zones(folder: Path, scenes: _Scenes) -> list[Illustration]:
    """Draw the overlap zones that are worst; none if no bones overlap."""
    cases = scenes.analysis.cases
    zones = worst_zones(cases, _ZONES)
    if not zones:
        return []
    names = [cases[zone.case].image_name for zone in zones]
    tiles = [zone_tile(scenes.read(name), zone, name) for zone, name in zip(zones, names, strict=True)]
    sheet = draw_sheet(tiles, ZONE_LEGEND, columns=4)
    save_png(folder / "overlap_zones.png", sheet)
    means = ", ".join(f"{zone.bones} {zone.mean:.3f}" for zone in zones[:3])
    caption = f"Pairs of bones with the lowest Dice of their overlap, each in its worst image. Lowest means: {means}."
    return [Illustration("Where bones overlap", caption, picture_uri(sheet), sheet.shape[1], sheet.shape[0])]


def _draw_cases(folder: Path, scenes: _Scenes, rows: Sequence[content.Row], worst: int) -> list[DrawnCase]:
    """Draw the errors of images for the page, and those of the worst ones as a sheet in the folder."""
    drawn: list[DrawnCase] = []
    tiles: list[Tile] = []
    for row in tqdm(rows, "drawing", unit="image", disable=None):
        case = scenes.analysis.cases[row.case]
        scene = scenes.read(case.image_name)
        if len(tiles) < worst:
            tiles.append(case_tile(scene, case))
        drawn.append(DrawnCase(row, case_picture(scene, case)))
    save_png(folder / "worst_cases.png", draw_sheet(tiles, ERROR_LEGEND, columns=5))
    return drawn


def _run_name(predictions: Path) -> str:
    """Return the last two parts of the path of the predictions, without a file name that all of them have."""
    path = predictions.absolute()
    if path.name == SUBMISSION:
        path = path.parent
    return printable("/".join(path.parts[-2:]))


def _left_out(analysis: Analysis, unreadable: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Return images that could not be scored or drawn, by the reason."""
    sources = analysis.sources
    reasons = (
        ("Without a prediction, not scored", sources.unpredicted),
        ("Without a label, not scored", sources.unlabelled),
        ("Radiograph cannot be read, drawn on grey", tuple(unreadable)),
    )
    return [(reason, [printable(name) for name in names]) for reason, names in reasons if names]


def _render(**values: object) -> str:
    """Fill the template, with the colours of the pictures in its style."""
    colours = dict(zip(("missed", "false", "mistaken", "outline"), (colour for colour, _ in ERROR_LEGEND), strict=True))
    variables = "".join(f"--{name}:rgb({red} {green} {blue});" for name, (red, green, blue) in colours.items())
    return render_page(resources.files(__package__), "report", extra_style=f":root{{{variables}}}", **values)
