"""`handseg info` from a folder of bundles made for the test, whole and broken."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from types import SimpleNamespace

import pytest
import torch

from handseg_bundle_common import __version__, resources
from handseg_bundle_common.info import bundle_info, info_text, system_info
from handseg_bundle_common.networks import EffiSegNet
from handseg_bundle_common.weights import save_weights


@pytest.fixture
def bundles(repository, tmp_path, monkeypatch):
    """A copy of one bundle's configurations, the only bundle that can be found."""
    for name in ("cwd", "parent", "prefix"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setattr(resources, "REPOSITORY", tmp_path / "parent")
    monkeypatch.setattr(resources, "INSTALLED", tmp_path / "prefix")
    monkeypatch.setenv("HANDSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HANDSEG_BUNDLES", str(tmp_path / "bundles"))
    source = repository / "bundles" / "effisegnet" / "configs"
    configs = tmp_path / "bundles" / "effisegnet" / "configs"
    shutil.copytree(source, configs)
    described = json.loads((configs / "metadata.json").read_text())
    (configs / "metadata.json").write_text(json.dumps({**described, "weights": {}}))
    return tmp_path / "bundles"


def test_versions_and_the_machine(bundles, tmp_path):
    info = system_info()
    assert (info["handseg"], info["python"]) == (__version__, platform.python_version())
    assert info["packages"] == {name: metadata.version(name) for name in ("torch", "monai", "mlflow")}
    assert info["cpu"]["cores"] == os.cpu_count()
    assert 2**28 < info["cpu"]["memory"] < 2**50
    assert info["cache"] == str(tmp_path / "cache")
    assert info["bundle_folders"] == [str(bundles), str(tmp_path / "parent/bundles"), str(tmp_path / "prefix/bundles")]


def test_graphics_cards_have_names_and_memory(bundles, monkeypatch):
    cards = [SimpleNamespace(name="Big", total_memory=80 * 2**30), SimpleNamespace(name="Small", total_memory=2**33)]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(cards))
    monkeypatch.setattr(torch.cuda, "get_device_properties", cards.__getitem__)
    info = system_info()
    assert info["gpus"] == [{"name": "Big", "memory": 80 * 2**30}, {"name": "Small", "memory": 2**33}]
    assert "cuda:0  Big, 80.0 GiB" in info_text(info)


def test_a_bundle_without_weights(bundles):
    (bundle,) = system_info()["bundles"]
    settings = json.loads((bundles / "effisegnet" / "configs" / "inference.json").read_text())
    assert bundle["problem"] is None
    assert bundle["name"] == "effisegnet"
    assert (bundle["classes"], bundle["input_channels"], bundle["spatial_shape"]) == (29, 1, ["32*n", "32*n"])
    assert bundle["image_size"] == settings["image_size"]
    assert {"dice_focal", "finetune", "reference"} <= set(bundle["overlays"])
    assert not {"train", "inference", "evaluate", "metadata"} & set(bundle["overlays"])
    assert bundle["weights"] == {"path": str(bundles / "effisegnet/models/model.pt"), "present": False}


def test_weights_that_are_not_the_bundles_are_a_problem(bundles):
    save_weights(EffiSegNet(decoder_channels=8), bundles / "effisegnet" / "models" / "model.pt")
    metadata_file = bundles / "effisegnet" / "configs" / "metadata.json"
    described = json.loads(metadata_file.read_text())
    metadata_file.write_text(json.dumps({**described, "weights": {"models/model.pt": {"sha256": "0" * 64}}}))
    (bundle,) = system_info()["bundles"]
    assert "is not the file whose SHA-256 digest stands in the bundle's metadata.json" in bundle["problem"]


def test_a_bundle_with_weights(bundles):
    path = bundles / "effisegnet" / "models" / "model.pt"
    save_weights(EffiSegNet(decoder_channels=8), path, settings={"image_size": 64, "model_name": "efficientnet-b0"})
    weights = bundle_info(bundles / "effisegnet")["weights"]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert weights == {
        "path": str(path),
        "present": True,
        "size": path.stat().st_size,
        "sha256": digest,
        "settings": {"image_size": 64, "model_name": "efficientnet-b0"},
    }
    text = info_text(system_info())
    assert f"MiB, image_size 64, model_name efficientnet-b0, sha256 {digest[:12]}" in text


def test_settings_of_a_file_from_elsewhere_stay_plain(bundles):
    path = bundles / "effisegnet" / "models" / "model.pt"
    path.parent.mkdir()
    torch.save({"model": {"weight": torch.ones(1)}, "settings": {"image_size": torch.tensor(64), 3: [1]}}, path)
    settings = bundle_info(bundles / "effisegnet")["weights"]["settings"]
    assert json.loads(json.dumps(settings)) == settings
    assert settings["3"] == [1]


def _broken_metadata(bundle):
    (bundle / "configs" / "metadata.json").write_text('{"name": ')


def _metadata_of_another_kind(bundle):
    (bundle / "configs" / "metadata.json").write_text("[1, 2]")


def _other_classes(bundle):
    path = bundle / "configs" / "metadata.json"
    document = json.loads(path.read_text())
    document["network_data_format"]["outputs"]["pred"]["channel_def"]["0"] = "thumb"
    path.write_text(json.dumps(document))


def _no_format(bundle):
    (bundle / "configs" / "metadata.json").write_text('{"name": "odd", "network_data_format": 3}')


def _no_inference(bundle):
    (bundle / "configs" / "inference.json").unlink()


def _damaged_weights(bundle):
    (bundle / "models").mkdir()
    (bundle / "models" / "model.pt").write_text("<html>404</html>")


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (_broken_metadata, "metadata.json: is not JSON"),
        (_metadata_of_another_kind, "metadata.json: holds no object"),
        (_other_classes, "metadata.json: does not name the bones of handseg"),
        (_no_format, "metadata.json: does not name the bones of handseg"),
        (_no_inference, "inference.json: cannot be read"),
        (_damaged_weights, "model.pt: is no checkpoint"),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
def test_a_broken_bundle_is_listed_with_its_problem_beside_the_others(bundles, damage, problem):
    shutil.copytree(bundles / "effisegnet", bundles / "broken")
    damage(bundles / "broken")
    info = system_info()
    broken, whole = info["bundles"]
    assert (broken["folder"], whole["folder"]) == (str(bundles / "broken"), str(bundles / "effisegnet"))
    assert problem in broken["problem"]
    assert whole["problem"] is None
    assert problem in info_text(info)


def test_an_ensemble_tells_which_members_have_weights(bundles, repository):
    shutil.copytree(repository / "bundles" / "ensemble" / "configs", bundles / "ensemble" / "configs")
    path = bundles / "ensemble" / "configs" / "inference.json"
    (bundles / "effisegnet" / "models").mkdir()
    (bundles / "effisegnet" / "models" / "there.pt").touch()
    members = [{"name": name, "bundle": "effisegnet", "weights": f"models/{name}.pt"} for name in ("there", "absent")]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"members": members}))
    info = bundle_info(bundles / "ensemble")
    assert info["problem"] is None
    assert [member["present"] for member in info["members"]] == [True, False]
    assert info["members"][0]["weights"] == str(bundles / "effisegnet" / "models" / "there.pt")
    assert "  members   there, absent (no weights)" in info_text(system_info()).splitlines()


def test_the_text_is_a_table_of_what_json_holds(bundles):
    info = system_info()
    text = info_text(json.loads(json.dumps(info)))
    first, *lines = text.splitlines()
    assert first.startswith(f"handseg {__version__}   Python {info['python']}   torch {info['packages']['torch']}")
    assert f"  folder    {bundles / 'effisegnet'}" in lines
    size = json.loads((bundles / "effisegnet" / "configs" / "inference.json").read_text())["image_size"]
    assert f"  input     1 x 32*n x 32*n, image_size {size}" in lines
    assert "  output    29 overlapping masks" in lines
    assert f"  weights   none at {bundles / 'effisegnet/models/model.pt'}" in lines
    assert lines[-2:] == ["Cache", f"  {info['cache']}"]


def test_no_bundles_and_no_mlflow(bundles, monkeypatch):
    shutil.rmtree(bundles)
    version = metadata.version

    def without_mlflow(name):
        if name == "mlflow":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without_mlflow)
    info = system_info()
    assert info["bundles"] == []
    assert info["packages"]["mlflow"] is None
    assert "mlflow not installed" in info_text(info)
    assert "No bundles" in info_text(info)


def test_nothing_heavy_is_imported():
    program = (
        "import sys; from handseg_bundle_common.info import system_info; system_info();"
        "print(*sorted({'monai', 'mlflow', 'pandas', 'ignite', 'cv2'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603
    assert result.stdout.strip() == ""
