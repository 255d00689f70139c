"""The comparison at equal processor time: folds and scores of a run."""

from __future__ import annotations

import csv
import json

from handseg_bundle_common.anatomy import BONE_NAMES, SMALL_BONES
from handseg_bundle_common.datasets import fold_split


def test_the_first_fold_is_validated_and_the_others_train(script, sample_data, tmp_path):
    path = script.write_folds_with_first(sample_data, ["sim29-0002"], tmp_path / "folds.json")
    patients = [
        {item["patient"] for item in fold_split(sample_data, path, 0, part)} for part in ("validation", "training")
    ]
    assert patients == [{"sim29-0002"}, {"sim29-0001", "sim29-0003", "sim29-0004"}]


def test_a_fold_of_everybody_has_no_other(script, sample_data, tmp_path):
    everybody = [f"sim29-000{k}" for k in range(1, 5)]
    path = script.write_folds_with_first(sample_data, everybody, tmp_path / "folds.json")
    assert json.loads(path.read_text()) == {"folds": [everybody]}


def test_scores_are_mean_small_bones_and_overlap_zones(script, tmp_path):
    dice = {bone: 0.5 if bone in SMALL_BONES else 0.9 for bone in BONE_NAMES}
    row = {"mean_dice": 0.8, "overlap_dice": 0.25, **{f"dice/{bone}": value for bone, value in dice.items()}}
    with (tmp_path / "metrics.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow(row)
    assert script.scores(tmp_path) == ["0.800", "0.500", "0.250"]
