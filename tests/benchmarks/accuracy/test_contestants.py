"""Bundles to measure: their order, their weights, and what is missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from handseg_bundle_common.anatomy import BONE_NAMES, NUM_BONES
from handseg_bundle_common.ensemble import write_ensemble_bundle
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.networks import EffiSegNet
from handseg_bundle_common.weights import save_weights

CONFIGURATION = Path("configs", "inference.json")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights of a small network that works at 64 px."""
    path = tmp_path_factory.mktemp("weights") / "model.pt"
    torch.manual_seed(0)
    save_weights(EffiSegNet(decoder_channels=16), path, settings={"image_size": 64, "decoder_channels": 16})
    return path


@pytest.fixture
def bundle(repository, tmp_path) -> Path:
    """The configurations of a bundle, in a folder of its name, with metadata that tells of no weights."""
    folder = tmp_path / "elsewhere" / "effisegnet"
    shutil.copytree(repository / "bundles" / "effisegnet" / "configs", folder / "configs")
    metadata = folder / "configs" / "metadata.json"
    metadata.write_text(json.dumps({**json.loads(metadata.read_text()), "weights": {}}))
    return folder


def ensemble_of(folder: Path, members: list[dict[str, str]]) -> Path:
    selection = {
        "members": members,
        "combine": "probabilities",
        "bone_weights": {member["name"]: [1 / len(members)] * NUM_BONES for member in members},
        "thresholds": dict.fromkeys(BONE_NAMES, 0.5),
        "calibration": {bone: [1.0, 0.0] for bone in BONE_NAMES},
    }
    write_ensemble_bundle(selection, folder)
    return folder


def change(configuration: Path) -> None:
    settings = json.loads(configuration.read_text())
    configuration.write_text(json.dumps(settings | {"overlap": 0.5}))


def test_ensembles_come_last(script, repository):
    found = [Path(folder).name for folder in script.bundles_in(repository / "bundles")]
    assert sorted(found) == ["effisegnet", "ensemble", "segformer", "swin_unetr", "unetplusplus"]
    assert found[-1] == "ensemble"


def test_bundles_of_a_folder_are_found_in_it(script, repository, bundle, monkeypatch):
    """Though their names mean others."""
    monkeypatch.setenv("HANDSEG_BUNDLES", str(bundle.parent))
    (named,) = script.contestants([bundle.name], {})
    assert named.folder == bundle
    found = script.contestants(script.bundles_in(repository / "bundles"), {})
    assert [one.folder for one in found] == [repository / "bundles" / one.name for one in found]


def test_weights_in_place_of_the_bundles_own(script, repository, weights):
    (one,) = script.contestants(["effisegnet"], {"effisegnet": weights})
    assert (one.name, one.weights, one.image_size) == ("effisegnet", weights, 64)
    assert one.folder == repository / "bundles" / "effisegnet"
    assert not one.missing


def test_weights_of_a_folder_go_by_its_name(script, bundle, weights):
    for key in (bundle.name, str(bundle)):
        (one,) = script.contestants([str(bundle)], {key: weights})
        assert (one.name, one.folder, one.weights) == ("effisegnet", bundle, weights)


def test_weights_that_are_not_there_are_named(script, weights, bundle):
    (one,) = script.contestants([str(bundle)], {})
    assert one.missing == {"effisegnet": bundle / "models" / "model.pt"}
    (bundle / "models").mkdir()
    (bundle / "models" / "model.pt").write_bytes(weights.read_bytes())
    (one,) = script.contestants([str(bundle)], {})
    assert not one.missing


def test_an_ensemble_lacks_what_its_members_lack(script, weights, tmp_path):
    """And it works with the weights that its configuration names."""
    absent = tmp_path / "absent.pt"
    absent.write_bytes(weights.read_bytes())
    members = [
        {"name": name, "bundle": "effisegnet", "weights": str(file)}
        for name, file in (("there", weights), ("absent", absent))
    ]
    ensemble_of(tmp_path / "two", members)
    absent.unlink()
    (one,) = script.contestants([str(tmp_path / "two")], {})
    assert one.members == {"there": weights, "absent": absent}
    assert one.missing == {"absent": absent}


def test_the_digest_follows_the_weights(script, weights, tmp_path):
    other = tmp_path / "other.pt"
    other.write_bytes(weights.read_bytes())
    digests = [script.contestants(["effisegnet"], {"effisegnet": path})[0].digest for path in (weights, other)]
    assert digests[0] == digests[1]
    save_weights(EffiSegNet(decoder_channels=16), other, settings={"image_size": 64, "decoder_channels": 16})
    assert script.contestants(["effisegnet"], {"effisegnet": other})[0].digest != digests[0]


def test_the_digest_follows_the_configuration(script, bundle, weights):
    (one,) = script.contestants([str(bundle)], {str(bundle): weights})
    before = one.digest
    change(bundle / CONFIGURATION)
    assert one.digest != before


def test_the_digest_of_an_ensemble_follows_its_members_configurations(script, bundle, weights, tmp_path):
    member = {"name": "one", "bundle": str(bundle), "weights": str(weights)}
    (one,) = script.contestants([str(ensemble_of(tmp_path / "ensemble", [member]))], {})
    assert one.member_folders == (bundle,)
    before = one.digest
    change(bundle / CONFIGURATION)
    assert one.digest != before


def test_weights_of_nothing_and_of_others_are_refused(script, weights, tmp_path):
    with pytest.raises(HandsegInputError, match="names segformer, which is not measured; use effisegnet"):
        script.contestants(["effisegnet"], {"segformer": weights})
    with pytest.raises(HandsegInputError, match=r"nothing\.pt: is not there or not a file"):
        script.contestants(["effisegnet"], {"effisegnet": tmp_path / "nothing.pt"})
