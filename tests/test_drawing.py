"""Overlays: colours where they belong, nothing drawn elsewhere, legible at every size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from handseg_bundle_common.anatomy import BONES, CHANNEL, NUM_BONES
from handseg_bundle_common.drawing import heat_overlay, overlay, save_png
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.masks import pack_masks

SIDE = 600


@pytest.fixture
def radiograph() -> np.ndarray:
    return np.full((1, SIDE, SIDE), 0.5, np.float32)


@pytest.fixture
def masks() -> np.ndarray:
    """Triquetrum and pisiform as overlapping discs; no other bone."""
    masks = np.zeros((NUM_BONES, SIDE, SIDE), bool)
    masks[CHANNEL["Triquetrum"]] = disc((250, 300))
    masks[CHANNEL["Pisiform"]] = disc((350, 300))
    return masks


def disc(centre: tuple[int, int], radius: int = 80) -> np.ndarray:
    return cv2.circle(np.zeros((SIDE, SIDE), np.uint8), centre, radius, 1, -1).astype(bool)


def is_outline(pixels: np.ndarray, name: str) -> np.ndarray:
    """Whether pixels have a bone's own colour, but for smoothing."""
    return np.abs(pixels - np.array(BONES[CHANNEL[name]].colour)).max(axis=-1) < 20


def blended(*names: str) -> np.ndarray:
    """Mid-grey under 38 % of the mean colour of some bones."""
    colour = np.mean([BONES[CHANNEL[name]].colour for name in names], axis=0)
    return 0.62 * 128 + 0.38 * colour


def test_fill_is_the_mean_colour_of_the_bones_of_a_pixel(radiograph: np.ndarray, masks: np.ndarray) -> None:
    picture = overlay(radiograph, masks, names=False)
    assert (picture.shape, picture.dtype) == ((SIDE, SIDE, 3), np.uint8)
    assert np.allclose(picture[300, 220], blended("Triquetrum"), atol=1)
    assert np.allclose(picture[300, 400], blended("Pisiform"), atol=1)
    assert np.allclose(picture[300, 300], blended("Triquetrum", "Pisiform"), atol=1)


def test_outlines_of_overlapping_bones_are_both_drawn(radiograph: np.ndarray, masks: np.ndarray) -> None:
    picture = overlay(radiograph, masks, names=False)
    assert is_outline(picture[300, 250 - 80], "Triquetrum")
    assert is_outline(picture[300, 250 + 80], "Triquetrum"), "inside the pisiform"
    assert is_outline(picture[300, 350 - 80], "Pisiform"), "inside the triquetrum"


def test_holes_are_outlined(radiograph: np.ndarray, masks: np.ndarray) -> None:
    masks[CHANNEL["Pisiform"]] &= ~disc((350, 300), 30)
    masks[CHANNEL["Triquetrum"]] = False
    picture = overlay(radiograph, masks, names=False)
    assert tuple(picture[300, 350]) == (128, 128, 128)
    assert is_outline(picture[300, 350 - 31], "Pisiform")


def test_outside_the_bones_the_radiograph_is_untouched(masks: np.ndarray) -> None:
    radiograph = np.random.default_rng(0).random((1, SIDE, SIDE)).astype(np.float32)
    picture = overlay(radiograph, masks)
    outside = ~cv2.dilate(masks.any(axis=0).astype(np.uint8), np.ones((9, 9))).astype(bool)
    grey = np.rint(radiograph[0] * 255)[outside]
    assert np.array_equal(picture[:SIDE, :SIDE][outside], np.stack([grey] * 3, axis=-1))


def test_packed_masks_and_flat_radiographs_give_the_same_picture(radiograph: np.ndarray, masks: np.ndarray) -> None:
    assert np.array_equal(overlay(radiograph, masks), overlay(radiograph[0], pack_masks(masks)))


def test_outlines_grow_with_the_image() -> None:
    def outline_in_the_middle_row(side: int) -> int:
        masks = np.zeros((NUM_BONES, side, side), bool)
        cv2.circle(masks[CHANNEL["Triquetrum"]].view(np.uint8), (side // 2, side // 2), side // 4, 1, -1)
        picture = overlay(np.zeros((side, side), np.float32), masks, names=False)
        return int(is_outline(picture[side // 2], "Triquetrum").sum())

    assert outline_in_the_middle_row(600) == 2
    assert outline_in_the_middle_row(2400) == pytest.approx(4 * 2, abs=2)


@pytest.mark.parametrize("size", [(512, 400), (2048, 1500), (90, 700), (5, 3)])
def test_the_legend_shows_every_bone_and_which_are_there(size: tuple[int, int]) -> None:
    height, width = size
    masks = np.zeros((NUM_BONES, height, width), bool)
    masks[CHANNEL["Radius"]] = True
    picture = overlay(np.zeros(size, np.float32), masks)
    assert picture.shape[0] >= height
    legend = picture[:, width:]
    there = {bone.name for bone in BONES if (legend == bone.colour).all(axis=-1).sum() > 20}
    assert there == {"Radius"}
    dark = legend.max(axis=(1, 2)) < 60
    rows_of_text = np.count_nonzero(dark[:-1] & ~dark[1:])
    assert rows_of_text == NUM_BONES


def test_a_bone_is_labelled_where_no_other_covers_it(radiograph: np.ndarray, masks: np.ndarray) -> None:
    written = np.any(overlay(radiograph, masks)[:SIDE, :SIDE] != overlay(radiograph, masks, names=False), axis=-1)
    both, either = masks.all(axis=0), masks.any(axis=0)
    assert written[either].any()
    assert not written[~either].any()
    both = masks[CHANNEL["Triquetrum"]] & masks[CHANNEL["Pisiform"]]
    assert not written[both].any()


def test_a_covered_bone_is_labelled_all_the_same(radiograph: np.ndarray, masks: np.ndarray) -> None:
    masks[CHANNEL["Triquetrum"]] = disc((350, 300), 150)
    written = np.any(overlay(radiograph, masks)[:SIDE, :SIDE] != overlay(radiograph, masks, names=False), axis=-1)
    assert written[disc((350, 300), 20)].any()


@pytest.mark.parametrize("names", [True, False])
@pytest.mark.parametrize("size", [(512, 400), (2048, 1500), (300, 120), (90, 700)])
def test_notes_stand_in_a_band_below_and_change_nothing_above(size: tuple[int, int], names: bool) -> None:
    grey, masks = np.full(size, 0.5, np.float32), np.zeros((NUM_BONES, *size), bool)
    plain = overlay(grey, masks, names=names)
    noted = overlay(grey, masks, names=names, notes=["lunate: members disagree (Dice 0.62)", "pisiform: missing"])
    height, width = plain.shape[:2]
    assert np.array_equal(noted[:height], plain)
    assert noted.shape[1] == width
    band = noted[height:]
    assert len(marks(band)) == 2
    is_background = (band == band[0, 0]).all(axis=-1)
    assert is_background[[0, -1]].all(), "nothing is cut off above or below"
    assert is_background[:, [0, -1]].all(), "nor at the sides"


def marks(band: np.ndarray) -> list[tuple[float, float]]:
    """Return the middles (x, y) of the marks, by their colour."""
    is_mark = np.abs(band.astype(int) - (240, 178, 80)).max(axis=-1) < 40
    return [tuple(middle) for middle in cv2.connectedComponentsWithStats(is_mark.astype(np.uint8))[3][1:].tolist()]


def test_many_notes_share_the_width_in_columns(radiograph: np.ndarray, masks: np.ndarray) -> None:
    def band(notes: list[str]) -> np.ndarray:
        return overlay(radiograph, masks, notes=notes)[overlay(radiograph, masks).shape[0] :]

    short, long = band(["ulna: missing"] * 12), band(["the ulna is missing in this radiograph of the hand"] * 12)
    assert len(marks(short)) == len(marks(long)) == 12
    assert len({round(x) for x, _ in marks(short)}) > len({round(x) for x, _ in marks(long)}) > 1
    assert len(short) < len(long) < 12 * len(band(["ulna: missing"]))


def test_a_note_wider_than_the_picture_takes_several_lines(radiograph: np.ndarray, masks: np.ndarray) -> None:
    heights = [len(overlay(radiograph, masks, names=False, notes=[words * 40])) for words in ("a ", "word ")]
    assert heights[1] > heights[0] > SIDE


@pytest.mark.parametrize("notes", [[], [""], [" "]])
def test_nothing_to_note_leaves_no_band(radiograph: np.ndarray, masks: np.ndarray, notes: list[str]) -> None:
    assert np.array_equal(overlay(radiograph, masks, notes=notes), overlay(radiograph, masks))


def test_no_bone_at_all_leaves_the_radiograph(radiograph: np.ndarray, masks: np.ndarray) -> None:
    picture = overlay(radiograph, np.zeros_like(masks), names=False)
    assert np.array_equal(picture, np.full((SIDE, SIDE, 3), 128, np.uint8))


def test_sizes_must_agree(radiograph: np.ndarray, masks: np.ndarray) -> None:
    with pytest.raises(ValueError, match="size"):
        overlay(radiograph[:, 1:], masks)


def test_png_reads_back(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)
    save_png(tmp_path / "new" / "a.png", picture)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "new" / "a.png")), picture)
    (tmp_path / "file").touch()
    with pytest.raises(HandsegInputError, match="cannot be"):
        save_png(tmp_path / "file" / "a.png", picture)


class TestHeatOverlay:
    """Shares of disagreement over a radiograph."""

    def test_the_radiograph_stays_grey_where_all_agree(self):
        grey = np.linspace(0, 1, 20 * 30, dtype=np.float32).reshape(20, 30)
        picture = heat_overlay(grey, np.zeros((20, 30)))
        assert picture.shape == (20, 30, 3)
        assert (picture == picture[..., :1]).all()
        assert (np.diff(picture[..., 0].ravel().astype(int)) >= 0).all()

    def test_more_disagreement_glows_more(self):
        shares = np.tile(np.linspace(0, 1, 6), (4, 1))
        brightness = heat_overlay(np.zeros((4, 6)), shares).astype(int).sum(axis=2)
        assert (np.diff(brightness[0]) > 0).all()

    def test_a_smaller_map_covers_the_whole_radiograph(self):
        picture = heat_overlay(np.zeros((1, 40, 20), np.float32), np.ones((10, 5)))
        assert (picture == picture[0, 0]).all()
        assert picture[0, 0].max() > 200
