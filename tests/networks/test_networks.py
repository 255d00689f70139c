"""What every network of the package does: any size, either mode, half precision, the disk, and all exports."""

from __future__ import annotations

import copy
import difflib
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.networks import EffiSegNet, SegFormer, SwinUNETR, UNetPlusPlus
from handseg_bundle_common.weights import load_weights, save_weights


@dataclass(frozen=True)
class Subject:
    """A network under test.

    Attributes:
        network: its class.
        small: arguments that make it small.
        scripts: whether `torch.jit.script` takes it.
    """

    network: type[nn.Module]
    small: dict[str, Any] = field(default_factory=dict)
    scripts: bool = False


NETWORKS = {
    "effisegnet": Subject(EffiSegNet, {"decoder_channels": 8}, scripts=True),
    "segformer": Subject(SegFormer, {"decoder_channels": 32}),
    "swin_unetr": Subject(SwinUNETR, {"feature_size": 12}),
    "unetplusplus": Subject(UNetPlusPlus, {"model_name": "hrnet-w18-small", "decoder_channels": (8, 8, 8, 8)}),
}


def images(*shape: int) -> Tensor:
    """Return seeded images of a shape (N, C, H, W)."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(sum(shape)))


def logits_of(network: nn.Module, image: Tensor) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = network(image)
    return logits


def listing(network: nn.Module) -> list[str]:
    """Return a line for each module with tensors of its own: their names by shape, in the order of the state."""
    modules: dict[str, dict[str, list[str]]] = {}
    for path, tensor in network.state_dict().items():
        module, _, name = path.rpartition(".")
        shape = "x".join(map(str, tensor.shape)) or "scalar"
        modules.setdefault(module, {}).setdefault(shape, []).append(name)
    return [
        f"{module}: " + ", ".join(f"{' '.join(names)} {shape}" for shape, names in shapes.items())
        for module, shapes in modules.items()
    ]


@pytest.fixture(scope="module", params=NETWORKS)
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def subject(name) -> Subject:
    return NETWORKS[name]


@pytest.fixture(scope="module")
def build(subject, randomise) -> Callable[..., nn.Module]:
    """Builds a small network, the same in every call, that leaves nothing as a fresh one has it."""

    def build(**arguments: Any) -> nn.Module:
        torch.manual_seed(0)
        return randomise(subject.network(**(subject.small | arguments)))

    return build


@pytest.fixture(scope="module")
def network(build) -> nn.Module:
    """A network for evaluation, which no test changes."""
    return build().eval()


class TestEveryNetwork:
    """Each test runs for each of `NETWORKS`."""

    @pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
    @pytest.mark.parametrize("size", [(33, 70), (96, 32), (1, 1)], ids=str)
    @pytest.mark.parametrize("channels", [1, 3])
    def test_takes_any_size_and_number_of_channels(self, build, channels, size, training):
        network = build(in_channels=channels, out_channels=5).train(training)
        assert network(images(2, channels, *size)).shape == (2, 5, *size)

    def test_predicts_all_bones_of_a_grey_image_by_default(self, network):
        assert logits_of(network, images(1, 1, 64, 96)).shape == (1, NUM_BONES, 64, 96)

    def test_a_grey_image_feeds_all_channels(self, build):
        network = build(in_channels=3).eval()
        grey = images(1, 1, 64, 64)
        assert torch.equal(logits_of(network, grey), logits_of(network, grey.repeat(1, 3, 1, 1)))

    def test_padding_repeats_the_border(self, network):
        image = images(1, 1, 50, 64)
        padded = torch.cat([image, image[:, :, -1:].expand(-1, -1, 14, -1)], dim=2)
        torch.testing.assert_close(logits_of(network, image), logits_of(network, padded)[:, :, :50], rtol=0, atol=0)

    def test_evaluation_is_deterministic_whatever_else_is_in_the_batch(self, network):
        batch = images(3, 1, 64, 96)
        logits = logits_of(network, batch)
        assert logits.std() > 0.05
        assert torch.equal(logits_of(network, batch), logits)
        torch.testing.assert_close(logits_of(network, batch[1:2]), logits[1:2], rtol=0, atol=1e-5)

    def test_gradients_are_finite_and_reach_every_parameter(self, build):
        network = build().train()
        torch.manual_seed(0)
        network(images(2, 1, 90, 122)).square().mean().backward()
        for parameter_name, parameter in network.named_parameters():
            assert parameter.grad is not None, parameter_name
            assert parameter.grad.isfinite().all(), parameter_name
            # A bias of the keys changes all scores of a query by the same, which softmax takes out again.
            assert parameter.grad.any() or parameter_name.endswith("k_proj.bias"), parameter_name

    def test_half_precision_gives_logits_near_those_of_single_precision(self, network):
        image = images(2, 1, 64, 96)
        expected = logits_of(network, image)
        with torch.autocast("cpu", torch.bfloat16):
            logits = logits_of(network, image)
        assert logits.dtype == torch.bfloat16
        assert (logits.float() - expected).abs().max() < 0.1 * expected.abs().max()

    def test_a_copy_is_independent(self, network):
        """Weight averaging copies the network that it averages."""
        image = images(1, 1, 64, 64)
        expected = logits_of(network, image)
        averaged = copy.deepcopy(network)
        assert torch.equal(logits_of(averaged, image), expected)
        nn.init.zeros_(next(iter(averaged.parameters())))
        assert torch.equal(logits_of(network, image), expected)

    def test_weights_survive_the_disk(self, subject, network, tmp_path):
        save_weights(network, tmp_path / "model.pt")
        other = load_weights(subject.network(**subject.small), tmp_path / "model.pt").eval()
        image = images(1, 1, 64, 64)
        assert torch.equal(logits_of(network, image), logits_of(other, image))

    def test_weights_of_other_classes_are_refused_by_their_number(self, build, network, tmp_path):
        save_weights(build(out_channels=3), tmp_path / "model.pt")
        with pytest.raises(HandsegInputError, match="predicts 3 classes instead of 29"):
            load_weights(network, tmp_path / "model.pt")

    def test_names_and_shapes_of_tensors_stay_as_they_were(self, subject, name):
        """Saved weights load by them. A change that is meant deletes the listing, and the test writes it anew."""
        present = listing(subject.network())
        path = Path(__file__).parent / "state_dicts" / f"{name}.txt"
        if not path.exists():
            path.write_text("\n".join(present) + "\n")
            pytest.fail(f"{path} has been written; commit it")
        change = "\n".join(
            difflib.unified_diff(path.read_text().splitlines(), present, "saved", "present", lineterm="")
        )
        assert not change, f"weights of {name} that were saved before no longer load:\n{change}"

    def test_an_exported_program_gives_the_same_for_every_batch_and_so_does_its_onnx(self, network, tmp_path):
        onnxruntime = pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
        # The example holds two images, because an axis of length one would stay fixed.
        any_batch = ({0: torch.export.Dim("batch")},)
        program = torch.export.export(network, (images(2, 1, 64, 96),), dynamic_shapes=any_batch)
        torch.export.save(program, tmp_path / "model.pt2")
        onnx = {"dynamo": True, "optimize": False, "verbose": False}  # optimising takes a third of the time
        torch.onnx.export(program, f=tmp_path / "model.onnx", input_names=["image"], **onnx)
        loaded = torch.export.load(tmp_path / "model.pt2").module()
        session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
        for batch in (1, 3):
            image = images(batch, 1, 64, 96)
            expected = logits_of(network, image)
            torch.testing.assert_close(logits_of(loaded, image), expected, rtol=0, atol=1e-5)
            (logits,) = session.run(None, {"image": image.numpy()})
            assert np.abs(logits - expected.numpy()).max() <= 1e-4

    def test_a_trace_gives_the_same_for_every_batch(self, network, tmp_path):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sizes become constants, which is meant
            traced = torch.jit.trace(network, images(1, 1, 64, 96), check_trace=False)
        torch.jit.save(traced, tmp_path / "model.ts")
        image = images(3, 1, 64, 96)
        logits = logits_of(torch.jit.load(tmp_path / "model.ts"), image)
        torch.testing.assert_close(logits, logits_of(network, image), rtol=0, atol=1e-5)

    @pytest.mark.parametrize("name", [name for name, subject in NETWORKS.items() if subject.scripts], scope="module")
    def test_a_script_gives_the_same_at_every_size(self, network):
        scripted = torch.jit.script(network)
        for size in ((64, 64), (50, 77)):
            image = images(1, 1, *size)
            torch.testing.assert_close(logits_of(scripted, image), logits_of(network, image), rtol=0, atol=1e-6)
