"""The command line: what it takes, and one sentence for whatever it cannot use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from handseg_bundle_common import __version__, inference, simulation
from handseg_bundle_common.cli import main
from handseg_bundle_common.formats.radiograph import write_radiograph
from handseg_bundle_common.formats.rle import read_submission

CONFIG = {
    "threshold": 0.5,
    "network": {"_target_": "torch.nn.Identity"},
    "preprocessing": {"_target_": "handseg_bundle_common.transforms.inference_transforms", "image_size": 32},
    "inferer": "$lambda image, network: 20 * (image - torch.arange(29).view(1, -1, 1, 1) / 29)",
}


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a small bundle, good and bad pictures; folders and files with awkward names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HANDSEG_BUNDLES", str(tmp_path))  # one's own bundles, whose code is not looked at
    configs = tmp_path / "tiny" / "configs"
    configs.mkdir(parents=True)
    (configs / "metadata.json").write_text("{}")
    (configs / "inference.json").write_text(json.dumps(CONFIG))
    ramp = np.tile(np.linspace(0, 1, 40, dtype=np.float32), (24, 1))
    for name in ("hand.png", "a,b.png", "001/1e3.png", "002/1e3.png", "None/[x].png"):
        write_radiograph(tmp_path / name, ramp)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    (tmp_path / "empty").mkdir()
    return tmp_path


def run(line: str) -> int:
    return main(line.split())


def predicted(folder: str = "out") -> set[str]:
    return set(read_submission(Path(folder, "predictions.csv")))


def test_predict_writes_and_says_where(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("predict hand.png 001 --bundle tiny --output out --device cpu") == 0
    assert capsys.readouterr().out == "2 segmented: out/predictions.csv and out/overlays\n"
    assert predicted() == {"hand.png", "1e3.png"}
    assert sorted(path.name for path in Path("out", "overlays").iterdir()) == ["1e3.png", "hand.png"]


@pytest.mark.parametrize(
    ("line", "folder", "expected"),
    [
        ("predict a,b.png --bundle tiny --output 1e3", "1e3", {"a,b.png"}),
        ("predict None --bundle=tiny --output=007", "007", {"[x].png"}),
        ("predict None -b tiny -o {1:2}", "{1:2}", {"[x].png"}),
        ("predict 001 002 --bundle tiny --output True --keep-folders", "True", {"001/1e3.png", "002/1e3.png"}),
    ],
)
def test_names_that_look_like_python_stay_text(line: str, folder: str, expected: set[str]) -> None:
    assert run(f"{line} --device cpu") == 0
    assert predicted(folder) == expected


def test_flags_reach_the_function(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    received = {}

    def recorder(*arguments: object, **options: object) -> inference.Predicted:
        received.update(options, arguments=arguments)
        return inference.Predicted((), (), 0)

    monkeypatch.setattr(inference, "predict", recorder)
    flags = "--device cuda:1 --threshold .25 --image-size 320 --weights 1.5 --keep_folders --probabilities"
    flags += " --precision bfloat16 --compile-network --anew"
    assert run(f"predict x y --bundle tiny --output o {flags}") == 0
    assert received == {
        "arguments": (("x", "y"),),
        "bundle": str(workplace / "tiny"),
        "output": "o",
        "device": "cuda:1",
        "image_size": 320,
        "threshold": 0.25,
        "weights": "1.5",
        "keep_folders": True,
        "probabilities": True,
        "formats": ["overlay", "rle"],
        "precision": "bfloat16",
        "compile_network": True,
        "runtime": "torch",
        "anew": True,
    }


def test_predict_goes_on_tells_of_failures_and_ends_with_another_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("predict 001 002 --bundle tiny --output out --device cpu --keep-folders") == 0
    Path("002", "broken.png").write_bytes(b"broken")
    capsys.readouterr()
    assert run("predict 001 002 --bundle tiny --output out --device cpu --keep-folders") == 1
    segmented, failed = capsys.readouterr().out.splitlines()
    assert segmented == "2 segmented (2 of them by an earlier run): out/predictions.csv and out/overlays"
    assert failed.startswith("1 failed: out/failures.csv, first ")
    assert "002/broken.png: cannot be read as a picture" in failed


def test_simulate_reaches_the_function(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    received = []

    def recorder(*arguments: object, **options: object) -> list[Path]:
        received.extend([*arguments, options])
        return [Path("a.png")] * 3

    monkeypatch.setattr(simulation, "write_hands", recorder)
    assert run("simulate --count 3 --size 512 --seed 4 --output 007 --assets 1.5 --workers 2") == 0
    assert received == [3, 512, 4, "007", {"assets": Path("1.5"), "workers": 2, "preset": "dataset"}]
    assert capsys.readouterr().out == "3 simulated: 007\n"


def test_simulate_tells_its_sources(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("simulate --about") == 0
    assert "CC BY" in capsys.readouterr().out


def test_make_folds_keeps_both_hands_of_a_patient_together(capsys: pytest.CaptureFixture[str]) -> None:
    for patient in ("p1", "p2", "p3"):
        for side in "LR":
            write_radiograph(Path("data", "DCM", patient, f"{patient}_{side}.png"), np.zeros((4, 4), np.float32))
    assert run("make-folds data --output folds.json --count 3 --seed 1") == 0
    assert capsys.readouterr().out == "3 patients in 3 folds: folds.json\n"
    assert sorted(json.loads(Path("folds.json").read_text())["folds"]) == [["p1"], ["p2"], ["p3"]]


GOOD = "predict hand.png --bundle tiny --output out --device cpu"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("predict --bundle tiny --output out", "no radiograph is named"),
        ("predict absent.png --bundle tiny --output out", "absent.png: is not there"),
        ("predict 003 --bundle tiny --output out", "003: is not there"),
        ("predict broken.png --bundle tiny --output out", "broken.png: cannot be read"),
        ("predict hand.png broken.png --bundle tiny --output out", "broken.png: cannot be read"),
        ("predict tiny/configs/metadata.json --bundle tiny --output out", "unsupported suffix"),
        ("predict empty --bundle tiny --output out", "empty: holds no image"),
        ("predict 001 002 --bundle tiny --output out", "002/1e3.png: has the same name as"),
        ("predict hand.png --bundle 1 --output out", "1: is no bundle"),
        ("predict hand.png --bundle empty --output out", "empty: is no bundle"),
        ("predict hand.png --bundle tiny --output hand.png", "hand.png"),
        ("predict hand.png --bundle tiny --output", "--output: has no value"),
        ("predict --keep-folders hand.png --bundle tiny --output out", "--keep-folders: takes no value"),
        (f"{GOOD} --threshold high", "--threshold: 'high' is not a number"),
        (f"{GOOD} --threshold 1", "threshold: 1.0 is no probability"),
        (f"{GOOD} --threshold nan", "threshold: nan is no probability"),
        (f"{GOOD} --threshold", "--threshold: has no value"),
        ("predict hand.png --bundle tiny --output out --device gpu", "device: 'gpu'"),
        ("make-folds nowhere --output out", "nowhere"),
        ("make-folds 001 --output out --count 2", "2 folds cannot be made"),
        (f"{GOOD} --image-size 0", "image_size: 0 px is no size"),
        ("simulate", "--output: is missing"),
        ("simulate --count 1.5 --output out", "--count: '1.5' is not a whole number"),
        ("simulate --count 0 --output out", "0 hands"),
        ("simulate --size big --output out", "--size: 'big'"),
        ("simulate --about yes", "--about: takes no value"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    line: str, message: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(workplace.rglob("*"))
    assert run(line) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("handseg: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert sorted(workplace.rglob("*")) == before


@pytest.mark.parametrize("line", ["fly", f"{GOOD} --colour red", "predict hand.png", "simulate --output out more"])
def test_unknown_verbs_and_flags_start_nothing(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(line)
    assert caught.value.code == 2
    assert "ERROR" in capsys.readouterr().err
    assert not Path("out").exists()


def test_other_errors_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(inference, "predict", broken)
    with pytest.raises(ZeroDivisionError):
        run(GOOD)


def test_an_interrupt_is_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(inference, "predict", interrupted)
    assert run(GOOD) == 130
    assert capsys.readouterr().err == "handseg: interrupted.\n"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"handseg {__version__}\n"


def test_help_names_the_verbs_without_importing_what_is_heavy() -> None:
    code = (
        "import sys\nfrom handseg_bundle_common.cli import main\n"
        "try:\n    main(['predict', '--help'])\n"
        "finally:\n    print('heavy:', {'torch', 'monai', 'numpy', 'cv2', 'scipy'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert result.stdout == "heavy: set()\n"
    assert "--bundle" in result.stderr


@pytest.mark.parametrize(
    "words", ["vote --csv a.csv --csv b.csv --output o", "predict a --output o --bundle=b --bundle c"]
)
def test_a_flag_that_stands_twice_is_refused(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 2
    assert "stands twice" in capsys.readouterr().err
