"""The verb convert: formats by flags, and one sentence about bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from handseg_bundle_common import conversion
from handseg_bundle_common.cli.command import main
from handseg_bundle_common.formats.mask_image import MaskImage
from handseg_bundle_common.formats.nifti import write_nifti


def test_flags_reach_the_function(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    received = {}

    def recorder(*arguments: object, **options: object) -> conversion.Conversion:
        received.update(options, arguments=arguments)
        return conversion.Conversion(Path("b"), 2)

    monkeypatch.setattr(conversion, "convert", recorder)
    assert main(["convert", "a", "007", "--from", "coco", "--to", "nifti", "--images", "i", "--overwrite"]) == 0
    assert received == {
        "arguments": ("a", "007"),
        "source_format": "coco",
        "target_format": "nifti",
        "images": "i",
        "overwrite": True,
    }
    assert capsys.readouterr().out == "2 converted: b\nnothing is lost.\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("convert a.nii b --to dog", "'dog' is no format"),
        ("convert a.nii b --form nifti", "--form: is no option of convert"),
        ("convert a.nii b --from", "--from: has no value"),
        ("convert a.nii b.png --overwrite 3", "--overwrite: takes no value"),
        ("convert missing b.csv", "missing: is not there"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_nifti("a.nii", MaskImage("a.png", np.zeros((2, 3), np.uint32)))
    assert main(line.split()) == 2
    error = capsys.readouterr().err
    assert error.startswith("handseg: ")
    assert message in error
    assert error.count("\n") == 1
