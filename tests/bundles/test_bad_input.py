"""Bad data on the way through a bundle: one sentence each, and no weights from a training that could not run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigWorkflow

from handseg_bundle_common.errors import input_error_message
from handseg_bundle_common.networks import EffiSegNet
from handseg_bundle_common.weights import save_weights

# The second patient of the sample hands.
PATIENT = sorted(folder.name for folder in (Path(__file__).parents[2] / "data/sample/DCM").iterdir())[1]


def _edit_label(data, change):
    path = data / "outputs_json" / PATIENT / f"{PATIENT}_L.json"
    document = json.loads(path.read_text())
    change(document["annotations"])
    path.write_text(json.dumps(document))


def _truncated_picture(data):
    path = data / "DCM" / PATIENT / f"{PATIENT}_L.png"
    path.write_bytes(path.read_bytes()[:5000])


def _empty_picture(data):
    (data / "DCM" / PATIENT / f"{PATIENT}_L.png").write_bytes(b"")


def _missing_label(data):
    (data / "outputs_json" / PATIENT / f"{PATIENT}_L.json").unlink()


def _empty_label(data):
    (data / "outputs_json" / PATIENT / f"{PATIENT}_L.json").write_bytes(b"")


def _unknown_label(data):
    _edit_label(data, lambda annotations: annotations[0].update(label="finger-20"))


def _nan_polygon(data):
    _edit_label(data, lambda annotations: annotations[3]["points"][0].__setitem__(0, float("nan")))


def _no_images(data):
    shutil.rmtree(data / "DCM")


def _unknown_patient(data):
    (data / "DCM" / PATIENT).rename(data / "DCM" / "stranger")
    (data / "outputs_json" / PATIENT).rename(data / "outputs_json" / "stranger")


@pytest.fixture
def data(sample_data, tmp_path):
    """A copy of the sample to damage."""
    return shutil.copytree(sample_data, tmp_path / "data")


@pytest.fixture(autouse=True)
def exception_hook(monkeypatch):
    """Bundles install a hook for uncaught errors; take it off again."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)


def _message(repository, files, **overrides):
    configs = repository / "bundles" / "effisegnet" / "configs"
    workflow = ConfigWorkflow(
        config_file=[str(configs / name) for name in (*files, "no_tracking.json")],
        logging_file=False,
        workflow_type="train",
        **({"image_size": 64, "num_workers": 0, "max_epochs": 1, "batch_size": 6} | overrides),
    )
    with pytest.raises(Exception) as caught:
        workflow.initialize()
        workflow.run()
    message = input_error_message(caught.value)
    assert message is not None, f"no sentence for {caught.value!r}"
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (_truncated_picture, f"{PATIENT}_L.png: cannot be read as a picture"),
        (_empty_picture, f"{PATIENT}_L.png: is empty; copy or export it again."),
        (_missing_label, f"{PATIENT}/{PATIENT}_L"),
        (_empty_label, f"{PATIENT}_L.json: is empty"),
        (_unknown_label, f"{PATIENT}_L.json: has the unknown label 'finger-20'; use one of finger-1, finger-2"),
        (_nan_polygon, f"{PATIENT}_L.json: finger-4 has points that are not finite"),
        (_no_images, "DCM/<patient>/<image>.png"),
        (_unknown_patient, "stranger"),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
def test_training_on_bad_data_says_what_is_wrong(repository, data, tmp_path, damage, expected):
    damage(data)
    folders = {"ckpt_dir": str(tmp_path / "models"), "output_dir": str(tmp_path / "output")}
    assert expected in _message(repository, ["train.json"], data_dir=str(data), **folders)
    assert not (tmp_path / "models").exists()


def test_weights_of_other_classes_are_refused(repository, tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "model.pt"
    save_weights(EffiSegNet(out_channels=3), path)
    message = _message(repository, ["train.json", "evaluate.json"], weights=str(path), output_dir=str(tmp_path / "out"))
    assert message.startswith(f"{path}: predicts 3 classes instead of 29")
    assert not (tmp_path / "out").exists()


def test_missing_weights_say_where_they_come_from(repository, tmp_path):
    message = _message(repository, ["train.json", "evaluate.json"], weights=str(tmp_path / "model.pt"))
    assert "train the bundle" in message


def test_an_output_that_cannot_be_written_is_named(repository, tmp_path):
    (tmp_path / "file").write_text("in the way")
    message = _message(repository, ["train.json"], output_dir=str(tmp_path / "file"), ckpt_dir=str(tmp_path / "models"))
    assert "file" in message
    assert "choose a folder" in message


@pytest.mark.parametrize(
    ("damage", "overrides", "expected"),
    [
        (_truncated_picture, {"num_workers": 1}, f"{PATIENT}_L.png: cannot be read as a picture"),
        (_nan_polygon, {"num_workers": 0}, "finger-4 has points that are not finite"),
        (lambda data: None, {"tracking_uri": "sqlite:////dev/null/mlflow.db"}, "choose a folder"),
    ],
    ids=["truncated picture in a worker", "NaN polygon", "unwritable database"],
)
def test_the_command_line_ends_with_the_sentence_and_exit_code_2(
    repository, data, tmp_path, damage, overrides, expected
):
    damage(data)
    train = repository / "bundles" / "effisegnet" / "configs" / "train.json"
    command = [sys.executable, "-m", "monai.bundle", "run", "training", "--config_file", str(train)]
    folders = {"data_dir": data, "ckpt_dir": tmp_path / "models", "output_dir": tmp_path / "output"}
    settings = {"tracking_uri": f"sqlite:///{tmp_path}/mlflow.db", "image_size": 64, "batch_size": 6, "max_epochs": 1}
    for key, value in (settings | folders | overrides).items():
        command += [f"--{key}", str(value)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603
    assert result.returncode == 2, result.stderr
    assert result.stderr.splitlines()[-1].startswith("handseg: ")
    assert expected in result.stderr.splitlines()[-1]
    assert not (tmp_path / "models").exists()
