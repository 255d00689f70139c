"""Many images: the same numbers as one by one, in any number of processes, and none analysed twice."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from handseg_bundle_common.analysis import Analysis, FaultKind, analyse, analysed_predictions, collect
from handseg_bundle_common.analysis.collect import OtherPredictions
from handseg_bundle_common.anatomy import CHANNEL
from handseg_bundle_common.datasets.wrist import wrist_angle
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.boostcamp import read_annotations
from handseg_bundle_common.masks import pack_masks
from handseg_bundle_common.metrics import case_scores, multi_label_confusion, overlap_zone_dice, pair_overlap_dice

Masks = NDArray[np.bool_]
Write = Callable[..., Path]


def without_pisiform(_: str, masks: Masks) -> Masks:
    masks[CHANNEL["Pisiform"]] = False
    return masks


def texts(analysis: Analysis) -> list[str]:
    return [case.faults_text for case in analysis.cases]


@pytest.fixture
def analysed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the images that are analysed, not taken from earlier."""
    names: list[str] = []
    original = collect.analyse_case

    def spy(image_name: str, *arguments: object) -> object:
        names.append(image_name)
        return original(image_name, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(collect, "analyse_case", spy)
    return names


def test_every_number_is_that_of_its_metric(
    tmp_path: Path, submission: Write, sample_data: Path, hands: dict[str, Masks], roughened: Callable[..., Masks]
) -> None:
    predictions = submission(spoil=lambda _, masks: roughened(masks, 1))
    analysis = analyse(predictions, sample_data, tmp_path / "out")
    assert analysis.image_names == list(hands)
    for (name, masks), case in zip(hands.items(), analysis.cases, strict=True):
        pair = pack_masks(roughened(masks, 1)), pack_masks(masks)
        scores = case_scores(*pair)
        for column, values in vars(scores).items():
            np.testing.assert_array_equal(getattr(case.scores, column), values)
        np.testing.assert_array_equal(case.pair_dice, pair_overlap_dice(*pair))
        np.testing.assert_array_equal(case.confusion.counts, multi_label_confusion(*pair).counts)
        assert (case.height, case.width) == masks.shape[1:]
        assert case.mean_dice == pytest.approx(scores.dice.mean())
        label = sample_data / "outputs_json" / case.patient / Path(name).with_suffix(".json")
        assert case.wrist_angle == wrist_angle(read_annotations(label))
    assert analysis.confusion.pixels.sum() >= sum(masks[0].size for masks in hands.values())


def test_the_overlap_zone_is_that_of_the_whole_picture(
    tmp_path: Path, submission: Write, sample_data: Path, hands: dict[str, Masks], roughened: Callable[..., Masks]
) -> None:
    torch = pytest.importorskip("torch")
    analysis = analyse(submission(spoil=lambda _, masks: roughened(masks, 2)), sample_data, tmp_path / "out")
    for masks, case in zip(hands.values(), analysis.cases, strict=True):
        whole = overlap_zone_dice(torch.from_numpy(roughened(masks, 2)), torch.from_numpy(masks))
        np.testing.assert_array_equal(case.overlap_dice, whole)


def test_finished_images_are_taken_on_the_next_run(
    tmp_path: Path, submission: Write, sample_data: Path, analysed: list[str]
) -> None:
    first = analyse(submission(spoil=without_pisiform), sample_data, tmp_path / "out")
    analysed.clear()
    again = analyse(tmp_path / "predictions.csv", sample_data, tmp_path / "out")
    assert not analysed
    assert texts(again) == texts(first) == ["The pisiform is missing."] * 4
    np.testing.assert_array_equal(again.scores("hd95_px"), first.scores("hd95_px"))
    np.testing.assert_array_equal(again.confusion.counts, first.confusion.counts)
    assert again.cases[0].faults == first.cases[0].faults
    assert again.cases[0].faults[0].kind is FaultKind.MISSING
    analyse(tmp_path / "predictions.csv", sample_data, tmp_path / "out", resume=False)
    assert len(analysed) == 4


def test_only_what_changed_is_analysed_again(
    tmp_path: Path, submission: Write, sample_data: Path, analysed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"
    analyse(submission(), sample_data, output)
    analysed.clear()
    changed = "sim29-0002_L.png"
    submission(spoil=lambda name, masks: without_pisiform(name, masks) if name == changed else masks)
    analysis = analyse(tmp_path / "predictions.csv", sample_data, output)
    assert analysed == [changed]
    assert texts(analysis) == ["The pisiform is missing." if name == changed else "" for name in analysis.image_names]
    monkeypatch.setattr("handseg_bundle_common.analysis.storage._code", lambda: "other code")
    analyse(tmp_path / "predictions.csv", sample_data, output)
    assert len(analysed) == 1 + 4


def test_broken_and_foreign_files_are_made_anew(
    tmp_path: Path, submission: Write, sample_data: Path, analysed: list[str]
) -> None:
    predictions, output = submission(), tmp_path / "out"
    analyse(predictions, sample_data, output)
    files = sorted((output / "cases").rglob("*.npz"))
    assert [path.relative_to(output / "cases").as_posix() for path in files[:2]] == [
        "sim29-0001/sim29-0001_L.npz",
        "sim29-0001/sim29-0001_R.npz",
    ]
    files[0].write_bytes(files[0].read_bytes()[:1000])
    files[1].write_text("something else")
    files[2].unlink()
    np.savez(files[3], about=np.array([object()], object))
    analysed.clear()
    analyse(predictions, sample_data, output)
    assert len(analysed) == 4


def test_an_interrupted_run_goes_on(
    tmp_path: Path, submission: Write, sample_data: Path, analysed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictions, spy = submission(), collect.analyse_case

    def interrupt(image_name: str, *arguments: object) -> object:
        if len(analysed) == 2:
            raise KeyboardInterrupt
        return spy(image_name, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(collect, "analyse_case", interrupt)
        analyse(predictions, sample_data, tmp_path / "out")
    assert len(analyse(predictions, sample_data, tmp_path / "out").cases) == 4
    assert len(analysed) == len(set(analysed)) == 4


def test_processes_give_the_same_as_one(
    tmp_path: Path, submission: Write, sample_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another process would be sent and send back is sent here, without starting one."""

    def send(work: Callable[..., object], jobs: list[object], workers: int) -> list[object]:
        assert workers == 2
        return [sent(sent(work)(sent(job))) for job in jobs]  # type: ignore[operator]

    predictions = submission(spoil=without_pisiform)
    alone = analyse(predictions, sample_data, tmp_path / "one", workers=1)
    monkeypatch.setattr(collect, "done_in_order", send)
    together = analyse(predictions, sample_data, tmp_path / "two", workers=2)
    assert together.image_names == alone.image_names
    np.testing.assert_array_equal(together.scores("dice"), alone.scores("dice"))
    assert texts(together) == texts(alone)


def sent(content: object) -> object:
    return pickle.loads(pickle.dumps(content))  # noqa: S301


def test_an_error_in_an_image_is_one_sentence_and_keeps_the_others(
    tmp_path: Path, submission: Write, sample_data: Path
) -> None:
    predictions = submission()
    text = predictions.read_text().replace("sim29-0002_R.png,finger-1,", "sim29-0002_R.png,finger-1,1 999999 ")
    predictions.write_text(text)
    with pytest.raises(HandsegInputError, match=r"predictions.csv, sim29-0002_R.png, finger-1"):
        analyse(predictions, sample_data, tmp_path / "out")
    assert len(list((tmp_path / "out" / "cases").rglob("*.npz"))) == 3


def test_no_process_is_refused(tmp_path: Path, submission: Write, sample_data: Path) -> None:
    with pytest.raises(HandsegInputError, match="workers: 0 processes cannot work"):
        analyse(submission(), sample_data, tmp_path / "out", workers=0)


def test_the_folder_tells_what_was_analysed(tmp_path: Path, submission: Write, sample_data: Path) -> None:
    predictions, output = submission(), tmp_path / "out"
    analyse(predictions, sample_data, output)
    record = json.loads((output / "analysis.json").read_text())
    assert len(record["unpredicted"]) == 4
    assert analysed_predictions(output, sample_data) == OtherPredictions(predictions, None, output)
    assert analysed_predictions(output, tmp_path) == OtherPredictions(predictions)
    assert analysed_predictions(predictions, sample_data) == OtherPredictions(predictions)
    analyse(predictions, sample_data, output, images=sample_data)
    assert analysed_predictions(output, tmp_path) == OtherPredictions(predictions, sample_data)
    (output / "analysis.json").write_text("[]")
    with pytest.raises(HandsegInputError, match="does not tell what was analysed"):
        analysed_predictions(output, sample_data)
