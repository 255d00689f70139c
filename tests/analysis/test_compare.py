"""Two models on the same images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from handseg_bundle_common.analysis import analyse, differences_table, pair_up, summary_text, write_comparison
from handseg_bundle_common.anatomy import CHANNEL
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.rle import SubmissionWriter
from handseg_bundle_common.metrics import bootstrap_difference

Masks = NDArray[np.bool_]
Write = Callable[..., Path]


def without_pisiform(_: str, masks: Masks) -> Masks:
    masks[CHANNEL["Pisiform"]] = False
    return masks


def test_differences_are_those_of_the_same_images(
    tmp_path: Path, submission: Write, sample_data: Path, hands: dict[str, Masks], roughened: Callable[..., Masks]
) -> None:
    first = analyse(submission("a.csv"), sample_data, tmp_path / "a")
    spoil = lambda name, masks: without_pisiform(name, roughened(masks, 3))  # noqa: E731
    other = analyse(submission("b.csv", spoil), sample_data, tmp_path / "b")
    comparison = pair_up(first, other)
    assert not comparison.only_first
    assert not comparison.only_other
    table = differences_table(comparison).set_index("bone")
    assert len(table) == 29 + 4 + 3
    for bone in ("Radius", "Pisiform"):
        pair = [analysis.scores("dice")[:, CHANNEL[bone]] for analysis in (first, other)]
        expected = bootstrap_difference(*pair, first.patients)
        row = table.loc[bone]
        assert row[["difference", "low", "high"]].tolist() == [expected.estimate, expected.low, expected.high]
        assert row["difference"] == pytest.approx(row["dice"] - row["other_dice"])
    assert table.loc["Pisiform", "difference"] == pytest.approx(1, abs=1e-5)
    # The sample has too few patients for anything to be certain.
    assert table.loc["Pisiform", "low"] > 0
    assert not table.loc["Pisiform", "is_certain"]
    assert table.loc["all", "difference"] == pytest.approx((first.scores("dice") - other.scores("dice")).mean())
    write_comparison(comparison, tmp_path)
    for written in (pd.read_parquet(tmp_path / "differences.parquet"), pd.read_csv(tmp_path / "differences.csv")):
        np.testing.assert_allclose(written["difference"], table["difference"], atol=1e-6)
    assert f"all bones     {table.loc['all', 'difference']:+.4f}" in summary_text(first, comparison)


def test_equal_models_do_not_differ(tmp_path: Path, submission: Write, sample_data: Path) -> None:
    analysis = analyse(submission(), sample_data, tmp_path / "a")
    table = differences_table(pair_up(analysis, analysis))
    assert (table["difference"] == 0).all()
    assert not table["is_certain"].any()


def test_images_that_only_one_has_are_named(
    tmp_path: Path, submission: Write, sample_data: Path, hands: dict[str, Masks]
) -> None:
    first = analyse(submission(), sample_data, tmp_path / "a")
    names = list(hands)
    with SubmissionWriter(tmp_path / "b.csv") as writer:
        writer.write("sim29-0004_L.png", hands[names[0]])
        writer.write(f"folder/sim29-0001/{names[0]}", hands[names[0]])
    other = analyse(tmp_path / "b.csv", sample_data, tmp_path / "b")
    comparison = pair_up(first, other)
    assert [(case.image_name, twin.image_name) for case, twin in comparison.pairs] == [
        (names[0], f"folder/sim29-0001/{names[0]}")
    ]
    assert comparison.only_first == tuple(names[1:])
    assert comparison.only_other == ("sim29-0004_L.png",)
    text = summary_text(first, comparison)
    assert f"3 images only here, not compared: {names[1]}" in text
    assert "1 image only in the other predictions, not compared: sim29-0004_L.png" in text


def test_models_without_a_common_image_are_refused(
    tmp_path: Path, submission: Write, sample_data: Path, hands: dict[str, Masks]
) -> None:
    first = analyse(submission(), sample_data, tmp_path / "a")
    with SubmissionWriter(tmp_path / "b.csv") as writer:
        writer.write("sim29-0004_L.png", next(iter(hands.values())))
    other = analyse(tmp_path / "b.csv", sample_data, tmp_path / "b")
    with pytest.raises(HandsegInputError, match="has no image in common with"):
        pair_up(first, other)
