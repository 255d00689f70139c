"""Bones that a network finds in real radiographs, counted on predictions written here."""

from __future__ import annotations

import json

import numpy as np

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.formats.rle import encode_rle

SIZE = 12
POINTS = {"Lunate": [2, 3], "Capitate": [8, 3], "Pisiform": [2, 9], "Triquetrum": [8, 9]}


def scores_of(script, folder, covered: dict[str, list[str]]):
    """Scores of one picture in which each bone's mask covers the points of some bones and nothing else."""
    rows = []
    for bone in BONE_NAMES:
        mask = np.zeros((SIZE, SIZE), bool)
        for point in covered.get(bone, []):
            column, row = POINTS[point]
            mask[row, column] = True
        rows.append(f"hand.png,{bone},{encode_rle(mask)}")
    (folder / "predictions.csv").write_text("\n".join(["image_name,class,rle", *rows]) + "\n")
    (folder / "points.json").write_text(json.dumps({"size_px": [SIZE, SIZE], "points": {"hand": POINTS}}))
    return script.score(folder / "predictions.csv", folder / "points.json")


def test_a_bone_scores_on_its_own_point_and_no_other(script, tmp_path):
    scores = scores_of(script, tmp_path, {"Lunate": ["Lunate"], "Capitate": ["Capitate", "Lunate"]})
    assert scores.found == {"hand": 1}
    assert scores.missed == {"Capitate": 1, "Pisiform": 1, "Triquetrum": 1}
    assert (scores.original, scores.mean) == (1, 1.0)


def test_pisiform_and_triquetrum_may_cover_each_other_and_nothing_else(script, tmp_path):
    both = ["Pisiform", "Triquetrum"]
    assert scores_of(script, tmp_path, {"Pisiform": both, "Triquetrum": both}).found == {"hand": 2}
    scores = scores_of(script, tmp_path, {"Pisiform": ["Triquetrum"], "Triquetrum": [*both, "Lunate"]})
    assert scores.found == {"hand": 0}
