"""Charts, read back as matplotlib drew them."""

from __future__ import annotations

import re

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from handseg_bundle_common.analysis.case import analyse_case
from handseg_bundle_common.analysis.figures import (
    boundary_chart,
    confusion_chart,
    dice_chart,
    difference_chart,
    save_chart,
    size_chart,
    wrist_chart,
)
from handseg_bundle_common.anatomy import BONES, CHANNEL, NUM_BONES
from handseg_bundle_common.charts import BLUE, MUTED, VERMILION
from handseg_bundle_common.masks import pack_masks
from handseg_bundle_common.metrics import CONFUSION_LABELS, Confusion, Interval

PATIENTS = ["a", "a", "b", "c"]


@pytest.fixture(scope="module")
def dice():
    """Scores of four images: one without a pisiform, one with a lost lunate."""
    scores = np.random.default_rng(0).uniform(0.9, 1, (4, NUM_BONES))
    scores[0, CHANNEL["Pisiform"]] = np.nan
    scores[:, CHANNEL["Lunate"]] = 0.0, 0.4, 0.5, 0.6
    return scores


@pytest.fixture(scope="module")
def cases(hands, roughened):
    analysed = []
    for number, (name, masks) in enumerate(hands.items()):
        angle = (-10.0, 5.0, 40.0, None)[number]
        prediction, reference = pack_masks(roughened(masks, number)), pack_masks(masks)
        analysed.append(analyse_case(name, f"patient {number // 2}", prediction, reference, angle))
    return analysed


@pytest.fixture(scope="module")
def charts(dice, cases):
    """Every chart by its name."""
    intervals = [Interval(0.01 * (k - 14), 0.01 * (k - 14) - 0.05, 0.01 * (k - 14) + 0.05) for k in range(NUM_BONES)]
    drawn = [
        dice_chart(dice),
        boundary_chart(1 - dice, PATIENTS),
        difference_chart(intervals, "new", "old"),
        confusion_chart(sum((case.confusion for case in cases[1:]), cases[0].confusion)),
        size_chart(cases),
        wrist_chart(cases),
    ]
    return {chart.name: chart for chart in drawn}


def test_nothing_is_cut_off(charts):
    for name, chart in charts.items():
        chart.figure.draw_without_rendering()
        drawn, (width, height) = chart.figure.get_tightbbox(), chart.figure.get_size_inches()
        assert min(drawn.x0, drawn.y0) > -0.01, f"{name} begins before its left or lower edge"
        assert drawn.x1 < width + 0.01, f"{name} ends beyond its right edge"
        assert drawn.y1 < height + 0.01, f"{name} ends beyond its upper edge"


def test_every_bone_has_a_row_with_its_name(charts):
    for name in ("dice_per_bone", "boundary_error", "difference_per_bone"):
        (axes,) = charts[name].figure.axes
        labels = [label.get_text() for label in axes.get_yticklabels()]
        assert labels == [f"{bone.anatomical_name}  {bone.abbreviation}" for bone in BONES]
        bottom, top = axes.get_ylim()
        assert bottom > top, "the thumb is on top"


def test_dice_points_and_medians_are_the_scores(charts, dice):
    (axes,) = charts["dice_per_bone"].figure.axes
    for channel, points in enumerate(axes.collections):
        known = dice[~np.isnan(dice[:, channel]), channel]
        assert sorted(points.get_offsets()[:, 0]) == pytest.approx(sorted(known))
        rows = points.get_offsets()[:, 1]
        assert np.abs(rows - channel).max() < 0.5
    thick = [line.get_xdata()[0] for line in axes.lines if line.get_linewidth() == 2.0]
    assert thick == pytest.approx(np.nanmedian(dice, axis=0).tolist())
    low, high = axes.get_xlim()
    assert low <= 0
    assert high >= 1
    assert "The lowest medians are those of the lunate" in charts["dice_per_bone"].caption


def test_the_dice_axis_is_stretched_towards_1_with_readable_ticks(charts):
    (axes,) = charts["dice_per_bone"].figure.axes
    places = axes.transData.transform([(value, 0) for value in (0.0, 0.75, 1.0)])[:, 0]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], rel=1e-3), "square root of the distance to 1"
    ticks = axes.get_xticks()
    assert {0, 0.9, 1} <= set(ticks)
    assert np.diff(axes.transData.transform([(tick, 0) for tick in ticks])[:, 0]).min() > 25


def test_boundary_errors_are_means_with_intervals(charts, dice):
    (axes,) = charts["boundary_error"].figure.axes
    means = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
    assert means == pytest.approx(np.nanmean(1 - dice, axis=0).tolist())
    bars = [line.get_xdata() for line in axes.lines if line.get_marker() != "o" and line.get_linestyle() != "--"]
    assert all(low <= mean <= high for (low, high), mean in zip(bars, means, strict=True))
    assert "the lunate" in charts["boundary_error"].caption


def test_differences_are_coloured_where_the_interval_leaves_out_0(charts):
    (axes,) = charts["difference_per_bone"].figure.axes
    colours = [to_hex(line.get_color()).upper() for line in axes.lines if line.get_marker() == "o"]
    expected = [VERMILION] * 9 + [MUTED.upper()] * 11 + [BLUE] * 9
    assert colours == expected
    assert "new less that of old" in charts["difference_per_bone"].caption
    low, high = axes.get_xlim()
    assert low == -high


def test_differences_of_few_patients_are_not_coloured():
    gains = [Interval(0.1, 0.05, 0.15)] * NUM_BONES
    (axes,) = difference_chart(gains, "new", "old", is_certain=[False] * NUM_BONES).figure.axes
    assert {to_hex(line.get_color()).upper() for line in axes.lines if line.get_marker() == "o"} == {MUTED.upper()}


def test_bones_of_small_and_large_size_are_all_labelled(charts, cases):
    left, right = charts["bone_size"].figure.axes
    assert {text.get_text() for text in left.texts} == {bone.abbreviation for bone in BONES}
    points = np.concatenate([points.get_offsets() for points in left.collections])
    means = np.mean([case.scores.dice for case in cases], axis=0)
    assert sorted(points[:, 1]) == pytest.approx(sorted(means))
    small = right.collections[1].get_offsets()[:, 1]
    assert small.tolist() == pytest.approx([case.small_dice for case in cases])


def test_labels_of_bones_keep_clear_of_each_other(charts):
    axes = charts["bone_size"].figure.axes[0]
    boxes = [text.get_window_extent().shrunk(0.8, 0.6) for text in axes.texts]
    meeting = sum(first.overlaps(second) for n, first in enumerate(boxes) for second in boxes[n + 1 :])
    assert meeting <= 1


def test_wrists_are_parted_where_they_are_tilted(charts):
    (axes,) = charts["wrist_angle"].figure.axes
    straight, tilted = (axes.collections[0], axes.collections[-2])
    assert sorted(straight.get_offsets()[:, 0]) == [-10, 5]
    assert "2 straight wrists" in charts["wrist_angle"].caption
    assert "1 tilted wrist: " in charts["wrist_angle"].caption
    assert tilted is not None


def test_unknown_angles_are_said_to_be_unknown(cases):
    unknown = [case for case in cases if np.isnan(case.wrist_angle)]
    assert "angle of no wrist is known" in wrist_chart(unknown).caption


def test_the_confusion_matrix_names_what_is_confused():
    counts = np.diag(np.full(30, 1000))
    pisiform, triquetrum, ulna = CHANNEL["Pisiform"], CHANNEL["Triquetrum"], CHANNEL["Ulna"]
    counts[pisiform, triquetrum] = 250
    counts[5, 6] = 4
    pixels = np.full(30, 1000)
    counts[ulna], pixels[ulna] = 0, 0
    chart = confusion_chart(Confusion(counts, pixels))
    axes = chart.figure.axes[0]
    written = {text.get_position(): text.get_text() for text in axes.texts}
    assert written.pop((triquetrum, pisiform)) == "25"
    assert set(written.values()) == {"100"}, "less than half a per cent is coloured, but not written"
    assert written.keys() == {(k, k) for k in range(30) if k != ulna}
    assert axes.images[0].get_array()[5, 6] == pytest.approx(0.004)
    (hatched,) = axes.patches
    assert (hatched.get_y() + 0.5, hatched.get_hatch()) == (ulna, "////")
    assert "25.0 % of the pisiform are labelled triquetrum" in chart.caption
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert len(labels) == len(CONFUSION_LABELS)
    assert re.match("no bone", labels[-1])


def test_perfect_predictions_single_out_no_bone():
    perfect = np.ones((4, NUM_BONES))
    assert dice_chart(perfect).caption.endswith("All medians are 1.")
    assert boundary_chart(1 - perfect, PATIENTS).caption.endswith("All outlines are exact.")


def test_charts_are_written_as_png(charts, tmp_path):
    path = save_chart(tmp_path, charts["wrist_angle"])
    assert path == tmp_path / "wrist_angle.png"
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.width > 1000


def test_captions_are_sentences(charts):
    for chart in charts.values():
        assert chart.caption.endswith(".")
        assert chart.title[0].isupper()
        assert "nan" not in chart.caption


def test_the_dice_axis_ends_at_the_first_tick_above_the_highest_score():
    chart = dice_chart(np.random.default_rng(0).uniform(0.62, 0.78, (3, NUM_BONES)))
    (axes,) = chart.figure.axes
    low, high = axes.get_xlim()
    assert low == pytest.approx(0.6, abs=0.01)
    assert high == pytest.approx(0.8, abs=0.01)
    assert axes.get_xticks().max() == pytest.approx(0.8)


def test_the_boundary_chart_says_where_its_scale_ends(charts):
    (axes,) = charts["boundary_error"].figure.axes
    (line,) = (line for line in axes.lines if line.get_linestyle() == "--")
    assert list(line.get_xdata()) == [0.5, 0.5]
    assert "one px on either side" in charts["boundary_error"].caption


def test_the_confusion_chart_says_that_labels_may_be_drawn_besides_each_other(charts):
    caption = charts["confusion"].caption
    assert "in its place or besides it" in caption
    assert "missed and given no other label" in caption
    assert "is not told apart" in caption
