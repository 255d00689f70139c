"""Borders, patches and storage of a simulated picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from handseg_bundle_common.anatomy import Side
from handseg_bundle_common.formats.radiograph import read_radiograph, write_radiograph
from handseg_bundle_common.simulation import HandModel, simulate_hand
from handseg_bundle_common.simulation.field import Border, Scene, draw_scene, furnish
from handseg_bundle_common.simulation.presets import DATASET, WILD
from handseg_bundle_common.simulation.settings import Settings

BARE = Scene(borders=(), markers=(), patches=(), rings=(), resolution=1.0, jpeg=None, inverted=False, bits=8)
BORDER = Border(
    insets=(0.1, 0.0, 0.2, 0.0), angle=0.0, grey=0.7, leak=0.0, softness=0.0, shutter=None, shutter_grey=0.0
)


def picture(height: int = 200, width: int = 160) -> np.ndarray:
    return np.tile(np.linspace(0.2, 0.5, width, dtype=np.float32), (height, 1))


def no_bones(height: int = 200, width: int = 160) -> np.ndarray:
    return np.zeros((height, width), np.uint32)


def test_a_bare_scene_changes_nothing_and_returns_a_picture_of_its_own():
    grey = picture()
    furnished = furnish(grey, no_bones(), Side.LEFT, BARE)
    assert (furnished == grey).all()
    assert furnished is not grey


def test_a_border_covers_what_lies_outside_its_rectangle():
    """Insets count from the picture's edges, in shares of the longer side."""
    grey = furnish(picture(), no_bones(), Side.LEFT, replace(BARE, borders=(BORDER,)))
    outside = np.zeros(grey.shape, bool)
    outside[:39], outside[:, :19] = True, True
    inside = np.zeros(grey.shape, bool)
    inside[41:, 21:] = True
    assert grey[outside] == pytest.approx(0.7)
    assert (grey[inside] == picture()[inside]).all()


def test_a_turned_border_has_turned_edges():
    border = replace(BORDER, insets=(0.2, 0.0, 0.0, 0.0), angle=5.0)
    grey = furnish(picture(300, 300), no_bones(300, 300), Side.LEFT, replace(BARE, borders=(border,)))
    edges = (np.abs(grey - 0.7) < 1e-3).sum(1)
    slope = np.polyfit(np.arange(300), edges, 1)[0]
    assert np.abs(slope) == pytest.approx(np.tan(np.radians(5)), rel=0.05)
    assert edges[150] == pytest.approx(60, abs=3)


def test_a_soft_edge_rises_steadily_over_its_width():
    border = replace(BORDER, insets=(0.25, 0.0, 0.0, 0.0), softness=0.1)
    plain = np.full((200, 200), 0.1, np.float32)
    row = furnish(plain, no_bones(200, 200), Side.LEFT, replace(BARE, borders=(border,)))[100]
    assert (np.diff(row[:60]) <= 0).all()
    assert row[40] == pytest.approx(0.4, abs=0.03)
    assert (row[29], row[51]) == pytest.approx((0.7, 0.1), abs=0.01)


def test_a_shutter_covers_all_but_a_strip_along_the_edge():
    border = replace(BORDER, insets=(0.2, 0.0, 0.0, 0.0), shutter=0.05, shutter_grey=0.03)
    row = furnish(np.full((200, 200), 0.1, np.float32), no_bones(200, 200), Side.LEFT, replace(BARE, borders=(border,)))
    assert row[100, [10, 35, 60]] == pytest.approx([0.03, 0.7, 0.1], abs=0.01)


def test_no_border_or_patch_hides_a_bone():
    packed = no_bones()
    packed[20:200, 6:150] = 1
    scene = replace(BARE, borders=(replace(BORDER, insets=(0.3, 0.3, 0.3, 0.3)),), patches=((0.5, 0.1, 0.3, 0.3, 0.9),))
    furnished = furnish(picture(), packed, Side.LEFT, scene)
    assert (furnished[packed > 0] == picture()[packed > 0]).all()
    assert (furnished != picture()).any()


def test_a_patch_is_a_plain_rectangle():
    grey = furnish(picture(), no_bones(), Side.LEFT, replace(BARE, patches=((0.5, 0.25, 0.25, 0.1, 0.9),)))
    assert (grey[40:60, 60:100] == np.float32(0.9)).all()
    assert (grey == np.float32(0.9)).sum() == 20 * 40


def test_compression_and_coarser_pixels_lose_details_but_keep_the_picture():
    noisy = np.clip(picture() + np.random.default_rng(0).normal(0, 0.03, (200, 160)), 0, 1).astype(np.float32)
    for scene in (replace(BARE, jpeg=40), replace(BARE, resolution=0.4)):
        stored = furnish(noisy, no_bones(), Side.LEFT, scene)
        assert (stored.dtype, stored.shape) == (np.float32, noisy.shape)
        assert 0.005 < np.abs(stored - noisy).mean() < 0.04
        assert stored.mean() == pytest.approx(noisy.mean(), abs=0.003)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("inverted", [False, True])
def test_a_picture_that_is_stored_with_dark_bones_or_16_bits_is_read_as_it_was(
    hand: HandModel, tmp_path: Path, bits: int, inverted: bool
):
    grey = simulate_hand(3, 256, Side.LEFT, hand).radiograph
    write_radiograph(tmp_path / "hand.png", 1 - grey if inverted else grey, bits)
    assert read_radiograph(tmp_path / "hand.png", inverted)[0] == pytest.approx(grey, abs=0.51 / (2**bits - 1))


def test_the_data_set_has_nothing_but_a_strip_along_the_top():
    scenes = [draw_scene(np.random.default_rng(seed), DATASET.field) for seed in range(100)]
    assert all(replace(scene, borders=()) == BARE for scene in scenes)
    strips = [border for scene in scenes for border in scene.borders]
    assert 25 < len(strips) < 75
    assert all(border.insets[:2] == (0, 0) and border.insets[2] > 0 for border in strips)


def test_the_wild_has_everything():
    scenes = [draw_scene(np.random.default_rng(seed), WILD.field) for seed in range(300)]
    for name in ("borders", "markers", "patches", "rings", "jpeg", "inverted"):
        share = np.mean([bool(getattr(scene, name)) for scene in scenes])
        assert 0.03 < share < 0.9, name
    assert {scene.bits for scene in scenes} == {8, 16}
    assert min(scene.resolution for scene in scenes) < 0.5


@pytest.mark.parametrize("settings", [DATASET, WILD], ids=lambda settings: settings.name)
def test_any_drawn_scene_gives_greys_between_0_and_1(settings: Settings):
    packed = no_bones()
    packed[60:140, 60:100] = 1 << 13
    for seed in range(40):
        furnished = furnish(picture(), packed, Side.RIGHT, draw_scene(np.random.default_rng(seed), settings.field))
        assert 0 <= furnished.min() <= furnished.max() <= 1
