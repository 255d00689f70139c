"""Networks in other forms: what is written gives PyTorch's logits, or it is refused."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.inference import load_predictor
from handseg_bundle_common.packaging.compiled import Form, compile_network, forms, require_packages
from handseg_bundle_common.packaging.compiled.networks import compiled


@pytest.fixture
def configs(repository):
    return repository / "bundles" / "effisegnet" / "configs"


def predictor_of(network: nn.Module, side: int = 32) -> SimpleNamespace:
    return SimpleNamespace(network=network.eval(), inferer=SimpleNamespace(roi_size=(side, side)))


class Untypable(nn.Module):
    """A network that TorchScript's compiler cannot read."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(1, 29, 3, padding=1)

    def forward(self, image, **unused):
        return self.layer(image)


class Deceiver(nn.Module):
    """A network that gives other logits once it is scripted."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if torch.jit.is_scripting():
            return image * 1.01
        return image


def test_what_cannot_be_scripted_is_traced(configs, tmp_path):
    torch.manual_seed(0)
    network = Untypable()
    told = compiled(predictor_of(network), Form.TORCHSCRIPT, tmp_path, configs)
    assert (told["made_by"], told["size"]) == ("tracing", 32)
    image = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(torch.jit.load(tmp_path / "model.ts")(image), network(image))


def test_other_logits_are_refused_with_the_number(configs, tmp_path):
    with pytest.raises(HandsegInputError, match=r"model\.ts: differs from PyTorch by 0\.01 of the largest logit"):
        compiled(predictor_of(Deceiver()), Form.TORCHSCRIPT, tmp_path, configs)


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(forms, "find_spec", lambda name: None)
    with pytest.raises(HandsegInputError, match=r"--onnx: needs onnx, onnxscript, onnxruntime.*handseg\[onnx\]"):
        require_packages([Form.TORCHSCRIPT, Form.ONNX])


def test_an_unreadable_bundle_is_told_by_the_other_process(tmp_path):
    with pytest.raises(HandsegInputError, match="is no bundle"):
        compile_network(tmp_path / "nowhere", [Form.PT2], tmp_path)


class TestAllForms:
    """The three forms of one small bundle, made by two processes."""

    @pytest.fixture(scope="class")
    def made(self, small_bundle, tmp_path_factory):
        pytest.importorskip("onnxscript", reason='ONNX (pip install "handseg[onnx]")')
        folder = tmp_path_factory.mktemp("compiled")
        return compile_network(small_bundle, list(Form), folder)

    @pytest.fixture(scope="class")
    def network(self, small_bundle):
        return load_predictor(str(small_bundle), device="cpu").network

    @pytest.mark.parametrize("batch", [1, 5])
    def test_they_give_the_logits_of_the_network_for_every_batch(self, made, network, batch):
        onnxruntime = pytest.importorskip("onnxruntime")
        script, exported, onnx = (result.path for result in made)
        image = torch.rand(batch, 1, 64, 64, generator=torch.Generator().manual_seed(7))
        with torch.inference_mode():
            expected = network(image)
            torch.testing.assert_close(torch.jit.load(script)(image), expected, rtol=0, atol=1e-5)
            torch.testing.assert_close(torch.export.load(exported).module()(image), expected, rtol=0, atol=1e-5)
        session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
        (logits,) = session.run(["pred"], {"image": image.numpy()})
        assert np.abs(logits - expected.numpy()).max() <= 1e-4

    def test_each_says_how_it_was_made_and_how_far_it_is_off(self, made):
        assert [result.made_by for result in made] == ["scripting", "torch.export", "torch.onnx"]
        assert [result.size for result in made] == [None, 64, 64]
        assert all(0 <= result.difference <= 1e-4 for result in made)

    def test_another_process_makes_the_same_bytes(self, made, small_bundle, tmp_path, monkeypatch):
        monkeypatch.setenv("PYTHONHASHSEED", "77")
        again = compile_network(small_bundle, list(Form), tmp_path)
        assert [result.path.read_bytes() for result in again] == [result.path.read_bytes() for result in made]

    def test_they_tell_nothing_of_this_machine(self, made, repository, small_bundle):
        for result in made:
            content = result.path.read_bytes()
            assert str(repository).encode() not in content
            assert b"site-packages" not in content
            assert str(small_bundle.parent).encode() not in content

    def test_torchscript_carries_metadata_and_configuration(self, made, small_bundle):
        files = {"metadata.json": "", "inference.json": ""}
        torch.jit.load(made[0].path, _extra_files=files)
        for name, text in files.items():
            found = text if isinstance(text, bytes) else text.encode()
            assert found == (small_bundle / "configs" / name).read_bytes()
