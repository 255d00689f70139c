"""A network on ONNX Runtime: PyTorch's logits from a file that is made once, or a reason why not."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.inference import onnx_network, runtimes
from handseg_bundle_common.inference.runtimes import Running, Speed, running

SIDE = 32
CPU = torch.device("cpu")
WINDOWS = SimpleNamespace(roi_size=(SIDE, SIDE))


class Slow(nn.Module):
    """A network that ONNX Runtime is told to be faster for."""

    def __init__(self, slope=3.0):
        super().__init__()
        self.layer = nn.Conv2d(1, 29, 3, padding=1)
        nn.init.constant_(self.layer.weight, slope)

    def forward(self, image):
        return self.layer(image).relu()


class Unknown(Slow):
    """A network that nobody has measured."""


class Ensemble(nn.Module):
    """Members with windows of their own, as in `EnsembleNetwork`."""

    def __init__(self, networks):
        super().__init__()
        self.members = nn.ModuleList(networks)
        for member in self.members:
            member.network, member.inferer = Slow(), WINDOWS


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("HANDSEG_CACHE", str(tmp_path))
    monkeypatch.setattr(runtimes, "SPEEDS", {"Slow": Speed(float32=2.0, bfloat16=0.5)})


@pytest.fixture
def not_installed(monkeypatch):
    monkeypatch.setattr(runtimes, "find_spec", lambda name: None)


@pytest.fixture
def no_compiler(monkeypatch):
    """Stand for the compilation, which takes seconds: the network in PyTorch."""
    monkeypatch.setattr(runtimes, "onnx_network", lambda network, side: ("on onnx", network, side))


def run(runtime, network=None, autocast=None, device=CPU, precision="auto", inferer=WINDOWS):
    return running(runtime, Running(network or Slow().eval(), autocast, "torch"), inferer, device, precision)


class TestChoice:
    """Which runtime runs a network."""

    @pytest.mark.parametrize(
        ("runtime", "network", "autocast", "expected"),
        [
            ("torch", Slow, None, "torch"),
            ("onnx", Slow, None, "onnx"),
            ("onnx", Unknown, None, "onnx"),
            ("auto", Slow, None, "onnx"),
            ("auto", Slow, torch.bfloat16, "torch"),
            ("auto", Unknown, None, "torch"),
        ],
    )
    def test_auto_takes_what_was_measured_to_be_faster(self, no_compiler, runtime, network, autocast, expected):
        pytest.importorskip("onnxscript", reason='ONNX (pip install "handseg[onnx]")')
        found = run(runtime, network(), autocast)
        assert found.runtime == expected
        assert found.precision is (None if expected == "onnx" else autocast)

    def test_auto_keeps_bfloat16_that_was_asked_for(self, no_compiler):
        assert run("auto", precision="bfloat16", autocast=torch.bfloat16).runtime == "torch"

    def test_auto_does_without_what_is_not_installed(self, not_installed):
        assert run("auto").runtime == "torch"

    def test_members_of_an_ensemble_are_swapped_one_by_one(self, no_compiler, monkeypatch):
        pytest.importorskip("onnxscript", reason='ONNX (pip install "handseg[onnx]")')
        monkeypatch.setattr(runtimes, "onnx_network", lambda network, side: nn.Identity())
        ensemble = Ensemble([nn.Module(), nn.Module()])
        ensemble.members[1].network = Unknown()
        found = run("auto", ensemble, inferer=None)
        assert found.network is ensemble
        assert [type(member.network) for member in ensemble.members] == [nn.Identity, Unknown]
        assert (found.runtime, found.precision) == ("onnx", None)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"runtime": "tvm"}, "'tvm' is unknown; choose torch, onnx, auto"),
            ({"runtime": "onnx", "device": torch.device("cuda")}, "on the CPU, not on cuda"),
            ({"runtime": "onnx", "precision": "bfloat16"}, "works in float32"),
            ({"runtime": "onnx", "inferer": SimpleNamespace()}, "no square windows"),
        ],
    )
    def test_what_does_not_go_together_is_refused(self, arguments, message):
        pytest.importorskip("onnxscript", reason='ONNX (pip install "handseg[onnx]")')
        with pytest.raises(HandsegInputError, match=message):
            run(**arguments)

    def test_missing_packages_are_named(self, not_installed):
        with pytest.raises(HandsegInputError, match=r"needs onnx, onnxscript, onnxruntime.*handseg\[onnx\]"):
            run("onnx")

    def test_every_bundle_was_measured(self, repository, monkeypatch):
        monkeypatch.undo()
        classes = {"EffiSegNet", "SegFormer", "SwinUNETR", "UNetPlusPlus"}
        assert set(runtimes.SPEEDS) == classes


class TestOnnxNetwork:
    """A network of one convolution, compiled once for all tests."""

    @pytest.fixture(scope="class")
    def made(self, tmp_path_factory):
        """A network, what ONNX Runtime makes of it, and the file."""
        pytest.importorskip("onnxscript", reason='ONNX (pip install "handseg[onnx]")')
        network, folder = Slow().eval(), tmp_path_factory.mktemp("cache")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HANDSEG_CACHE", str(folder))
            found = onnx_network.onnx_network(network, SIDE)
        (path,) = folder.rglob("*.onnx")
        return network, found, path

    @pytest.mark.parametrize("count", [1, 3])
    def test_logits_are_those_of_pytorch(self, made, count):
        network, found, _ = made
        image = torch.rand((count, 1, SIDE, SIDE), generator=torch.Generator().manual_seed(1))
        with torch.inference_mode():
            torch.testing.assert_close(found(image), network(image), rtol=0, atol=1e-4)

    def test_images_of_another_size_go_to_pytorch(self, made):
        network, found, _ = made
        image = torch.rand((1, 1, 48, 40))
        with torch.inference_mode():
            assert torch.equal(found(image), network(image))

    def test_the_file_is_made_once(self, made, monkeypatch):
        network, _, path = made
        monkeypatch.setenv("HANDSEG_CACHE", str(path.parents[1]))
        monkeypatch.setattr(onnx_network, "onnx_graph", lambda *_: pytest.fail("compiled again"))
        again = onnx_network.onnx_network(network, SIDE)
        assert again.side == SIDE

    def test_other_weights_have_another_file(self, made):
        network, _, path = made
        other = copy.deepcopy(network)
        other.layer.bias.data[3] += 1
        assert onnx_network._digest(network, SIDE) == path.stem
        assert onnx_network._digest(other, SIDE) != path.stem
        assert onnx_network._digest(network, SIDE + 32) != path.stem

    @pytest.mark.parametrize("content", [b"", b"no graph"])
    def test_a_damaged_file_is_made_again(self, made, monkeypatch, tmp_path, content):
        network, _, path = made
        damaged = tmp_path / "onnx" / path.name
        damaged.parent.mkdir()
        damaged.write_bytes(content)
        monkeypatch.setattr(onnx_network, "onnx_graph", lambda *_: path.read_bytes())
        onnx_network.onnx_network(network, SIDE)
        assert damaged.read_bytes() == path.read_bytes()

    def test_a_file_of_other_logits_is_refused_and_not_kept(self, made, monkeypatch, tmp_path):
        _, _, path = made
        monkeypatch.setattr(onnx_network, "onnx_graph", lambda *_: path.read_bytes())
        with pytest.raises(HandsegInputError, match=r"differ from PyTorch's by .* of the largest; leave it out"):
            onnx_network.onnx_network(Slow(slope=1.0).eval(), SIDE)
        assert not list(tmp_path.rglob("*.onnx"))

    def test_a_network_that_cannot_be_compiled_is_told_in_a_sentence(self, monkeypatch):
        pytest.importorskip("onnxruntime", reason='ONNX (pip install "handseg[onnx]")')

        def fails(*_):
            raise RuntimeError("an operator\nis missing")

        monkeypatch.setattr(onnx_network, "onnx_graph", fails)
        with pytest.raises(
            HandsegInputError, match=r"cannot run this network \(RuntimeError: an operator is missing\)"
        ):
            onnx_network.onnx_network(Slow().eval(), SIDE)
