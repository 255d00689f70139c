"""Figures show what their labels tell: halves, bones and bundles are where they belong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from handseg_bundle_common.anatomy import BONES, CHANNEL, NUM_BONES, SMALL_BONES

SMALL = [CHANNEL[name] for name in SMALL_BONES]
# Two patients lie this much below and above the mean, and a bootstrap over them draws either alone often enough.
SPREAD = 0.01
# Dice of the first bone, by bundle and half; each bone is a little better than the one before.
FIRST = {"worse": {"shifted": 0.1, "training settings": 0.5}, "better": {"shifted": 0.2, "training settings": 0.6}}
STEP = 0.01


@pytest.fixture
def drawn(script, monkeypatch):
    """The figures of two bundles, by file, before they are written."""
    import scores  # noqa: PLC0415
    from contestants import Contestant  # noqa: PLC0415
    from memory import Peak  # noqa: PLC0415

    def cases(first: float):
        dice = first + STEP * np.arange(NUM_BONES)
        rows = (np.full((len(scores.METRICS), NUM_BONES), dice + offset) for offset in (-SPREAD, SPREAD))
        return [scores.Case("image", "", f"patient{number}", 1.0, row) for number, row in enumerate(rows)]

    results = []
    for name, of_half in FIRST.items():
        halves = {half: cases(of_half[half]) for half in script.Half}
        robustness = {"as it is": cases(of_half["shifted"]), "blurred": cases(of_half["training settings"])}
        contestant = Contestant(name, Path(), Path(), {}, 512)
        results.append(script.Result(contestant, halves, robustness, Peak(1.0, 0.0)))
    figures = {}
    monkeypatch.setattr(script, "_save", lambda path, figure: figures.update({path.name: figure}))
    script.draw(Path(), results)
    return figures


def labelled(axes) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


def assert_intervals(axes, expected) -> None:
    """Each half has its points and, in the same colour and place, its intervals, next to the row of its label."""
    lines = {line.get_label(): line for line in axes.lines}
    assert set(lines) == set(expected)
    for (half, dice), bars in zip(expected.items(), axes.collections, strict=True):
        points = lines[half]
        np.testing.assert_allclose(points.get_xdata(), dice, atol=1e-9)
        assert np.rint(points.get_ydata()).tolist() == list(range(len(dice)))
        ends = np.array([[(dice - SPREAD), points.get_ydata()], [(dice + SPREAD), points.get_ydata()]])
        np.testing.assert_allclose(np.array(bars.get_segments()), ends.transpose(2, 0, 1), atol=1e-9)
        assert bars.get_colors()[0][:3].tolist() == pytest.approx(to_rgb(points.get_color()))


def test_accuracy_has_a_row_a_bundle_and_a_point_a_half(script, drawn):
    of_all, of_small = drawn[script.ACCURACY].axes
    for axes, bones in ((of_all, range(NUM_BONES)), (of_small, SMALL)):
        offset = STEP * np.mean(bones)
        expected = {half: np.array([FIRST[name][half] + offset for name in FIRST]) for half in script.Half}
        assert_intervals(axes, expected)
    assert labelled(of_all) == ["worse", "better"]


def test_bones_are_those_of_the_best_bundle_in_channel_order(script, drawn):
    (axes,) = drawn[script.BONES_OF_BEST].axes
    dice = STEP * np.arange(NUM_BONES)
    assert_intervals(axes, {half: FIRST["better"][half] + dice for half in script.Half})
    assert labelled(axes) == [bone.anatomical_name for bone in BONES]
    assert axes.get_title() == "better"


def test_robustness_has_a_point_a_variant_beside_the_unchanged_pictures(script, drawn):
    (axes,) = drawn[script.ROBUSTNESS].axes
    assert labelled(axes) == ["as it is", "blurred"]
    points, dashed = axes.lines[::2], axes.lines[1::2]
    assert [line.get_label() for line in points] == list(FIRST)
    for line, unchanged, name in zip(points, dashed, FIRST, strict=True):
        dice = np.array([FIRST[name]["shifted"], FIRST[name]["training settings"]]) + STEP * (NUM_BONES - 1) / 2
        np.testing.assert_allclose(line.get_xdata(), dice)
        assert np.rint(line.get_ydata()).tolist() == [0, 1]
        assert unchanged.get_xdata()[0] == pytest.approx(dice[0])
        assert unchanged.get_color() == line.get_color()
