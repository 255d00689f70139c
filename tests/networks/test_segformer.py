"""SegFormer against the published parameter counts and the network and weights of transformers.

`test_networks.py` has what all networks do.
"""

import runpy
import sys
import warnings

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from transformers import SegformerConfig, SegformerForImageClassification, SegformerForSemanticSegmentation

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.networks import SegFormer, segformer

# Millions of parameters for colour images and the 150 classes of ADE20K: Table 1 of the paper.
PUBLISHED = {
    "segformer-b0": 3.8,
    "segformer-b1": 13.7,
    "segformer-b2": 27.5,
    "segformer-b3": 47.3,
    "segformer-b4": 64.1,
    "segformer-b5": 84.7,
}


@pytest.fixture
def network(randomise) -> SegFormer:
    """A network without random parts in training, whose normalisations leave a mark."""
    torch.manual_seed(0)
    network = SegFormer(drop_path_rate=0.0)
    network.decoder.dropout.p = 0.0
    return randomise(network)


@pytest.fixture
def published_network(network) -> nn.Module:
    """The segmentation network of transformers with the same weights."""
    config = SegformerConfig(num_channels=1, num_labels=NUM_BONES, drop_path_rate=0.0, classifier_dropout_prob=0.0)
    reference = SegformerForSemanticSegmentation(config)
    reference.segformer.load_state_dict(network.encoder.state_dict())
    ours, theirs = network.decoder, reference.decode_head
    for k, projection in enumerate(ours.projections):
        theirs.linear_projections[k].proj.load_state_dict(projection.state_dict())
    # There the deepest level comes first.
    deepest_first = torch.cat(ours.fuse.weight.detach().chunk(4, dim=1)[::-1], dim=1)
    theirs.linear_fuse.load_state_dict({"weight": deepest_first})
    theirs.batch_norm.load_state_dict(ours.norm.state_dict())
    theirs.classifier.load_state_dict(ours.classifier.state_dict())
    return reference


def published_forward(network: nn.Module, image: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    image = F.pad(image, (0, -width % 32, 0, -height % 32), mode="replicate")
    logits = network(image).logits
    return F.interpolate(logits, size=image.shape[-2:], mode="bilinear")[..., :height, :width]


@pytest.mark.parametrize("model_name", PUBLISHED)
def test_parameter_counts_are_the_published_ones(model_name):
    with torch.device("meta"):
        network = SegFormer(in_channels=3, out_channels=150, model_name=model_name)
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 1) == PUBLISHED[model_name]


@pytest.mark.parametrize("size", [(64, 96), (250, 130)])
def test_logits_are_the_published_ones(network, published_network, size):
    image = torch.rand(1, 1, *size)
    network.eval()
    published_network.eval()
    with torch.inference_mode():
        logits, expected = network(image), published_forward(published_network, image)
    assert expected.std() > 0.1
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)


def test_training_is_the_published_one(network, published_network):
    network.double().train()
    published_network.double().train()
    image = torch.rand(2, 1, 90, 122, dtype=torch.float64)
    logits, expected = network(image), published_forward(published_network, image)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-9)
    for result in (logits, expected):
        result.square().mean().backward()
    pairs = [(network.encoder, published_network.segformer)]
    pairs += [(network.decoder.norm, published_network.decode_head.batch_norm)]
    for ours, theirs in pairs:
        for parameter, reference in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(parameter.grad, reference.grad, rtol=0, atol=1e-9)
    torch.testing.assert_close(
        network.decoder.projections[2].weight.grad,
        published_network.decode_head.linear_projections[2].proj.weight.grad,
        rtol=0,
        atol=1e-9,
    )


def test_checkpoints_change_no_gradient():
    networks = [SegFormer(drop_path_rate=0.5, use_checkpoint=flag).train() for flag in (False, True)]
    networks[1].load_state_dict(networks[0].state_dict())
    image = torch.rand(2, 1, 64, 64)
    for network in networks:
        torch.manual_seed(1)
        network(image).square().mean().backward()
    for plain, checkpointed in zip(*(network.parameters() for network in networks), strict=True):
        torch.testing.assert_close(checkpointed.grad, plain.grad, rtol=0, atol=0)


def test_drop_path_rises_linearly_with_depth():
    encoder = SegFormer(drop_path_rate=0.7).encoder
    rates = [getattr(block.drop_path, "drop_prob", 0.0) for stage in encoder.stages for block in stage.blocks]
    assert rates == pytest.approx([0.1 * depth for depth in range(8)])


def test_depthwise_convolutions_start_with_the_spread_that_keeps_a_signal():
    """Each of their outputs sums nine values, of which the activation that follows takes half."""
    torch.manual_seed(0)
    blocks = SegFormer().encoder.stages[3].blocks
    assert blocks[0].mlp.dwconv.dwconv.weight.std().item() == pytest.approx((2 / 9) ** 0.5, rel=0.05)


def test_it_is_built_without_a_word(capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SegFormer()
    assert capfd.readouterr() == ("", "")


def test_transformers_is_needed_only_to_build_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    module = runpy.run_path(segformer.__file__)
    with pytest.raises(
        HandsegInputError, match=r'transformers: is not installed; .* pip install "handseg\[segformer\]"'
    ):
        module["SegFormer"]()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"model_name": "segformer-b6"}, "segformer-b6.*segformer-b0"),
        ({"decoder_channels": 0}, "is 0; choose a positive number"),
        ({"pretrained_path": "nowhere.pth"}, "nowhere.pth: cannot be read"),
    ],
    ids=str,
)
def test_bad_arguments_are_explained(arguments, problem):
    with pytest.raises(HandsegInputError, match=problem):
        SegFormer(**arguments)


def test_a_classifier_as_transformers_publishes_it_gives_its_features(randomise, tmp_path):
    """Under the names of version 4, which its present version restores when it saves."""
    torch.manual_seed(0)
    classifier = randomise(SegformerForImageClassification(SegformerConfig(num_labels=1000))).eval()
    classifier.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    assert "segformer.encoder.block.0.1.attention.self.sr.weight" in state
    torch.save(state, tmp_path / "pytorch_model.bin")
    network = SegFormer(pretrained_path=str(tmp_path / "pytorch_model.bin")).eval()
    grey = torch.rand(1, 1, 64, 96)
    with torch.inference_mode():
        expected = classifier.segformer(grey.expand(-1, 3, -1, -1)).last_hidden_state
        torch.testing.assert_close(network.encoder(grey).last_hidden_state, expected, rtol=1e-4, atol=1e-5)
