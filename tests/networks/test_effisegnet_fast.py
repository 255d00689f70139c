"""EffiSegNet's way for inference against its general one, which `test_effisegnet.py` compares with the textbook."""

import copy
from unittest import mock

import pytest
import torch
from torch import Tensor

from handseg_bundle_common.networks import EffiSegNet, effisegnet, strips


@pytest.fixture(scope="module")
def network(randomise) -> EffiSegNet:
    torch.manual_seed(0)
    return randomise(EffiSegNet()).eval()


@pytest.fixture
def small_strips(monkeypatch):
    """Every map is made of many strips, as those of large images are."""
    monkeypatch.setattr(strips, "STRIP_VALUES", 10_000)


def general(network: EffiSegNet, image: Tensor) -> Tensor:
    """Return the logits of the plain graph."""
    with torch.no_grad(), mock.patch.object(effisegnet, "can_take", return_value=False):
        return network(image)


def fast(network: EffiSegNet, image: Tensor) -> Tensor:
    """Return the logits of the way for inference, which must have been taken."""
    with torch.inference_mode(), mock.patch.object(effisegnet, "infer", wraps=effisegnet.infer) as taken:
        logits: Tensor = network(image)
    taken.assert_called_once()
    return logits


def agree(logits: Tensor, expected: Tensor, tolerance: float) -> None:
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(logits, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("size", [(32, 32), (96, 160), (50, 77), (352, 64)], ids=str)
def test_logits_are_equal_at_every_size(network, small_strips, size, batch):
    image = torch.rand(batch, 1, *size)
    agree(fast(network, image), general(network, image), 1e-5)


@pytest.mark.parametrize(
    "arguments",
    [{"model_name": "efficientnet-b1"}, {"model_name": "efficientnet-b2", "in_channels": 3}, {"decoder_channels": 6}],
    ids=str,
)
def test_logits_are_equal_for_every_kind_of_encoder_and_decoder(randomise, small_strips, arguments):
    """Encoders differ in the borders that their native sizes call for."""
    torch.manual_seed(0)
    network = randomise(EffiSegNet(**arguments)).double().eval()
    image = torch.rand(2, 1, 96, 64).double()
    agree(fast(network, image), general(network, image), 1e-9)


def test_half_precision_is_as_near_to_single_as_that_of_the_plain_graph(network, small_strips):
    image = torch.rand(1, 1, 256, 192)
    expected = general(network, image)
    with torch.autocast("cpu", torch.bfloat16):
        logits, plain = fast(network, image), general(network, image)
    assert logits.dtype == torch.bfloat16
    error, error_of_plain = ((x.float() - expected).square().mean().sqrt() for x in (logits, plain))
    assert error < 1.2 * error_of_plain


def test_weights_are_never_those_of_before(network, randomise):
    image = torch.rand(1, 1, 64, 64)
    network = copy.deepcopy(network)
    before = fast(network, image)

    network.train()(torch.rand(2, 1, 64, 64))  # moves the stored statistics
    agree(fast(network.eval(), image), general(network, image), 1e-5)
    assert not torch.allclose(fast(network, image), before, atol=1e-3)

    torch.manual_seed(1)
    network.load_state_dict(randomise(EffiSegNet()).state_dict())
    agree(fast(network, image), general(network, image), 1e-5)

    with torch.no_grad():
        network.ghost1.cheap_norm.weight.neg_()
    agree(fast(network, image), general(network, image), 1e-5)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
def test_any_memory_format_will_do(network, small_strips, memory_format):
    image = torch.rand(1, 1, 96, 64)
    other = copy.deepcopy(network).to(memory_format=memory_format)
    agree(fast(other, image), general(network, image), 1e-5)
    assert fast(other, image).is_contiguous()


def test_logits_leave_the_image_and_the_weights_as_they_were(network):
    image = torch.rand(1, 1, 64, 64)
    kept, state = image.clone(), copy.deepcopy(network.state_dict())
    fast(network, image)
    assert torch.equal(image, kept)
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


def test_gradients_and_statistics_of_a_batch_take_the_general_way(network):
    network, image = copy.deepcopy(network), torch.rand(1, 1, 64, 64)
    with mock.patch.object(effisegnet, "infer", side_effect=AssertionError):
        network(image).sum().backward()  # a network in evaluation mode has gradients too
        with torch.no_grad():
            network.train()(image)
            network.eval().norm.train()
            network(image)
    assert network.head.weight.grad is not None
