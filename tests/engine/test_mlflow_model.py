"""A bundle as a model of MLflow: no pickle, no folder of this machine, and the same masks as `handseg predict`."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.datasets import data_list
from handseg_bundle_common.engine.mlflow_log import experiment_id, new_run
from handseg_bundle_common.engine.mlflow_model import bundle_with_weights, log_bundle, log_run_as_model
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.inference import predict


@pytest.fixture(scope="module")
def bundle(repository):
    return repository / "bundles" / "effisegnet"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("model")


@pytest.fixture(scope="module")
def weights(bundle, place):
    """Those that come with the bundle, as a training elsewhere would have written them."""
    return Path(shutil.copy(bundle / "models" / "model.pt", place / "trained.pt"))


@pytest.fixture(scope="module")
def client(place):
    return mlflow.MlflowClient(f"sqlite:///{place}/mlflow.db")


@pytest.fixture(scope="module")
def run_id(client):
    return new_run(client, experiment_id(client, "handseg"), "trial", "training").info.run_id


@pytest.fixture(scope="module")
def model(client, run_id, bundle, weights):
    """Address and folder of the registered model."""
    address = log_bundle(client, run_id, bundle, weights)
    assert address == "models:/handseg-effisegnet/1"
    return address, Path(client.download_artifacts(run_id, "model"))


def test_nothing_is_pickled(model):
    _, folder = model
    suffixes = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert {".pt", ".json", ".py", ".yaml", ".txt"} <= suffixes
    assert not suffixes & {".pkl", ".pickle", ".joblib"}


def test_it_names_no_folder_of_this_machine(model, repository, place):
    _, folder = model
    for path in folder.glob("*"):
        if path.is_file():
            text = path.read_text()
            assert str(repository) not in text
            assert "/tmp" not in text  # noqa: S108


def test_it_says_what_it_takes_and_needs(model):
    _, folder = model
    signature = mlflow.models.Model.load(str(folder)).signature
    assert [(column.name, str(column.type)) for column in signature.inputs] == [
        ("image_name", "DataType.string"),
        ("content", "DataType.binary"),
    ]
    assert signature.outputs.input_names() == ["image_name", "class", "rle"]
    assert "handseg==" in (folder / "requirements.txt").read_text()


def test_the_next_one_is_the_next_version(client, model, bundle, weights):
    run = new_run(client, experiment_id(client, "handseg"), "trial", "training").info.run_id
    config = {"bundle_root": str(bundle), "weights": str(weights)}
    assert log_run_as_model(client, run, config, None) == "models:/handseg-effisegnet/2"
    assert client.get_model_version("handseg-effisegnet", "2").run_id == run


def test_its_masks_are_those_of_predict(model, place, bundle, weights, sample_data, monkeypatch):
    address, _ = model
    image = Path(data_list(sample_data)[0]["image"])
    predict([image], str(bundle), place / "predicted", device="cpu", weights=weights)
    expected = (place / "predicted" / "predictions.csv").read_text().splitlines()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place}/mlflow.db")
    loaded = mlflow.pyfunc.load_model(address)
    rows = loaded.predict(pd.DataFrame({"image_name": [image.name], "content": [image.read_bytes()]}))
    assert rows.to_csv(index=False, lineterminator="\n").splitlines() == expected
    assert rows["class"].tolist() == list(BONE_NAMES)
    assert rows["rle"].str.len().gt(0).all()


def test_the_copy_holds_its_weights_to_a_digest(bundle, weights, tmp_path):
    copy = bundle_with_weights(bundle, weights, tmp_path / "copy")
    metadata = json.loads((copy / "configs" / "metadata.json").read_text())
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert metadata["weights"] == {"models/model.pt": {"sha256": digest, "bytes": weights.stat().st_size}}
    assert (copy / "LICENSE").exists()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"bundle_root": "/nowhere"}, "the bundle of the run is not there"),
        ({"bundle_root": "effisegnet"}, "the weights of the run are not known"),
        ({"bundle_root": "effisegnet", "weights": "nowhere.pt"}, r"nowhere\.pt: cannot be read"),
    ],
)
def test_what_is_not_there_is_named(client, config, message):
    with pytest.raises(HandsegInputError, match=message):
        log_run_as_model(client, "0123", config, None)
