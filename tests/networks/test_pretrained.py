"""Published weights on toy encoders; the tests of the networks have their published names."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.networks.pretrained import load_encoder

STEM = "stem.weight"


def toy_encoder(channels: int = 3, blocks: int = 14) -> nn.Sequential:
    """Six tensors of weights and one a block, by default 20, and a counter of batches."""
    return nn.Sequential(
        OrderedDict(
            stem=nn.Conv2d(channels, 4, kernel_size=3),
            norm=nn.BatchNorm2d(4),
            blocks=nn.Sequential(*(nn.Conv2d(4, 4, kernel_size=1, bias=False) for _ in range(blocks))),
        )
    )


@pytest.fixture
def published(randomise) -> nn.Sequential:
    """An encoder of colour images."""
    torch.manual_seed(0)
    return randomise(toy_encoder()).eval()


@pytest.fixture
def write(tmp_path):
    """Writes a state dictionary and returns the file's path."""

    def write(state: dict[str, Tensor]) -> str:
        torch.save(state, tmp_path / "published.pth")
        return str(tmp_path / "published.pth")

    return write


def without(state: dict[str, Tensor], *names: str) -> dict[str, Tensor]:
    assert set(names) <= set(state)
    return {name: tensor for name, tensor in state.items() if name not in names}


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_grey_image_has_the_features_of_three_equal_colours(published, write, channels):
    encoder = toy_encoder(channels).eval()
    load_encoder(encoder, write(published.state_dict()), stem=STEM)
    grey = torch.rand(2, 1, 8, 9)
    with torch.inference_mode():
        found, expected = encoder(grey.expand(-1, channels, -1, -1)), published(grey.expand(-1, 3, -1, -1))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_colours_stay_as_they_are(published, write):
    encoder = toy_encoder(3)
    load_encoder(encoder, write(published.state_dict()), stem=STEM)
    torch.testing.assert_close(dict(encoder.state_dict()), dict(published.state_dict()), rtol=0, atol=0)


class TestNames:
    """Of a tensor in the encoder, in the file, and in a file of more than the encoder."""

    @pytest.mark.parametrize("prefix", ["", "network."], ids=["encoder alone", "within a network"])
    @pytest.mark.parametrize("renamed", [False, True], ids=["own names", "published names"])
    def test_all_ways_to_name_the_tensors_load(self, published, write, prefix, renamed):
        def published_name(name: str) -> str:
            return name.replace("blocks.", "layers.")

        names = {name: prefix + (published_name(name) if renamed else name) for name in published.state_dict()}
        state = {names[name]: tensor for name, tensor in published.state_dict().items()}
        encoder = toy_encoder()
        path = write(state | {"classifier.weight": torch.zeros(1000, 4)})
        load_encoder(encoder, path, stem=STEM, published_name=published_name, prefix="network.")
        torch.testing.assert_close(dict(encoder.state_dict()), dict(published.state_dict()), rtol=0, atol=0)

    def test_other_names_are_not_guessed(self, published, write):
        path = write({f"network.{name}": tensor for name, tensor in published.state_dict().items()})
        with pytest.raises(HandsegInputError, match="fits only 0 of the encoder's 20 tensors"):
            load_encoder(toy_encoder(), path, stem=STEM)


class TestShare:
    """Of the tensors of encoder and file, 95 % must fit: 19 of 20."""

    def test_one_tensor_in_twenty_may_be_missing_and_stays_as_it_was(self, published, write):
        encoder = toy_encoder()
        nn.init.constant_(encoder.norm.bias, 7.0)
        load_encoder(encoder, write(without(published.state_dict(), "norm.bias")), stem=STEM)
        assert encoder.norm.bias.tolist() == [7.0] * 4
        assert torch.equal(encoder.norm.weight, published.norm.weight)

    def test_two_may_not_and_nothing_is_loaded(self, published, write):
        encoder = toy_encoder()
        before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
        path = write(without(published.state_dict(), "norm.bias", "norm.weight"))
        problem = r"published.pth: fits only 18 of the encoder's 20 tensors; give weights of the same encoder"
        with pytest.raises(HandsegInputError, match=problem):
            load_encoder(encoder, path, stem=STEM)
        torch.testing.assert_close(dict(encoder.state_dict()), before, rtol=0, atol=0)

    def test_tensors_of_another_shape_do_not_fit(self, published, write):
        other = {"stem.bias": torch.zeros(5), STEM: torch.zeros(4, 3, 5, 5)}
        with pytest.raises(HandsegInputError, match="fits only 18 of the encoder's 20 tensors"):
            load_encoder(toy_encoder(), write(dict(published.state_dict()) | other), stem=STEM)

    def test_counters_of_batches_do_not_count(self, published, write):
        """Old files lack them."""
        state = without(published.state_dict(), "norm.num_batches_tracked", "norm.bias")
        load_encoder(toy_encoder(), write(state), stem=STEM)
        counters = {f"blocks.{k}.num_batches_tracked": torch.tensor(1) for k in range(5)}
        load_encoder(toy_encoder(), write(state | counters), stem=STEM)

    def test_a_deeper_encoder_is_refused_although_every_tensor_is_found(self, write):
        load_encoder(toy_encoder(), write(toy_encoder(blocks=15).state_dict()), stem=STEM)
        with pytest.raises(HandsegInputError, match=r"holds 22 tensors of a deeper encoder than this one of 20"):
            load_encoder(toy_encoder(), write(toy_encoder(blocks=16).state_dict()), stem=STEM)

    def test_the_head_of_a_classifier_is_no_deeper_encoder(self, published, write):
        head = {f"classifier.{k}.weight": torch.zeros(3, 4) for k in range(10)}
        load_encoder(toy_encoder(), write(dict(published.state_dict()) | head), stem=STEM)


def test_a_file_that_cannot_be_read_is_named():
    with pytest.raises(HandsegInputError, match=r"nowhere.pth: cannot be read"):
        load_encoder(toy_encoder(), "nowhere.pth", stem=STEM)
