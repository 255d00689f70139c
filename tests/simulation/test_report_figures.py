"""Figures of the report, read back as matplotlib drew them."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgba

pytest.importorskip("numba")
from handseg_bundle_common.simulation import report_figures
from handseg_bundle_common.simulation.comparison import compare, targets

RED = to_rgba("tab:red")


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    """Figures by name, of three hands like real ones but for a lunate that is 1.5 times as large and brighter."""
    hands = []
    for factor in (0.9, 1.0, 1.1):
        hand = {target.key: target.value for target in targets()}
        hand |= {("area_px", "Lunate"): 8567 * 1.5 * factor, ("grey", "Lunate"): 135 * 1.5, ("x_px", "Lunate"): 1030.0}
        hands.append(hand)
    drawn = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_figures, "_save", lambda path, figure: drawn.update({path.stem: figure}))
        report_figures.draw_figures(tmp_path_factory.mktemp("figures"), hands, compare(hands))
    return drawn


def panel(figure, title):
    (found,) = (axes for axes in figure.axes if axes.get_title().startswith(title))
    return found


def test_bones_out_of_tolerance_are_red_points_outside_the_shaded_band(figures):
    axes = panel(figures["ratios"], "area_px: mean")
    (points,) = axes.collections
    names = [label.get_text() for label in axes.get_xticklabels()]
    red = [name for name, colour in zip(names, points.get_facecolors(), strict=True) if tuple(colour) == RED]
    assert red == ["Lunate"]
    assert points.get_offsets()[names.index("Lunate"), 1] == pytest.approx(1.5)
    band = axes.patches[0]
    assert (band.get_y(), band.get_y() + band.get_height()) == pytest.approx((0.9, 1.1))


def test_standard_deviations_are_ratios_too(figures):
    axes = panel(figures["ratios"], "area_px: standard deviation")
    lunate = [label.get_text() for label in axes.get_xticklabels()].index("Lunate")
    spread = 8567 * 1.5 * np.std([0.9, 1, 1.1])
    assert axes.collections[0].get_offsets()[lunate, 1] == pytest.approx(spread / 1545)


def test_places_are_differences(figures):
    offsets = panel(figures["places"], "x_px").collections[0].get_offsets()
    assert np.unique(np.round(offsets[:, 1], 6)).tolist() == [0, 30]


def test_bars_of_grey_levels_are_red_out_of_tolerance(figures):
    bars = panel(figures["greys"], "grey:").patches
    assert [bar.get_height() for bar in bars if bar.get_facecolor() == RED] == pytest.approx([135 * 1.5])
