"""Scores of pictures, and the book that keeps them."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from handseg_bundle_common.anatomy import CHANNEL, NUM_BONES
from handseg_bundle_common.datasets import data_list
from handseg_bundle_common.ensemble.case import PART
from handseg_bundle_common.formats.boostcamp import masks_to_annotations, write_annotations
from handseg_bundle_common.formats.radiograph import read_radiograph, write_radiograph
from handseg_bundle_common.masks import pack_masks

RADIUS, ULNA, LUNATE, PISIFORM = (CHANNEL[name] for name in ("Radius", "Ulna", "Lunate", "Pisiform"))


@pytest.fixture
def masks():
    """Radius and lunate overlap, the ulna stands alone, and nothing else is there."""
    masks = np.zeros((NUM_BONES, 100, 80), bool)
    masks[RADIUS, 40:90, 10:40] = True
    masks[LUNATE, 30:50, 25:45] = True
    masks[ULNA, 50:90, 55:70] = True
    return masks


def case(script, image="a", variant="", seconds=0.25, value=0.5, flag=""):
    scores = np.full((len(script.METRICS), NUM_BONES), value)
    scores[1, 3] = np.nan
    return script.Case(image, variant, "patient", seconds, scores, flag)


def test_scores_are_those_of_their_names(script, masks):
    found = masks.copy()
    found[RADIUS] = np.roll(masks[RADIUS], 4, axis=1)
    found[ULNA] = False
    found[PISIFORM, :5, :5] = True
    scores = dict(zip(script.METRICS, script.scores(pack_masks(found), pack_masks(masks)), strict=True))
    shared = 50 * 26
    assert scores["dice"][RADIUS] == pytest.approx(2 * shared / (2 * 50 * 30), abs=1e-6)
    zone = masks.sum(axis=0) > 1
    in_zone = [(mask[RADIUS] & zone).sum() for mask in (found, masks)]
    both = (found[RADIUS] & masks[RADIUS] & zone).sum()
    assert scores["overlap_dice"][RADIUS] == pytest.approx(2 * both / sum(in_zone), abs=1e-6)
    assert np.isnan(scores["overlap_dice"][ULNA])
    square = np.ones((3, 3), bool)
    band = ndimage.binary_dilation(masks[RADIUS], square) & ~ndimage.binary_erosion(masks[RADIUS], square)
    assert scores["boundary_error_rate"][RADIUS] == pytest.approx((found[RADIUS] != masks[RADIUS])[band].mean())
    assert scores["hd95_px"][[RADIUS, LUNATE]].tolist() == [4, 0]
    missed, false_positive = scores["missed"], scores["false_positive"]
    assert missed[[RADIUS, LUNATE, ULNA]].tolist() == [0, 0, 1]
    assert np.isnan(missed[PISIFORM])
    assert false_positive[[PISIFORM, CHANNEL["Hamate"]]].tolist() == [1, 0]
    assert np.isnan(false_positive[[RADIUS, LUNATE, ULNA]]).all()
    absent = ~masks.any(axis=(1, 2))
    assert np.isnan(scores["dice"][absent]).all()
    assert not np.isnan(scores["dice"][~absent]).any()


def test_pictures_are_scored_against_masks_that_are_changed_alike(script, masks, tmp_path):
    """A predictor that finds the bones by their greys is right about every variant that moves them."""
    greys = 0.3 * masks[RADIUS] + 0.6 * (masks[LUNATE] & ~masks[RADIUS]) + 0.9 * masks[ULNA]
    paths = tmp_path / "DCM" / "p" / "p_L.png", tmp_path / "outputs_json" / "p" / "p_L.json"
    write_radiograph(paths[0], greys.astype(np.float32))
    write_annotations(paths[1], masks_to_annotations(masks))
    hand = importlib.import_module("hands").Hand("dataset", "training settings", *paths)

    def predictor(path: Path):
        seen = read_radiograph(path)[0]
        return (np.abs(seen - 0.9) < 0.1).astype(np.uint32) << np.uint32(ULNA)

    variants = importlib.import_module("variants").VARIANTS
    moving = [variant for variant in variants if variant.name.startswith(("rotated", "hand", "no", "mirrored", "JPEG"))]
    for variant in (None, *(variant for variant in moving if "noise" not in variant.name)):
        task = script.Task(hand, variant)
        found = script.segment(predictor, task)
        assert (found.image, found.variant, found.patient) == ("p_L", variant.name if variant else "", "p")
        assert found.scores[0, ULNA] > 0.92, variant
        assert found.scores[0, LUNATE] < 1e-3
        assert found.seconds > 0
        assert found.flag == PART.format(1, NUM_BONES)  # one bone is no hand


def test_a_whole_hand_is_not_flagged(script, sample_data):
    item = data_list(sample_data)[0]
    paths = Path(item["image"]), Path(item["label"])
    hand = importlib.import_module("hands").Hand("dataset", "training settings", *paths)
    found = script.segment(lambda _: hand.masks(), script.Task(hand))
    assert found.flag == ""
    assert np.nanmin(found.scores[0]) == 1


def test_a_book_goes_on_where_it_stopped(script, tmp_path):
    path = tmp_path / "book.csv"
    book = script.ScoreBook(path)
    first = case(script, value=1 / 3, flag='blank: "check", or export')
    book.add(first)
    book.add(case(script, variant="blurred"))
    again = script.ScoreBook(path)
    hands = importlib.import_module("hands")
    hand = hands.Hand("wild", hands.Half.TRAINING, tmp_path / "patient" / "a.png", tmp_path / "a.json")
    task = script.Task(hand)
    assert task in again
    np.testing.assert_allclose(again[task].scores, first.scores, rtol=1e-5)
    assert (again[task].seconds, again[task].patient, again[task].flag) == (0.25, "patient", first.flag)
    other = hands.Hand("wild", hands.Half.TRAINING, tmp_path / "patient" / "b.png", tmp_path / "b.json")
    assert script.Task(other) not in again
    again.add(case(script, image="b"))
    assert len(path.read_text().splitlines()) == 4


def test_a_column_has_a_row_for_each_picture(script):
    cases = [case(script, value=0.25), case(script, value=0.75)]
    assert script.column(cases, "overlap_dice").shape == (2, NUM_BONES)
    assert script.column(cases, "hd95_px")[:, 0].tolist() == [0.25, 0.75]
