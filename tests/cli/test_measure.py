"""The verb measure: what it takes, and what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from handseg_bundle_common.cli import main
from handseg_bundle_common.cli.measure import measure
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.boostcamp import masks_to_annotations, write_annotations
from handseg_bundle_common.formats.radiograph import write_radiograph
from handseg_bundle_common.formats.rle import SubmissionWriter


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with one image, its prediction in `results` and its polygons: a square for a radius."""
    monkeypatch.chdir(tmp_path)
    packed = np.zeros((60, 50), np.uint32)
    packed[20:40, 20:30] = 1 << 27
    write_radiograph("data/DCM/p/hand.png", np.zeros(packed.shape, np.float32))
    write_annotations("data/outputs_json/p/hand.json", masks_to_annotations(packed))
    with SubmissionWriter("results/predictions.csv") as submission:
        submission.write("hand.png", packed)


@pytest.mark.parametrize("given", ["--predictions results --images data", "--labels data"])
def test_predictions_and_labels_give_the_same_tables(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", *given.split(), "--output", "out", "--spacing-mm", "0.5"]) == 0
    assert capsys.readouterr().out == "1 measured in mm: out\n"
    assert "hand.png,Radius,10.0000,5.0000,50.0000," in Path("out/bone_sizes.csv").read_text()


def test_what_predict_wrote_into_the_same_folder_stays() -> None:
    Path("results/overlays").mkdir()
    for name in ("overlays/hand.png", "bones.csv"):
        Path("results", name).write_text("of another verb")
    measure(predictions="results", images="data", output="results", workers=1).start()
    assert {Path("results", name).read_text() for name in ("overlays/hand.png", "bones.csv")} == {"of another verb"}
    assert Path("results/measured/hand.png").is_file()


def test_overlays_are_a_switch(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", "--labels", "data", "--output", "out", "--workers", "1", "--overlays", "False"]) == 0
    assert not Path("out/measured").exists()


def test_an_impossible_spacing_is_told_before_anything_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", "--labels", "nowhere", "--output", "out", "--spacing-mm", "7"]) == 2
    assert "7.0 is not possible for a radiograph" in capsys.readouterr().err


def test_px_are_told() -> None:
    said = measure(labels="data", output="out").start()
    assert said == "1 measured in px, whose spacing is not known (--spacing-mm): out"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "--predictions: is missing"),
        ({"predictions": "results"}, "--images: is missing"),
        ({"predictions": "results", "images": "data", "labels": "data"}, "--predictions: and --labels exclude"),
        ({"labels": "data", "images": "data"}, "--images: has nothing to do beside --labels"),
        ({"labels": "data", "spacing_mm": "fine"}, "--spacing-mm: 'fine' is not a number"),
        ({"labels": True}, "--labels: has no value"),
        ({"labels": "data", "workers": "all"}, "--workers: 'all' is not a whole number"),
        ({"labels": "data", "overlays": "out"}, "--overlays: 'out' is neither True nor False"),
    ],
)
def test_mistakes_are_found_before_anything_starts(options: dict[str, object], message: str) -> None:
    with pytest.raises(HandsegInputError, match=message):
        measure(output="out", **options)
