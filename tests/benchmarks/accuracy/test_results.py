"""Results as tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from handseg_bundle_common.anatomy import CHANNEL, NUM_BONES, SMALL_BONES


def cases(script, *values, small=None):
    """Return one case a value, each of another patient, in which all scores are that value; every other is flagged."""
    made = []
    for number, value in enumerate(values):
        scores = np.full((6, NUM_BONES), value)
        if small is not None:
            scores[0, [CHANNEL[name] for name in SMALL_BONES]] = small
        flag = "no hand" if number % 2 else ""
        made.append(script.Case(f"image{number}", "", f"patient{number}", 0.5 + number, scores, flag))
    return made


def contestant(script, name, folder=Path()):
    path = folder / f"{name}.pt"
    return script.Contestant(name, folder, path, {}, 512)


@pytest.fixture
def results(script):
    """Two bundles; the second is better on shifted hands and worse on the others."""
    halves = list(script.Half)
    made = []
    for name, shifted, training in (("first", 0.5, 0.9), ("second", 0.6, 0.8)):
        of_half = {halves[0]: cases(script, shifted, shifted), halves[1]: cases(script, training, small=0.25)}
        robust = {"as it is": cases(script, training), "blurred": cases(script, training / 2, small=0.125)}
        made.append(script.Result(contestant(script, name), of_half, robust, script.Peak(1.5, 0.0)))
    return made


def test_the_best_is_best_on_shifted_hands(script, results):
    assert script.best(results).name == "second"


def test_a_table_names_bundles_without_weights(script, results):
    text = script.accuracy_table(results, [contestant(script, "third")], script.Half.SHIFTED)
    header, line, first, _, third = text.splitlines()
    assert header.count("|") == line.count("|") == first.count("|") == third.count("|")
    assert [cell.strip() for cell in first.strip("|").split("|")] == [
        "first",
        *["0.5000 (0.5000 to 0.5000)"] * 4,
        "0.5 (0.5 to 0.5)",
        "50.00 (50.00 to 50.00)",
        "50.0 (0.0 to 100.0)",
        "0.50",
        "1.50",
    ]
    assert third.startswith("| third | no weights |")


def test_one_patient_has_no_interval_and_no_score_is_none(script, results):
    row = script.accuracy_table(results[:1], [], script.Half.TRAINING).splitlines()[-1]
    mean = (0.9 * (NUM_BONES - len(SMALL_BONES)) + 0.25 * len(SMALL_BONES)) / NUM_BONES
    assert row.split(" | ")[1:3] == [f"{mean:.4f}", "0.2500"]
    assert script.told(script.Interval(np.nan, np.nan, np.nan), 2) == "none"


def test_peak_of_a_gpu_is_told_where_there_is_one(script, results):
    on_gpu = script.Result(results[0].contestant, results[0].halves, results[0].robustness, script.Peak(2, 0.25))
    assert "| 2.00 + 0.25 on the GPU |" in script.accuracy_table([on_gpu], [], script.Half.SHIFTED)


def test_hard_bones_have_a_row_each(script, results):
    rows = script.hard_bones_table(results[0]).splitlines()
    assert rows[0] == "| bone | shifted | training settings |"
    assert rows[2] == "| pisiform | 0.5000 (0.5000 to 0.5000) | 0.2500 |"
    assert len(rows) == 2 + len(script.HARD_BONES)


def test_robustness_has_a_row_a_variant_and_a_column_a_bundle(script, results):
    small = (0.45 * (NUM_BONES - len(SMALL_BONES)) + 0.125 * len(SMALL_BONES)) / NUM_BONES
    rows = script.robustness_table(results).splitlines()
    assert rows[0] == "| picture | first | second |"
    assert rows[2] == "| as it is | 0.900 / 0.900 | 0.800 / 0.800 |"
    assert rows[3].startswith(f"| blurred | {small:.3f} / 0.125 |")


def without(cases, bone, false_positive):
    """Take a bone out of the pictures and tell whether it was found."""
    for case in cases:
        case.scores[0, CHANNEL[bone]] = np.nan
        case.scores[5] = np.nan
        case.scores[5, CHANNEL[bone]] = false_positive
    return cases


def test_bones_that_are_not_there_do_not_count(script, results):
    few = cases(script, 0.5, 0.5)
    few[0].scores[0, :20] = np.nan
    few[1].scores[0, :10] = np.nan
    few[0].scores[0, 20:] = 0.25  # 9 bones in two pictures, 10 in one, 10 in none
    assert script.mean_dice(few) == pytest.approx((9 * 0.375 + 10 * 0.5) / 19)
    for result in results:
        result.robustness["blurred"] = without(result.robustness["blurred"], "finger-8", 1.0)
    assert "nan" not in script.robustness_table(results)
    small = [CHANNEL[name] for name in SMALL_BONES]
    results[0].halves[script.Half.SHIFTED][0].scores[0, small] = np.nan
    assert results[0].interval(script.Half.SHIFTED, script.small_bones).estimate == 0.5


def test_false_positives_are_told_where_bones_are_cut_off(script, results):
    for result, found in zip(results, (0.0, 1.0), strict=True):
        for pictures in result.robustness.values():
            pictures[0].scores[5] = np.nan
        result.robustness["cut"] = without(cases(script, 0.5, 0.5), "finger-8", found)
    told, empty, *rows = script.false_positives_table(results).splitlines()
    assert told.startswith("Found though they are not in the picture")
    assert empty == ""
    assert rows == ["| picture | first | second |", "|---|---|---|", "| cut | 0.0 | 100.0 |"]


def test_weights_are_told_by_their_digest(script, results, tmp_path):
    one = contestant(script, "first", tmp_path)
    one.weights.write_bytes(b"0" * 1_500_000)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "inference.json").write_text("{}")
    row = script.weights_table([script.Result(one, {}, {}, script.Peak(1, 0))]).splitlines()[-1]
    assert row == f"| first | 512 | 1.5 | `{one.digest[:12]}` |"
