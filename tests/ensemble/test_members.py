"""Members: how they are named, built and refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from handseg_bundle_common.anatomy import BONE_NAMES, NUM_BONES
from handseg_bundle_common.ensemble import Member, MemberSettings, Role
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.weights import save_weights


def build(description):
    return Member.build(MemberSettings.parse(description))


def bundle_of(description) -> Path:
    return Path(description["bundle"])


def test_it_takes_its_size_from_its_weights(toy_member):
    member = build(toy_member("a", image_size=48))
    assert member.image_size == 48
    assert tuple(member.inferer.roi_size) == (48, 48)
    assert member.settings.role is Role.GENERAL


def test_windows_of_the_ensemble_win_over_those_of_the_weights(toy_member):
    windows = {"image_size": 64, "window_size": 16, "overlap": 0.5, "flip": True}
    member = build(toy_member("a", image_size=48, windows=windows))
    assert member.image_size == 64
    assert tuple(member.inferer.roi_size) == (16, 16)
    assert member.inferer.overlap == 0.5
    assert member.inferer.flip


def test_without_weights_it_is_what_its_bundle_says(toy_member):
    description = toy_member("a")
    (bundle_of(description) / "model.pt").unlink()
    assert build(description).image_size == 99


def test_weights_lie_in_the_bundle_or_else_in_the_working_directory(toy_member, tmp_path, monkeypatch):
    description = toy_member("a")
    assert MemberSettings.parse(description).weights_file == bundle_of(description) / "model.pt"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.pt").touch()
    assert MemberSettings.parse(description | {"weights": "mine.pt"}).weights_file == tmp_path / "mine.pt"


def test_it_sees_the_image_at_its_own_size(toy_member, image):
    """A 1 x 1 convolution commutes with resampling, so that its logits tell what it has seen."""
    member = build(toy_member("a", slope=2.0, bias=-1.0, image_size=64))
    member.load()
    logits = member(image, canvas_size=32)
    assert logits.shape == (1, NUM_BONES, 64, 64)
    enlarged = nn.functional.interpolate(image, scale_factor=2, mode="bilinear")
    torch.testing.assert_close(logits[:, 3:4], 2 * enlarged - 1, atol=1e-5, rtol=0)


def test_the_scale_is_that_of_the_longer_side(toy_member):
    member = build(toy_member("a", image_size=16))
    member.load()
    assert member(torch.rand(1, 1, 32, 20), canvas_size=32).shape[-2:] == (16, 10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bundle": None}, "lacks name, bundle or weights"),
        ({"weight": "model.pt"}, "unknown key 'weight'"),
        ({"role": "specialist"}, "unknown role 'specialist'"),
        ({"role": ["general"]}, "unknown role"),
        ({"weights": 5}, "lacks name, bundle or weights"),
        ({"windows": {"roi": 3}}, "unknown key 'roi'"),
        ({"windows": [64]}, "are no object"),
        ({"windows": {"image_size": "64"}}, "image_size '64', which is not possible"),
        ({"windows": {"overlap": 1}}, "overlap 1, which is not possible"),
    ],
)
def test_descriptions_that_make_no_sense_are_refused(toy_member, change, message):
    description = {name: value for name, value in (toy_member("a") | change).items() if value is not None}
    with pytest.raises(HandsegInputError, match=message):
        MemberSettings.parse(description)


def _rewrite(path: Path, change) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_shuffled_class_names_are_refused(toy_member):
    description = toy_member("a")

    def shuffle(metadata):
        channels = metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
        channels["0"], channels["1"] = channels["1"], channels["0"]

    _rewrite(bundle_of(description) / "configs" / "metadata.json", shuffle)
    with pytest.raises(HandsegInputError, match="in another order"):
        build(description)


def test_weights_with_shuffled_class_names_are_refused(toy_member):
    description = toy_member("a")
    path = bundle_of(description) / "model.pt"
    content = torch.load(path, weights_only=True)
    content["bones"] = [BONE_NAMES[1], BONE_NAMES[0], *BONE_NAMES[2:]]
    torch.save(content, path)
    with pytest.raises(HandsegInputError, match="'finger-2' instead of 'finger-1' in channel 0"):
        build(description)


def test_another_number_of_channels_is_refused(toy_member):
    description = toy_member("a")
    save_weights(nn.Conv2d(1, 3, 1), bundle_of(description) / "model.pt")
    with pytest.raises(HandsegInputError, match="tensors of another shape"):
        build(description).load()


@pytest.mark.parametrize(
    ("channels", "answer"), [(30, "30 channels"), (28, "28 channels"), (3, "3 channels"), (1, "1 channel")]
)
def test_an_answer_of_another_number_of_channels_is_refused(toy_member, image, channels, answer):
    """Metadata and weights may name the bones, and the network still be another one."""
    member = build(toy_member("a", channels=channels))
    member.load()
    message = rf"^a: answers with {answer} instead of 29, one a bone; leave it out, or use a bundle of handseg\.$"
    with pytest.raises(HandsegInputError, match=message):
        member(image, canvas_size=32)
    with pytest.raises(HandsegInputError, match=message):
        member.magnified(image, canvas_size=32, magnification=1.5)


def test_missing_weights_are_refused(toy_member):
    description = toy_member("a")
    (bundle_of(description) / "model.pt").unlink()
    with pytest.raises(HandsegInputError, match=r"model\.pt: cannot be read"):
        build(description).load()


def test_an_ensemble_is_no_member(toy_member):
    description = toy_member("a")
    _rewrite(bundle_of(description) / "configs" / "inference.json", lambda config: config.update(members=[]))
    with pytest.raises(HandsegInputError, match="is an ensemble itself"):
        build(description)
